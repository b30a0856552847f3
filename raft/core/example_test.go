package core_test

import (
	"fmt"

	"github.com/rawl-db/rawl/raft/core"
)

// shell is the least that can drive a server: its log is a slice that is durable at once.
type shell struct {
	server *core.Server
	log    []core.Entry
}

// step feeds an input, carries out the effects and returns the messages for other servers.
func (h *shell) step(in core.Input) (out []core.Message) {
	e := h.server.Step(in)
	if e.Fault != nil {
		panic(e.Fault)
	}
	var next []core.Input
	if e.HardState != nil {
		next = append(next, core.HardStateWritten{State: *e.HardState})
	}
	if e.Truncate {
		h.log = h.log[:e.TruncateTo.Index]
	}
	if len(e.Append) > 0 {
		h.log = append(h.log, e.Append...)
		next = append(next, core.Written{ID: h.log[len(h.log)-1].ID()})
	}
	out = append(out, e.Messages...)
	for _, s := range e.Sends {
		out = append(out, core.Message{Head: s.Head, Body: core.Append{
			Prev: s.Prev, Commit: s.Commit, Probe: s.Probe, Entries: h.log[s.First-1 : s.Last]}})
		next = append(next, core.Sent{To: s.Head.To, Last: s.Last})
	}
	for _, in := range next { // from here on e is not valid
		out = append(out, h.step(in)...)
	}
	return out
}

// Three servers elect a leader, and commit one command.
func Example() {
	c := core.Configuration{Cluster: core.ClusterID{1}, Epoch: 1}
	for k, node := range []core.NodeID{"alpha", "beta", "gamma"} {
		c.Members = append(c.Members, core.Member{Membership: core.Voter, Identity: core.Identity{
			ID: core.ServerID{Name: "kv", Node: node}, UID: core.UID("kv-" + node), Incarnation: core.Incarnation(k + 1)}})
	}
	shells := map[core.NodeID]*shell{}
	for _, m := range c.Members {
		server, err := core.New(core.Options{Self: m.Identity}, core.Restore{Snapshot: core.SnapshotMeta{Configuration: c}})
		if err != nil {
			panic(err)
		}
		shells[m.ID.Node] = &shell{server: server}
		shells[m.ID.Node].step(core.Recovered{})
	}
	run := func(wire []core.Message) {
		for len(wire) > 0 {
			m := wire[0]
			wire = append(wire[1:], shells[m.To.Node].step(core.Received{Message: m})...)
		}
	}
	leader := shells["alpha"]
	run(leader.step(core.TriggerElection{}))
	run(leader.step(core.Proposed{Proposals: []core.Proposal{{Kind: core.FirstShellKind, Data: []byte("set x 1"), Ref: 1}}}))
	for _, m := range c.Members {
		h := shells[m.ID.Node]
		fmt.Println(m.ID, h.server.Role(), "committed", h.server.Commit(), string(h.log[1].Data))
	}
	// Output:
	// kv@alpha leader committed 2 set x 1
	// kv@beta follower committed 2 set x 1
	// kv@gamma follower committed 2 set x 1
}
