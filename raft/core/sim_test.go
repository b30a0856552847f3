package core_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

var seeds = flag.Int("seeds", 200, "histories to try")
var fromSeed = flag.Uint64("from", 1, "first seed")

// TestSimulationRepeats runs the same histories twice: equal seeds, equal events.
func TestSimulationRepeats(t *testing.T) {
	for seed := range uint64(20) {
		var hash [2]uint64
		for k := range hash {
			w := newWorld(t, seed, 1+int(seed%5), int(seed%3))
			w.run()
			hash[k] = w.hash
		}
		if hash[0] != hash[1] {
			t.Errorf("seed %d: events %x and %x", seed, hash[0], hash[1])
		}
	}
}

// TestSimulation runs random histories and checks I3 to I6, I12 and I13 after every step, and that a cluster
// that is left alone agrees and goes on.
func TestSimulation(t *testing.T) {
	hit := map[string]int{}
	count := *seeds
	if testing.Short() {
		count = min(count, 20)
	}
	for k := range count {
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
	if count >= 200 {
		for _, what := range []string{"leader", "candidate", "pre_vote", "await_condition", "receive_snapshot", "truncate", "install", "offer",
			"abort", "snapshot", "refused", "read", "transfer", "add", "remove", "crash", "transfer failed", "one-way", "bridge",
			"flap", "pause", "reset", "membership", "promoted", "upgrade", "shrink", "epoch refused", "delete", "terminating",
			"ended 1", "ended 2", "result", "lost", "replaced"} {
			if hit[what] == 0 {
				t.Errorf("no history had: %s", what)
			}
		}
	}
	t.Log(hit)
}

// run is a history: trouble for a while, perhaps a disaster, then peace.
func (w *world) run() {
	w.faults, w.loss = true, float64(w.rng.IntN(20))/100
	for range 6000 {
		w.tick()
		w.work()
		if w.rng.IntN(100) == 0 {
			w.trouble()
		}
	}
	if w.rng.IntN(5) == 0 {
		w.disaster()
	}
	w.heal()
	w.peace(func() bool {
		return w.main.deleted || w.lost == nil && w.agreed() && len(w.main.committed) > w.healed+50
	})
	if !w.main.deleted && w.rng.IntN(8) > 0 {
		return
	}
	for range 100 {
		if !w.main.deleted {
			w.delete(w.nodes[w.rng.IntN(len(w.nodes))])
		}
		w.tick()
	}
	w.peace(w.ended)
}

// peace runs the cluster without trouble until it has got where it should be, for 10 virtual seconds at most.
func (w *world) peace(done func() bool) {
	w.healed = len(w.main.committed)
	for range 10_000 {
		w.tick()
		w.work()
		if w.rng.IntN(10) == 0 && done() && (w.main.deleted || w.waiting() == 0) {
			return
		}
	}
	for _, n := range w.nodes {
		last, written := n.srv.Last()
		c, i := n.srv.Configuration()
		w.t.Logf("node %d up %v gone %v %v leader %v %v last %v written %v commit %d machine %d of %d config %d %v", n.k, n.up, n.gone, n.srv.Role(),
			n.srv.Leader(), n.srv.State(), last, written, n.srv.Commit(), n.srv.Machine(), n.machine, i, c.Members)
	}
	w.fatalf("no agreement after the trouble: %d committed before, %d now, %d answers wait", w.healed, len(w.main.committed), w.waiting())
}

// disaster lets one server shrink the cluster to itself while the others live on without it, and grow again.
func (w *world) disaster() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if !n.up || n.b != w.main || w.main.deleted || w.lost != nil {
		return
	}
	n.full, n.stalled, n.paused = false, 0, 0
	n.step(core.LogReady{})
	w.nextRef++
	w.ask(n, func(ref uint64) core.Input { return core.ForceShrink{Ref: ref, Epoch: w.nextRef + 100} })
	for range 1000 {
		w.tick()
		w.work()
		if w.rng.IntN(50) == 0 && n.b == w.main {
			w.change(n, w.nodes[w.rng.IntN(len(w.nodes))])
		}
	}
}

// members are the nodes of the configuration that was committed last.
func (w *world) members() []*node {
	var list []*node
	for _, n := range w.nodes {
		if w.main.config.Has(n.self.ID, n.self.Incarnation) {
			list = append(list, n)
		}
	}
	return list
}

// waiting counts the answers that members owe: others may wait for ever.
func (w *world) waiting() (n int) {
	list := w.members()
	for _, r := range w.reads {
		if slices.Contains(list, w.nodes[r.node]) {
			n++
		}
	}
	for _, k := range w.asked {
		if slices.Contains(list, w.nodes[k]) {
			n++
		}
	}
	return n
}

// agreed reports whether all members have committed the same, with the newest machine.
func (w *world) agreed() bool {
	for _, n := range w.members() {
		if !n.up || n.srv.Commit() != core.Index(len(w.main.committed)) || n.srv.Machine() != w.newest {
			return false
		}
	}
	return true
}

// ended reports whether all members of a deleted cluster are gone, or those left are too few to hear of it.
func (w *world) ended() bool {
	if !w.main.deleted {
		return true // the deletion was refused, or lost with its leader
	}
	left := 0
	for _, n := range w.members() {
		if n.up && n.srv.Commit() >= core.Index(len(w.main.committed)) {
			return false
		}
		if m, _ := w.main.config.Member(n.self.ID); n.up && m.Membership == core.Voter {
			left++
		}
	}
	return left < w.main.config.Quorum()
}

// work proposes and reads.
func (w *world) work() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if !n.up || n.paused > w.now {
		return
	}
	w.readmit(n)
	switch w.rng.IntN(12) {
	case 0, 1:
		if n.srv.Role() != core.RoleLeader {
			return
		}
		var in core.Proposed
		for range 1 + w.rng.IntN(4) {
			w.nextRef++
			w.proposed[w.nextRef] = true
			in.Proposals = append(in.Proposals, core.Proposal{
				Kind: core.FirstShellKind, Data: fmt.Appendf(nil, "%d-%0*d", w.nextRef, w.rng.IntN(40), 0), Ref: w.nextRef})
		}
		n.step(in)
	case 2:
		if len(w.reads) > 20 {
			return
		}
		w.nextRef++
		w.reads[w.nextRef] = pendingRead{n.k, core.Index(len(n.b.committed))}
		w.hit["read"]++
		n.step(core.Read{Ref: w.nextRef})
	}
	if w.rng.IntN(200) == 0 {
		n.capture()
	}
}
