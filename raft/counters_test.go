package raft_test

import (
	"errors"
	"testing"

	"github.com/rawl-db/rawl/raft"
)

// What a cluster does is counted where it happens, once.
func TestCounters(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	leader := h.leader(ctx, 0, "c")
	n, id := h.nodes[leader], h.id(leader, "c")
	before := h.metrics(leader, "c").Counters
	const commands = 20
	for range commands {
		h.add(ctx, leader, "c")
	}
	for range 3 {
		if err := second(n.LocalQuery(ctx, "c", stateOf, raft.QueryOptions{})); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := second(n.ConsistentRead(ctx, "c", stateOf)); err != nil {
			t.Fatal(err)
		}
	}
	if err := second(n.AuxCommand(ctx, id, nil)); !errors.Is(err, raft.ErrNoAux) {
		t.Fatal(err)
	}
	log := n.Overview().Servers[0].Log
	if log.Last.Index != h.metrics(leader, "c").Last || log.Quarantine != nil || log.MemoryBytes == 0 {
		t.Errorf("its log is %+v", log)
	}
	h.tell(ctx, leader, "c", cmdRelease)
	until(t, ctx, "the snapshot", func() bool { return h.metrics(leader, "c").Counters[raft.CounterSnapshots] == 1 })
	after := h.metrics(leader, "c").Counters
	for c, want := range map[raft.Counter]uint64{
		raft.CounterCommands: commands + 1, raft.CounterAppended: commands + 1, raft.CounterLocalQueries: 3, raft.CounterConsistentQueries: 2,
		raft.CounterAuxCommands: 1, raft.CounterEntries: commands + 1, raft.CounterColdEntries: 0, raft.CounterPromotions: 0, raft.CounterReleaseCursors: 1, raft.CounterRefused: 0, raft.CounterElections: 0,
	} {
		if got := after[c] - before[c]; got != want {
			t.Errorf("%v grew by %d, want %d", c, got, want)
		}
	}
	if after[raft.CounterLeaderships] == 0 || after[raft.CounterHardStates] == 0 || after[raft.CounterMessages] == 0 ||
		after[raft.CounterSnapshotBytes] == 0 {
		t.Errorf("the leader has %v", after)
	}
	until(t, ctx, "a follower that has all", func() bool { return h.metrics((leader+1)%3, "c").Last == h.metrics(leader, "c").Last })
	follower := h.metrics((leader+1)%3, "c")
	if c := follower.Counters; c[raft.CounterAppends] == 0 || c[raft.CounterAccepted] == 0 || c[raft.CounterEntries] < commands || c[raft.CounterCommands] != 0 {
		t.Errorf("a follower has %v", c)
	}
	s := n.Stats()
	if s.BatchCommands.Count != after[raft.CounterAppended] || s.BatchCommands.Sum != after[raft.CounterCommands] {
		t.Errorf("%d commands in %d batches", s.BatchCommands.Sum, s.BatchCommands.Count)
	}
	if m := h.metrics(leader, "c"); s.ApplyEntries.Sum < uint64(m.Applied) {
		t.Errorf("%d entries were applied, the server has %d", s.ApplyEntries.Sum, m.Applied)
	}
	if s.CommitNanos.Count == 0 || s.CommitNanos.Quantile(0.5) == 0 {
		t.Errorf("%d entries were timed", s.CommitNanos.Count)
	}
}

// Names of counters are told apart, and a server that does nothing has no counters.
func TestCounterNames(t *testing.T) {
	seen := make(map[string]bool)
	for c := range (raft.Counters{}) {
		name := raft.Counter(c).String()
		if name == "" || seen[name] {
			t.Errorf("counter %d is %q", c, name)
		}
		seen[name] = true
	}
	if got := raft.Counter(200).String(); got != "counter_200" {
		t.Error(got)
	}
	h := newHouseWith(t, 1, tallies(nil))
	if _, err := h.nodes[0].StartServer(ctxFor(t), raft.ServerConfig{Name: "c", Machine: "tally"}); err != nil {
		t.Fatal(err)
	}
	if h.nodes[0].Counts("c") {
		t.Error("a server that was never led has counters")
	}
}
