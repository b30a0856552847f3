package raft_test

import (
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
)

// clock tells where it ticks.
type clock struct {
	raft.Machine
	node  string
	ticks chan<- string
}

func (c clock) Tick(int64, *raft.Effects) { c.tell("tick ") }

func (c clock) HandleAux(_ *raft.AuxContext, e raft.AuxEvent) ([]byte, error) {
	switch e.Kind {
	case raft.AuxTick:
		c.tell("aux ")
	case raft.AuxCall:
		return append([]byte("call "), e.Command...), nil
	case raft.AuxCast:
		c.tell("cast " + string(e.Command) + " ")
	}
	return nil, nil
}

func (c clock) tell(what string) {
	select {
	case c.ticks <- what + c.node:
	default:
	}
}

// clockHouse is three nodes, not in a house, that tick often.
func clockHouse(t *testing.T) (*house, []raft.ServerID, <-chan string) {
	t.Helper()
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()} // they go when the nodes are closed
	h := newHouse(t, 0)
	ticks := make(chan string, 1000)
	inner := sum(t)
	for i := range 3 {
		id := fmt.Sprintf("n%d", i)
		n, err := raft.OpenNode(raft.NodeOptions{ID: id, Dir: dirs[i], Network: raft.InProcess(h.net), TickInterval: 1e6,
			Machines: map[string]func() raft.Machine{"clock": func() raft.Machine { return clock{inner(), id, ticks} }},
			Engine:   engine.Options{WALFileBytes: 1 << 20, MemoryBytes: 64 << 20, Strategy: engine.StrategyNone}})
		if err != nil {
			t.Fatal(err)
		}
		h.nodes = append(h.nodes, n)
	}
	members := h.members("clock")
	if _, err := h.nodes[0].StartCluster(ctxFor(t), raft.ClusterConfig{Machine: "clock", Members: members}); err != nil {
		t.Fatal(err)
	}
	return h, members, ticks
}

// A machine ticks on the leader, its companion on every member, again and again.
func TestTicks(t *testing.T) {
	h, members, ticks := clockHouse(t)
	ctx := ctxFor(t)
	if err := h.nodes[0].TransferLeadership(ctx, members[0], members[2]); err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int)
	for counts["aux n0"] < 3 || counts["aux n1"] < 3 || counts["aux n2"] < 3 || counts["tick n2"] < 3 {
		select {
		case what := <-ticks:
			counts[what]++
		case <-ctx.Done():
			t.Fatal(counts)
		}
	}
}
