package sim

import (
	"context"
	"slices"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// leaderOf is the node of a member that takes itself for the leader of a cluster and can be asked, nil when there is none.
func (w *world) leaderOf(c *cluster) *node {
	for _, n := range c.members {
		if n.leads(c) {
			return n
		}
	}
	return nil
}

// leads reports whether the node's member of a cluster takes itself for the leader.
func (n *node) leads(c *cluster) bool {
	if !n.up() {
		return false
	}
	m, err := n.raft.KeyMetrics(c.name)
	return err == nil && m.Err == nil && m.Role == core.RoleLeader
}

// anyLeader draws a cluster, and gives its leader.
func (w *world) anyLeader() (*cluster, *node) {
	c := w.clusters[w.random.IntN(len(w.clusters))]
	return c, w.leaderOf(c)
}

// duel silences a leader, so that others are elected: all at once, one of them with a slow disk, or amid crashes.
func (w *world) duel() bool {
	c, leader := w.anyLeader()
	if leader == nil {
		return false
	}
	w.laid[stands] = true
	w.laid[votes] = w.random.IntN(2) == 0
	if slow := c.anyMember(); slow != leader && slow.place != nil {
		slow.slow(w.within(10*time.Millisecond, 1200*time.Millisecond)) // beyond an election, too
	}
	switch w.random.IntN(3) {
	case 0:
		leader.crash(w.powerCut())
		w.later(10*time.Millisecond, 2*time.Second, leader.boot)
	case 1:
		w.standStill(leader)
	case 2:
		a, b := w.alone(leader)
		w.cut("partition", w.net.Partition(a, b), a, b)
	}
	return true
}

// rival has all members of a cluster stand for election at the same time, or nearly so: who is late hears of the others' term
// before it is asked for its vote.
func (w *world) rival(c *cluster) {
	late := []time.Duration{0, time.Millisecond, 5 * time.Millisecond}[w.random.IntN(3)]
	for _, n := range c.members {
		w.employ(func() {
			w.pause(w.within(0, late))
			if n.up() {
				n.call(patience, func(ctx context.Context, r *raft.Node) { _ = r.TriggerElection(ctx, c.server(n)) })
			}
		})
	}
}

// alone is some nodes, and all others.
func (w *world) alone(some ...*node) (a, b []raft.NodeID) {
	for _, x := range w.nodes {
		if slices.Contains(some, x) {
			a = append(a, x.id)
		} else {
			b = append(b, x.id)
		}
	}
	return a, b
}

// isolate cuts a leader off in the midst of work, perhaps with a node that it is to take for a member: what it appends then is to
// be overwritten, and what it answers is old.
func (w *world) isolate() bool {
	c, leader := w.anyLeader()
	if leader == nil {
		return false
	}
	a, b := w.alone(leader)
	added := w.stranger(c)
	if added != nil {
		a, b = w.alone(leader, added)
	}
	switch w.random.IntN(6) {
	case 0:
		w.cut("one-way cut", w.net.Cut(a, b), a, b)
	case 1:
		w.cut("one-way cut", w.net.Cut(b, a), b, a)
	default:
		w.cut("partition", w.net.Partition(a, b), a, b)
	}
	w.visit(c, leader, 1+w.random.IntN(6))
	w.trust(c, leader)
	w.employ(func() {
		w.pause(w.within(0, 100*time.Millisecond))
		switch {
		case added == nil || !leader.up():
			w.change(c, leader)
		case added.up() && !c.has(added):
			w.enlist(c, added, leader)
		}
	})
	return true
}

// trust has two clients read from a node for as long as it takes itself for the leader.
func (w *world) trust(c *cluster, n *node) {
	for range 2 {
		w.visitors++
		id := w.visitors
		w.employ(func() {
			for number := id << 32; n.leads(c) && !w.over; number++ {
				o := w.draw(id, number)
				o.op, o.query = opRead, true
				w.perform(c, n, o)
				w.pause(w.within(0, 50*time.Millisecond))
			}
		})
	}
}

// visit has some clients come to a node, each with one operation.
func (w *world) visit(c *cluster, n *node, count int) {
	for range count {
		w.visitors++
		o := w.draw(w.visitors, w.visitors<<32)
		w.employ(func() {
			w.pause(w.within(0, 30*time.Millisecond))
			if n.up() {
				w.perform(c, n, o)
			}
		})
	}
}

// slow makes commits of the node's disk take up to that long, for a while.
func (n *node) slow(most time.Duration) {
	d := n.disk
	n.w.note("commits of %s take up to %v", n, most)
	d.slow = int64(most)
	n.w.later(200*time.Millisecond, 3*time.Second, func() { d.slow = 0 })
}

func (w *world) slowDisk() bool {
	n := w.nodes[w.random.IntN(len(w.nodes))]
	if n.place == nil {
		return false
	}
	n.slow(w.within(time.Millisecond, 60*time.Millisecond))
	return true
}
