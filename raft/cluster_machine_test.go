package raft_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// A machine that panics stops its member alone, with a typed cause, and others lead at once.
func TestClusterMachinePanics(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.start(ctx, "d", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	leader := h.leader(ctx, 0, "c")
	// Of a command that every member applies all would stop: this one is for the leader's machine.
	_, err := h.nodes[leader].LocalQuery(ctx, "c", func(m raft.Machine) (any, error) {
		m.(*tally).broken = true
		return nil, nil
	}, raft.QueryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.nodes[leader].Process(ctx, h.id(leader, "c"), one(), raft.ProcessOptions{})
	var p *raft.ProposalError
	if !errors.As(err, &p) || p.Outcome != raft.MaybeApplied {
		t.Fatal(err)
	}
	until(t, ctx, "the cause", func() bool { return errors.Is(h.metrics(leader, "c").Err, raft.ErrMachine) })
	other := (leader + 1) % 3
	h.leader(ctx, other, "c", leader)
	if got := h.add(ctx, other, "c"); got != 3 {
		t.Fatal(got)
	}
	if got := h.add(ctx, leader, "d"); got != 1 {
		t.Fatal(got)
	}
	if _, err := h.nodes[leader].LocalQuery(ctx, "c", stateOf, raft.QueryOptions{}); !errors.Is(err, raft.ErrStopped) || !errors.Is(err, raft.ErrMachine) {
		t.Fatal(err)
	}
	if err := h.nodes[leader].RestartServer(ctx, "c", raft.RestartOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the state", func() bool { return h.total(ctx, leader, "c") == 3 })
}

// A machine that blocks for ever holds up its own cluster only: others of its node go on, its server can be asked
// for its figures, calls end with their contexts, and the node closes when its caller does not wait.
func TestClusterMachineBlocks(t *testing.T) {
	gate := make(chan struct{})
	h := newHouseWith(t, 1, tallies(gate))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0)
	h.start(ctx, "d", "tally", 0)
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err := h.nodes[0].Process(short, h.id(0, "c"), cmdBlock, raft.ProcessOptions{})
	var p *raft.ProposalError
	if !errors.As(err, &p) || p.Outcome != raft.MaybeApplied || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if got := h.add(ctx, 0, "d"); got != 1 {
		t.Fatal(got)
	}
	if m := h.metrics(0, "c"); m.Commit <= m.Applied {
		t.Fatalf("commit %d, applied %d", m.Commit, m.Applied)
	}
	if err := h.nodes[0].StopServer(short, "c"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if _, err := h.nodes[0].StartServer(ctx, raft.ServerConfig{Name: "e", Machine: "tally"}); err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[0].Close(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	close(gate)
	h.close(0)
	h.open(0)
	until(t, ctx, "the state", func() bool { return h.total(ctx, 0, "d") == 1 })
}
