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
	trace []string // the newest events
	hash  uint64   // of all events

	cluster  core.ClusterID
	main     *branch            // the history that is to go on in the end
	votes    map[voteKey]string // what was durable
	nextRef  uint64
	reads    map[uint64]pendingRead
	asked    map[uint64]int  // node that is to answer once
	proposed map[uint64]bool // proposals that may be refused once
	notices  []notice
	flaps    []flap
	hit      map[string]int
	incs     uint64
	faults   bool
	broken   []stream
	served   int
	healed   int // committed when the trouble ended
	strategy core.Strategy
	newest   uint64 // version of the machine
	deletes  bool   // the cluster may be deleted
	lost     *lostLife
}

// branch is a history that must be the same on all its members: one epoch's, which a forced shrink
// forks off from another's.
type branch struct {
	epoch     uint64
	parent    *branch
	by        *node             // that shrank
	committed []core.Entry      // what any server has committed, by index-1
	terms     []core.Term       // in which each was committed
	leaders   map[core.Term]int // who leads a term
	config    core.Configuration
	machine   uint64
	deleted   bool
}

// notice tells a node that a leadership is over. Heartbeats carry it until it arrives.
type notice struct {
	to   int
	from int
	lost core.LeaderLost
}

// flap is a pair of nodes whose connection comes and goes.
type flap struct {
	a, b          int
	period, until int64
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
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), cut: map[[2]int]bool{}, hash: 14695981039346656037,
		votes: map[voteKey]string{}, asked: map[uint64]int{}, proposed: map[uint64]bool{}, reads: map[uint64]pendingRead{},
		hit: map[string]int{}, cluster: core.ClusterID{1}, nextRef: 1,
		strategy: core.Strategy(seed % 2), deletes: seed%11 == 5,
	}
	w.main = &branch{epoch: 1, leaders: map[core.Term]int{}}
	c := core.Configuration{Cluster: w.cluster, Epoch: 1}
	for i := range members + spare {
		w.nodes = append(w.nodes, &node{w: w, k: i, b: w.main})
		n := w.nodes[i]
		n.fresh()
		if i < members {
			c.Members = append(c.Members, core.Member{Identity: n.self, Membership: core.Voter})
		}
	}
	w.main.config = c
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
	for _, line := range w.trace[max(0, len(w.trace)-150):] {
		w.t.Log(line)
	}
	w.t.Fatalf("at %d ms: %s", w.now, fmt.Sprintf(format, args...))
}

func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf("%6d ", w.now) + fmt.Sprintf(format, args...)
	for i := range len(line) { // FNV-1a
		w.hash = (w.hash ^ uint64(line[i])) * 1099511628211
	}
	if len(w.trace) == 1000 {
		w.trace = append(w.trace[:0], w.trace[850:]...)
	}
	w.trace = append(w.trace, line)
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
		if f.at <= w.now && w.nodes[index(f.msg.To.Node)].paused <= w.now {
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
	w.tell()
	w.flap()
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
