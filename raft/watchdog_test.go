package raft_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// TestH5LeadersHeldUp: more leaders of a node do not come out of a turn than the node has workers, and its logger does not return
// either. Their clusters have other leaders before long, although the node's heartbeats go on, and one that is not held up goes on
// leading there. Those that were held up follow when they go on.
func TestH5LeadersHeldUp(t *testing.T) {
	o, _ := onDevices(3)
	logged := &warnings{of: "a server is held up in its turn", gate: make(chan struct{})}
	before := o.change
	o.change = func(n *raft.NodeOptions) {
		before(n)
		n.Logger = slog.New(logged)
	}
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	const at, other = 0, 1
	h.start(ctx, "free", "tally", 0, 1, 2)
	h.lead(ctx, at, "free")
	defer close(logged.gate)
	var held []string
	for i := range runtime.GOMAXPROCS(0) + 1 {
		name := fmt.Sprintf("held%d", i)
		h.start(ctx, name, "tally", 0, 1, 2)
		h.lead(ctx, at, name)
		h.add(ctx, at, name)
		held = append(held, name)
	}
	beats, term := h.nodes[other].Heartbeats(), h.metrics(at, "free").Term
	var release []func()
	for _, name := range held {
		free := sync.OnceFunc(h.nodes[at].Hold(name))
		defer free()
		release = append(release, free)
	}
	for _, name := range held {
		h.leader(ctx, other, name, at)
		if sum := h.add(ctx, other, name); sum != 2 {
			t.Errorf("%s: the sum is %d", name, sum)
		}
	}
	h.add(ctx, at, "free")
	if m := h.metrics(at, "free"); m.Role != core.RoleLeader || m.Term != term {
		t.Errorf("the other cluster: %v in %d, led %d", m.Role, m.Term, term)
	}
	until(t, ctx, "heartbeats", func() bool { return h.nodes[other].Heartbeats() > beats })
	until(t, ctx, "what the operator is told", func() bool { return int(logged.count.Load()) >= len(held) })
	for _, f := range release {
		f()
	}
	for _, name := range held {
		until(t, ctx, "the state", func() bool { return h.total(ctx, at, name) == 2 && h.metrics(at, name).Role == core.RoleFollower })
	}
}
