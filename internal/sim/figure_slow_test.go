package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
)

const (
	slowWindow = 64 << 10             // bytes that may be on their way to one member, NodeOptions.WindowBytes
	slowLink   = 2_000_000 / 8        // bytes per second that the link between a leader and a slow follower takes
	slowCommit = 2 * time.Millisecond // ten times what commits take mostly
	bulk       = 3 << 10              // bytes of a command of those that write much
	bulkers    = 4                    // who do
)

// slowed is what there is to see while a follower is slow, or is not there.
type slowed struct {
	w          *world
	c          *cluster
	lead, slow *node
	over       bool
	wrote      int   // commands of those that write much
	memory     int64 // the most that memtables of the leader's node took
	outboxes   int   // the most that waited in all outboxes
}

// work has some clients write much, and looks at the memory meanwhile.
func (s *slowed) work() {
	w := s.w
	for range bulkers {
		w.visitors++
		id := w.visitors
		w.employ(func() {
			for number := id << 32; !s.over && w.failure == "" && s.lead.up(); number++ {
				if w.perform(s.c, s.lead, operation{client: id, op: opWrite, kind: register, number: number, plain: true, more: bulk}) {
					s.wrote++
				}
				w.pause(w.within(0, 4*time.Millisecond))
			}
		})
	}
	w.employ(func() {
		for !s.over && w.failure == "" && s.lead.up() {
			s.memory = max(s.memory, s.lead.raft.Engine().Stats().MemoryBytes)
			s.outboxes = max(s.outboxes, w.net.Stats().WaitingBytes)
			w.pause(time.Millisecond)
		}
	})
}

// p99 is how long 99 in a hundred writes to a cluster take, at most, that are asked for one after the other where it is led.
func (w *world) p99(c *cluster, n *node) time.Duration {
	var took []time.Duration
	for range 400 {
		w.visitors++
		began := w.now
		if n.up() && w.perform(c, n, operation{client: w.visitors, op: opWrite, kind: register, number: w.visitors << 32, plain: true}) {
			took = append(took, time.Duration(w.now-began))
		}
	}
	if len(took) < 300 {
		w.violate("liveness", "%s: %d of 400 writes were answered", c.name, len(took))
		return 0
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// TestFigure22SlowFollower: a follower's disk has a tenth of the speed, and its link with the leader takes 2 Mbit/s, far less than what is written.
// Writes to its cluster and to another one take at most twice as long, 99 in a hundred, as while it stands still. What the leader keeps for it
// stays below what is configured, and it has everything in the end.
func TestFigure22SlowFollower(t *testing.T) {
	tune := func(o *raft.NodeOptions) { o.WindowBytes = slowWindow }
	eachTuned(t, 2, 2, tune, func(w *world, times int) {
		for range times {
			c, other := w.clusters[0], w.clusters[1]
			n, elsewhere := w.leading(c), w.leading(other)
			if n == nil || elsewhere == nil {
				return
			}
			slow := c.members[slices.IndexFunc(c.members, func(m *node) bool { return m != n && m != elsewhere })]
			s := &slowed{w: w, c: c, lead: n, slow: slow}
			s.work()
			slow.hold(true)
			without, otherWithout := w.p99(c, n), w.p99(other, elsewhere)
			slow.hold(false)
			w.until("the slow one has what the others have", w.now+int64(recovery), s.caughtUp)
			disk := slow.disk
			disk.slow = int64(slowCommit)
			for _, way := range [][2]raft.NodeID{{n.id, slow.id}, {slow.id, n.id}} {
				_ = w.net.SetRule(way[0], way[1], transport.Rule{DelayMin: 20 * time.Millisecond, DelayMax: 40 * time.Millisecond, BytesPerSecond: slowLink}) // it is sound
			}
			with, otherWith := w.p99(c, n), w.p99(other, elsewhere)
			s.compare(c, without, with)
			s.compare(other, otherWithout, otherWith)
			behind := s.behind()
			s.over = true
			disk.release()
			_ = w.net.SetRules(quiet) // they are sound
			w.until("the slow one has caught up", w.now+int64(recovery), s.caughtUp)
			w.note("%s: %v, %v; %s: %v, %v; %d commands, %d behind, memory %d, outboxes %d", c.name, without, with, other.name, otherWithout, otherWith, s.wrote, behind, s.memory, s.outboxes)
			s.judge(behind)
		}
	})
}

func (s *slowed) compare(c *cluster, without, with time.Duration) {
	if with > 2*without {
		s.w.violate("figure 22", "writes to %s take %v, and %v with a slow follower", c.name, without, with)
	}
}

// behind is how many entries the slow member lacks.
func (s *slowed) behind() int64 {
	a, err1 := s.lead.raft.KeyMetrics(s.c.name)
	b, err2 := s.slow.raft.KeyMetrics(s.c.name)
	if err1 != nil || err2 != nil {
		s.w.violate("figure 22", "%v, %v", err1, err2)
	}
	return int64(a.Commit) - int64(b.Applied)
}

func (s *slowed) caughtUp() bool { return s.lead.up() && s.slow.up() && s.behind() <= 2*bulkers }

// judge has memory stay within its bounds, and the slow one have been slow.
func (s *slowed) judge(behind int64) {
	w := s.w
	if limit := s.lead.raft.Engine().Stats().MemoryLimit; s.memory > limit {
		w.violate("figure 22", "the memtables of %s took %d bytes, at most %d are to be", s.lead, s.memory, limit)
	}
	members := 0
	for _, c := range w.clusters {
		members += len(c.members) - 1
	}
	if most := members * (slowWindow + 2*bulk); s.outboxes > most {
		w.violate("figure 22", "%d bytes waited in outboxes, the windows of %d members allow %d", s.outboxes, members, most)
	}
	if behind < 50 {
		w.violate("figure 22", "the slow one lacks %d entries only", behind)
	}
}
