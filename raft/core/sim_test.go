package core_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

var seeds = flag.Int("seeds", 60, "histories to try")
var fromSeed = flag.Uint64("from", 1, "first seed")

// TestSimulation runs random histories and checks I3 to I6, I12 and I13 after every step, and that a cluster
// that is left alone agrees and goes on.
func TestSimulation(t *testing.T) {
	hit := map[string]int{}
	for k := range *seeds {
		seed := *fromSeed + uint64(k)
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed, 1+int(seed%5), int(seed%3))
			w.run()
			for what, n := range w.hit {
				hit[what] += n
			}
		})
		if !ok {
			return
		}
	}
	if *seeds >= 60 {
		for _, what := range []string{"leader", "candidate", "pre_vote", "await_condition", "receive_snapshot", "truncate", "install", "offer",
			"abort", "snapshot", "refused", "read", "transfer", "add", "remove", "crash", "transfer failed"} {
			if hit[what] == 0 {
				t.Errorf("no history had: %s", what)
			}
		}
	}
	t.Log(hit)
}

// run is a history: trouble for a while, then peace.
func (w *world) run() {
	w.faults, w.loss = true, float64(w.rng.IntN(20))/100
	for range 6000 {
		w.tick()
		w.work()
		if w.rng.IntN(100) == 0 {
			w.trouble()
		}
	}
	w.heal()
	before := len(w.committed)
	for range 10_000 {
		w.tick()
		w.work()
		if w.rng.IntN(10) == 0 && w.agreed() && len(w.committed) > before+50 && w.waiting() == 0 {
			return
		}
	}
	for _, n := range w.nodes {
		last, written := n.srv.Last()
		c, i := n.srv.Configuration()
		w.t.Logf("node %d up %v gone %v %v leader %v %v last %v written %v commit %d config %d %v", n.k, n.up, n.gone, n.srv.Role(),
			n.srv.Leader(), n.srv.State(), last, written, n.srv.Commit(), i, c.Members)
	}
	w.fatalf("no agreement after the trouble: %d committed before, %d now, %d reads wait", before, len(w.committed), w.waiting())
}

// members are the nodes of the configuration that the most advanced server has committed.
func (w *world) members() []*node {
	var best *node
	for _, n := range w.nodes {
		if n.up && (best == nil || n.srv.Commit() > best.srv.Commit()) {
			best = n
		}
	}
	if best == nil {
		return nil
	}
	c, _ := best.srv.Configuration()
	var list []*node
	for _, n := range w.nodes {
		if c.Has(n.self.ID, n.self.Incarnation) {
			list = append(list, n)
		}
	}
	return list
}

// waiting counts the reads that members wait for: others may wait for ever.
func (w *world) waiting() (n int) {
	list := w.members()
	for _, r := range w.reads {
		if slices.Contains(list, w.nodes[r.node]) {
			n++
		}
	}
	return n
}

// agreed reports whether all members have committed the same.
func (w *world) agreed() bool {
	for _, n := range w.members() {
		if !n.up || n.srv.Commit() != core.Index(len(w.committed)) {
			return false
		}
	}
	return true
}

// work proposes and reads.
func (w *world) work() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if !n.up {
		return
	}
	w.notice(n)
	switch w.rng.IntN(12) {
	case 0, 1:
		if n.srv.Role() != core.RoleLeader {
			return
		}
		var in core.Proposed
		for range 1 + w.rng.IntN(4) {
			w.nextRef++
			in.Proposals = append(in.Proposals, core.Proposal{
				Kind: core.FirstShellKind, Data: fmt.Appendf(nil, "%d-%0*d", w.nextRef, w.rng.IntN(40), 0), Ref: w.nextRef})
		}
		n.step(in)
	case 2:
		if w.waiting() > 20 {
			return
		}
		w.nextRef++
		w.reads[w.nextRef] = pendingRead{n.k, core.Index(len(w.committed))}
		w.hit["read"]++
		n.step(core.Read{Ref: w.nextRef})
	}
	if w.rng.IntN(200) == 0 {
		n.capture()
	}
}

// trouble is one fault, or one change.
func (w *world) trouble() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	o := w.nodes[w.rng.IntN(len(w.nodes))]
	switch w.rng.IntN(14) {
	case 0, 1:
		w.hit["crash"]++
		w.crash(n)
	case 2, 3:
		if !n.up && !n.gone {
			n.start()
			w.contact()
		}
	case 4:
		w.cut[[2]int{n.k, o.k}] = true
		w.contact()
	case 5:
		w.cut[[2]int{n.k, o.k}], w.cut[[2]int{o.k, n.k}] = true, true
		w.contact()
	case 6, 7:
		clear(w.cut)
		w.contact()
	case 8:
		n.stalled = w.now + int64(w.rng.IntN(1500))
		n.step(core.DiskStalled{})
	case 9:
		n.full = !n.full
		if !n.full {
			n.step(core.LogReady{})
		}
	case 10:
		w.nextRef++
		w.hit["transfer"]++
		n.step(core.TransferLeadership{Ref: w.nextRef, To: o.self.ID})
	case 11:
		n.step(core.TriggerElection{})
	case 12:
		if n.up && !n.srv.Leader().IsZero() {
			n.step(core.LeaderLost{Leader: n.srv.Leader(), Term: n.srv.State().Term})
		}
	case 13:
		w.change(n, o)
	}
}

func (w *world) crash(n *node) {
	for ref, p := range w.reads {
		if p.node == n.k {
			delete(w.reads, ref)
		}
	}
	n.crash()
}

// change asks for a membership change.
func (w *world) change(n, o *node) {
	if !n.up || n.srv.Role() != core.RoleLeader {
		return
	}
	c, _ := n.srv.Configuration()
	w.nextRef++
	in := core.ChangeMembership{Ref: w.nextRef, Change: core.RemoveMember, Member: core.Member{Identity: o.self}}
	if _, ok := c.Member(o.self.ID); !ok {
		if _, had := w.wasMember(o); had || o.gone {
			w.crash(o)
			o.fresh()
			o.start()
			w.contact()
		}
		in.Change = core.AddMember
		in.Member = core.Member{Identity: o.self, Membership: core.Membership(1 + w.rng.IntN(3))}
		w.hit["add"]++
	} else if len(c.Members) < 3 {
		return
	} else {
		w.hit["remove"]++
	}
	n.step(in)
}

// notice tells a server that its leader does not lead, as heartbeats between nodes do.
func (w *world) notice(n *node) {
	id := n.srv.Leader()
	if id.IsZero() || n.downs[index(id.Node)] || w.rng.IntN(20) > 0 {
		return
	}
	if l := w.nodes[index(id.Node)]; l.gone || l.up && l.srv.Leader() != id {
		n.step(core.LeaderLost{Leader: id, Term: n.srv.State().Term})
	}
}

// contact tells the servers which nodes they are in contact with in both directions.
func (w *world) contact() {
	for _, n := range w.nodes {
		for _, o := range w.nodes {
			down := !o.up || w.cut[[2]int{n.k, o.k}] || w.cut[[2]int{o.k, n.k}]
			if n == o || !n.up || n.downs[o.k] == down {
				continue
			}
			n.downs[o.k] = down
			if down {
				n.step(core.NodeDown{Node: o.self.ID.Node})
			} else {
				n.step(core.NodeUp{Node: o.self.ID.Node})
			}
		}
	}
}

// heal ends all trouble.
func (w *world) heal() {
	w.note("healed")
	w.faults, w.loss = false, 0
	clear(w.cut)
	for _, n := range w.nodes {
		n.stalled = 0
		if n.full {
			n.full = false
			n.step(core.LogReady{})
		}
		if !n.up && !n.gone {
			n.start()
		}
	}
	w.contact()
}

// wasMember reports whether a node's life was in a cluster: it must not come back as the same.
func (w *world) wasMember(n *node) (core.Configuration, bool) {
	if !n.up {
		return core.Configuration{}, true
	}
	c, _ := n.srv.Configuration()
	return c, c.Cluster != core.ClusterID{}
}
