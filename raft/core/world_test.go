package core_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// world is a cluster of servers over a network that loses, repeats, delays and reorders, on disks that
// lose what is not synced. One seed decides everything.
type world struct {
	t     testing.TB
	rng   *rand.Rand
	now   int64 // virtual ms
	nodes []*node
	net   []flying
	cut   map[[2]int]bool // ordered pairs of nodes that hear nothing
	loss  float64
	trace []string

	cluster   core.ClusterID
	committed []core.Entry          // what any server has committed, by index-1
	leaders   map[[2]uint64]int     // who leads an epoch's term
	votes     map[voteKey]string    // what was durable
	acked     map[uint64]core.Index // proposals that were answered, by their data
	nextRef   uint64
	reads     map[uint64]pendingRead
	hit       map[string]int
	incs      uint64
	faults    bool
	broken    []stream
	served    int
}

type voteKey struct {
	node int
	inc  core.Incarnation
	term core.Term
}

type pendingRead struct {
	node  int
	floor core.Index
}

type flying struct {
	at  int64
	msg core.Message
}

func newWorld(t testing.TB, seed uint64, members, spare int) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), cut: map[[2]int]bool{}, leaders: map[[2]uint64]int{},
		votes: map[voteKey]string{}, acked: map[uint64]core.Index{}, reads: map[uint64]pendingRead{}, hit: map[string]int{},
		cluster: core.ClusterID{1}, nextRef: 1,
	}
	c := core.Configuration{Cluster: w.cluster, Epoch: 1}
	for i := range members + spare {
		w.nodes = append(w.nodes, &node{w: w, k: i})
		n := w.nodes[i]
		n.fresh()
		if i < members {
			c.Members = append(c.Members, core.Member{Identity: n.self, Membership: core.Voter})
		}
	}
	for i := range members {
		w.nodes[i].disk.snapshot = core.SnapshotMeta{Configuration: c}
	}
	for _, n := range w.nodes {
		n.start()
	}
	return w
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	from := max(0, len(w.trace)-150)
	for _, line := range w.trace[from:] {
		w.t.Log(line)
	}
	w.t.Fatalf("at %d ms: %s", w.now, fmt.Sprintf(format, args...))
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%6d ", w.now)+fmt.Sprintf(format, args...))
}

// index of the node with that name.
func index(n core.NodeID) int { return int(n[1] - '0') }

// send puts a message on its way, or not.
func (w *world) send(m core.Message) {
	from, to := index(m.From.Node), index(m.To.Node)
	if w.cut[[2]int{from, to}] || w.rng.Float64() < w.loss {
		return
	}
	delay := int64(w.rng.IntN(3))
	if w.faults && w.rng.IntN(20) == 0 {
		delay = int64(w.rng.IntN(400))
	}
	w.net = append(w.net, flying{w.now + delay, m})
	if w.faults && w.rng.IntN(30) == 0 {
		w.net = append(w.net, flying{w.now + int64(w.rng.IntN(200)), m})
	}
}

// tick is one millisecond.
func (w *world) tick() {
	w.now++
	due := w.net[:0:0]
	rest := w.net[:0]
	for _, f := range w.net {
		if f.at <= w.now {
			due = append(due, f)
		} else {
			rest = append(rest, f)
		}
	}
	w.net = rest
	w.rng.Shuffle(len(due), func(i, j int) {
		if w.faults && w.rng.IntN(4) == 0 {
			due[i], due[j] = due[j], due[i]
		}
	})
	for _, f := range due {
		n := w.nodes[index(f.msg.To.Node)]
		if n.up && !w.cut[[2]int{index(f.msg.From.Node), n.k}] {
			w.note("%v > %v term %d %T%+v", f.msg.From, f.msg.To, f.msg.Term, f.msg.Body, brief(f.msg.Body))
			n.step(core.Received{Message: f.msg})
		} else if n.gone {
			w.reject(n, f.msg)
		}
	}
	for _, n := range w.nodes {
		n.tick()
	}
	broken := w.broken
	w.broken = nil
	for _, b := range broken {
		w.nodes[b.from].step(core.SnapshotSent{To: b.to, Transfer: b.transfer})
	}
}

// reject answers for a server that ended.
func (w *world) reject(n *node, m core.Message) {
	h := m.Head
	h.From, h.To, h.FromInc, h.ToInc = m.To, m.From, m.ToInc, m.FromInc
	if m.ToInc == n.self.Incarnation {
		w.send(core.Message{Head: h, Body: core.Gone{}})
	}
}

func brief(b core.Body) any {
	if a, ok := b.(core.Append); ok {
		return fmt.Sprintf("{prev %v +%d commit %d probe %v}", a.Prev, len(a.Entries), a.Commit, a.Probe)
	}
	return b
}

// commits checks that what a server commits is what all others did (I6).
func (w *world) commits(n *node, upTo core.Index) {
	for i := n.checked + 1; i <= upTo; i++ {
		e, ok := n.entry(i)
		if !ok {
			continue // below its snapshot
		}
		if int(i) <= len(w.committed) {
			if o := w.committed[i-1]; o.Term != e.Term || string(o.Data) != string(e.Data) {
				w.fatalf("node %d commits %v %q, another committed %v %q", n.k, e.ID(), e.Data, o.ID(), o.Data)
			}
			continue
		}
		if int(i) != len(w.committed)+1 {
			w.fatalf("node %d commits %d, nobody committed %d", n.k, i, len(w.committed)+1)
		}
		w.committed = append(w.committed, e)
	}
	n.checked = max(n.checked, upTo)
}

// leads checks that a term has one leader (I5), which has all that is committed.
func (w *world) leads(n *node, term core.Term) {
	c, _ := n.srv.Configuration()
	key := [2]uint64{c.Epoch, uint64(term)}
	if k, ok := w.leaders[key]; ok && k != n.k {
		w.fatalf("nodes %d and %d both lead term %d", k, n.k, term)
	}
	w.leaders[key] = n.k
	w.hit["leader"]++
	for i, e := range w.committed {
		have, ok := n.entry(core.Index(i + 1))
		if ok && have.Term != e.Term || !ok && core.Index(i+1) > n.snapshot.ID.Index {
			w.fatalf("node %d leads term %d without entry %v", n.k, term, e.ID())
		}
	}
}

// results takes the ends of reads (I12).
func (w *world) result(n *node, r core.Result) {
	if p, ok := w.reads[r.Ref]; ok {
		delete(w.reads, r.Ref)
		if r.Err == nil {
			w.served++
			if r.Index < p.floor {
				w.fatalf("node %d reads at %d, %d was committed before", n.k, r.Index, p.floor)
			}
		}
	}
	if r.Err == nil {
		w.hit["result"]++
	}
}
