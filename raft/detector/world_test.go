package detector

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

// link says what happens to heartbeats from one node to another.
type link struct {
	min, max  int64 // delay
	loss, dup float64
	cut       bool
}

type parcel struct {
	at, order int64
	h         *Heartbeat
}

// node is one life of a node in a world.
type node struct {
	*Detector
	id      NodeID
	life    uint64
	dead    bool
	frozen  int64 // its loop does not run before this time
	changes []stamped
	notices []string
}

type stamped struct {
	at int64
	Change
}

// world runs detectors over a virtual network by one seed.
type world struct {
	t       testing.TB
	rand    *rand.Rand
	now     int64
	order   int64
	nodes   []*node
	links   map[[2]NodeID]*link
	ordinal link
	flying  []parcel
	history []string
	log     bool
}

func newWorld(t testing.TB, seed uint64, ids ...NodeID) *world {
	w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 1)), now: 1e12, links: make(map[[2]NodeID]*link), log: true}
	w.ordinal = link{min: ms / 2, max: ms}
	for _, id := range ids {
		w.start(id, 1, nil)
	}
	return w
}

func (w *world) start(id NodeID, life uint64, change func(*Options)) *node {
	n := &node{id: id, life: life}
	o := Options{Node: id, Incarnation: life,
		Send: func(h *Heartbeat) { w.send(n, h) },
		Changed: func(c Change) {
			n.changes = append(n.changes, stamped{w.now, c})
			w.note("%d %s: %s %v %d at %d", w.now, id, c.Peer, c.State, c.Incarnation, c.Contact)
		},
		Notice: func(from NodeID, life uint64, b []byte) {
			n.notices = append(n.notices, string(b))
			w.note("%d %s: %s/%d says %s", w.now, id, from, life, b)
		}}
	if change != nil {
		change(&o)
	}
	d, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	n.Detector = d
	w.nodes = slices.DeleteFunc(w.nodes, func(old *node) bool {
		old.dead = old.dead || old.id == id
		return old.id == id
	})
	w.nodes = append(w.nodes, n)
	return n
}

func (w *world) note(format string, args ...any) {
	if w.log {
		w.history = append(w.history, fmt.Sprintf(format, args...))
	}
}

func (w *world) hash() uint64 {
	h := fnv.New64a()
	for _, line := range w.history {
		h.Write([]byte(line + "\n"))
	}
	return h.Sum64()
}

func (w *world) link(from, to NodeID) *link {
	l := w.links[[2]NodeID{from, to}]
	if l == nil {
		l = &w.ordinal
	}
	return l
}

func (w *world) rule(from, to NodeID, l link) { w.links[[2]NodeID{from, to}] = &l }

func (w *world) send(n *node, h *Heartbeat) {
	if n.dead {
		w.t.Fatalf("a dead node sends")
	}
	l := w.link(h.From, h.To)
	copies := 1
	if l.cut || w.rand.Float64() < l.loss {
		copies = 0
	} else if w.rand.Float64() < l.dup {
		copies = 2
	}
	for range copies {
		w.order++
		w.flying = append(w.flying, parcel{w.now + l.min + w.rand.Int64N(l.max-l.min+1), w.order, h})
	}
}

func (w *world) node(id NodeID) *node {
	for _, n := range w.nodes {
		if n.id == id && !n.dead {
			return n
		}
	}
	return nil
}

func (n *node) due() int64 {
	if n.dead {
		return Never
	}
	return max(n.Next(), n.frozen)
}

// run lets the time pass.
func (w *world) run(d time.Duration) {
	end := w.now + int64(d)
	for {
		at, first, parcel := end+1, (*node)(nil), -1
		for i, p := range w.flying {
			if to := w.node(p.h.To); to != nil && to.frozen > p.at {
				continue
			}
			if p.at < at || p.at == at && parcel >= 0 && p.order < w.flying[parcel].order {
				at, parcel = p.at, i
			}
		}
		for _, n := range w.nodes {
			if due := n.due(); due < at {
				at, first, parcel = due, n, -1
			}
		}
		if at > end {
			w.now = end
			return
		}
		w.now = max(w.now, at)
		if first != nil {
			first.Step(w.now)
			continue
		}
		p := w.flying[parcel]
		w.flying = slices.Delete(w.flying, parcel, parcel+1)
		if to := w.node(p.h.To); to != nil && !w.link(p.h.From, p.h.To).cut {
			to.Receive(w.now, p.h)
		}
	}
}

// freeze stops a node's loop, and lets what arrives wait.
func (w *world) freeze(n *node, d time.Duration) {
	n.frozen = w.now + int64(d)
	for i := range w.flying {
		if w.flying[i].h.To == n.id {
			w.flying[i].at = max(w.flying[i].at, n.frozen)
		}
	}
}

func (w *world) watchAll() {
	for _, a := range w.nodes {
		for _, b := range w.nodes {
			if a != b {
				a.Watch(w.now, b.id)
			}
		}
	}
}

func (w *world) state(of, peer NodeID) State { return w.node(of).Peer(w.now, peer).State }

func (w *world) expect(of, peer NodeID, want State) {
	w.t.Helper()
	if got := w.state(of, peer); got != want {
		w.t.Fatalf("%s says that %s is %v, not %v\n%v", of, peer, got, want, w.history)
	}
}

// since returns what of was told about peer since a time.
func (n *node) since(at int64, peer NodeID) (found []stamped) {
	for _, c := range n.changes {
		if c.Peer == peer && c.at >= at {
			found = append(found, c)
		}
	}
	return found
}

// seeds is how many a test tries, fewer under -short.
func seeds(count uint64) uint64 {
	if testing.Short() {
		return max(count/10, 5)
	}
	return count
}
