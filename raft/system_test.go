package raft_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/detector"
)

// withSecond gives each node of a house a second system, beside its directory; unless *without holds.
func withSecond(o houseOptions, without *bool) houseOptions {
	change := o.change
	o.change = func(n *raft.NodeOptions) {
		if change != nil {
			change(n)
		}
		if without == nil || !*without {
			n.Systems = map[string]raft.SystemOptions{"second": {Dir: n.Dir + "-second", Engine: n.Engine}}
		}
	}
	return o
}

// A cluster in a second system has its logs there alone, comes back from there, and is unknown while its system is left out.
func TestSystems(t *testing.T) {
	var without bool
	h := newHouseWith(t, 3, withSecond(tallies(nil), &without))
	ctx := ctxFor(t)
	h.start(ctx, "a", "tally", 0, 1, 2)
	h.startSecond(ctx, "b")
	for i := range 3 {
		second, err := h.nodes[i].EngineOf("second")
		if err != nil {
			t.Fatal(err)
		}
		if a, b := logs(h.nodes[i].Engine()), logs(second); a != 2 || b != 2 {
			t.Fatalf("node %d has %d and %d logs, want a server's and the directory's in each", i, a, b)
		}
	}
	if first, err := h.nodes[0].EngineOf(""); err != nil || first != h.nodes[0].Engine() {
		t.Fatal(err)
	}
	h.add(ctx, 0, "a")
	h.add(ctx, 0, "b")
	for i := range 3 {
		until(t, ctx, "both states", func() bool { return h.total(ctx, i, "a") == 1 && h.total(ctx, i, "b") == 1 })
	}
	h.wantSystems(ctx, 2)

	without = true
	h.reopen(0)
	if _, err := h.nodes[0].KeyMetrics("b"); !errors.Is(err, raft.ErrUnknownServer) {
		t.Fatal(err)
	}
	if got := h.add(ctx, 0, "a"); got != 2 {
		t.Fatal(got)
	}
	without = false
	h.reopen(0)
	if got := h.add(ctx, 0, "b"); got != 2 {
		t.Fatal(got)
	}
	until(t, ctx, "the state of the member that was away", func() bool { return h.total(ctx, 0, "b") == 2 })

	if err := h.nodes[0].StopServer(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	h.reopen(0)
	if err := h.nodes[0].RestartServer(ctx, "b", raft.RestartOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[0].DeleteServer(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	second, err := h.nodes[0].EngineOf("second")
	if err != nil || logs(second) != 1 {
		t.Fatal(logs(second), err)
	}
}

func (h *house) reopen(i int) {
	h.t.Helper()
	h.close(i)
	h.open(i)
}

// wantSystems wants each node to tell of both systems, of its servers, and of as many peers that are up.
func (h *house) wantSystems(ctx context.Context, peers int) {
	h.t.Helper()
	for i, n := range h.nodes {
		var o raft.NodeOverview
		until(h.t, ctx, "contact", func() bool {
			o = n.Overview()
			up := 0
			for _, p := range o.Peers {
				if p.State == detector.Up {
					up++
				}
			}
			return up == peers
		})
		if o.ID != h.id(i, "").Node || o.Life == 0 || len(o.Systems) != 2 || len(o.Servers) != 2 {
			h.t.Fatalf("node %d: %+v", i, o)
		}
		for k, name := range []string{raft.DefaultSystem, "second"} {
			s := o.Systems[k]
			if s.Name != name || s.Servers != 1 || s.Stats.Logs != 2 || s.Stats.Health != engine.HealthOK {
				h.t.Errorf("node %d: system %d is %+v", i, k, s)
			}
			if v := o.Servers[k]; v.System != name || v.Err != nil || v.Metrics.Term == 0 || v.ID != h.id(i, []string{"a", "b"}[k]) {
				h.t.Errorf("node %d: server %d is %+v", i, k, v)
			}
		}
	}
}

// What cannot be: a system that is not there, a name in two systems, options that contradict each other.
func TestSystemErrors(t *testing.T) {
	h := newHouseWith(t, 1, withSecond(tallies(nil), nil))
	ctx, n := ctxFor(t), h.nodes[0]
	if _, err := n.StartServer(ctx, raft.ServerConfig{Name: "x", Machine: "tally", System: "third"}); !errors.Is(err, raft.ErrUnknownSystem) {
		t.Error(err)
	}
	if _, err := n.EngineOf("third"); !errors.Is(err, raft.ErrUnknownSystem) {
		t.Error(err)
	}
	for _, system := range []string{"second", "", raft.DefaultSystem} {
		_, err := n.StartServer(ctx, raft.ServerConfig{Name: "x", Machine: "tally", System: system})
		if first := system == "second"; first && err != nil || !first && !errors.Is(err, raft.ErrExists) {
			t.Errorf("in %q: %v", system, err)
		}
	}
	_, err := n.StartCluster(ctx, raft.ClusterConfig{Machine: "tally", System: "third", Members: []raft.ServerID{h.id(0, "y")}})
	if !errors.Is(err, raft.ErrUnknownSystem) || !errors.Is(err, raft.ErrClusterNotFormed) {
		t.Error(err)
	}
	for name, change := range map[string]func(*raft.NodeOptions){
		"default's name": func(o *raft.NodeOptions) { o.Systems = map[string]raft.SystemOptions{raft.DefaultSystem: {Dir: "d"}} },
		"no name":        func(o *raft.NodeOptions) { o.Systems = map[string]raft.SystemOptions{"": {Dir: "d"}} },
		"no directory":   func(o *raft.NodeOptions) { o.Systems = map[string]raft.SystemOptions{"s": {}} },
		"one directory": func(o *raft.NodeOptions) {
			o.Systems = map[string]raft.SystemOptions{"s": {Dir: o.Dir}}
		},
	} {
		o := raft.NodeOptions{ID: "other", Dir: t.TempDir(), Network: raft.InProcess(h.net)}
		change(&o)
		if n, err := raft.OpenNode(o); err == nil {
			t.Errorf("%s: the node opens", name)
			_ = n.Close(ctx)
		}
	}
}

// A server that two systems have, because directories were mixed up, keeps the node from choosing one.
func TestSystemsWithOneName(t *testing.T) {
	h := newHouseWith(t, 1, tallies(nil))
	ctx := ctxFor(t)
	dirs := []string{t.TempDir(), t.TempDir()}
	open := func(o raft.NodeOptions) (*raft.Node, error) {
		o.ID, o.Network, o.Machines = "other", raft.InProcess(h.net), tallies(nil).machines
		return raft.OpenNode(o)
	}
	for _, dir := range dirs {
		n, err := open(raft.NodeOptions{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.StartServer(ctx, raft.ServerConfig{Name: "x", Machine: "tally"}); err != nil {
			t.Fatal(err)
		}
		if err := n.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	_, err := open(raft.NodeOptions{Dir: dirs[0], Systems: map[string]raft.SystemOptions{"second": {Dir: dirs[1]}}})
	if !errors.Is(err, raft.ErrExists) {
		t.Fatal(err)
	}
}

// The device of one system hangs, and then fails: leaders of that system hand over, and its servers stop; those of the other
// one notice nothing.
func TestSystemDeviceFails(t *testing.T) {
	o, devices := onDevices(3)
	h := newHouseWith(t, 3, withSecond(o, nil))
	ctx := ctxFor(t)
	h.start(ctx, "a", "tally", 0, 1, 2)
	h.startSecond(ctx, "b")
	const at, other = 0, 1
	h.lead(ctx, at, "a")
	h.lead(ctx, at, "b")
	h.add(ctx, at, "a")
	h.add(ctx, at, "b")
	unmoved := func() {
		t.Helper()
		if m := h.metrics(at, "a"); m.Err != nil || m.Role != core.RoleLeader {
			t.Fatalf("the server in the other system: %+v", m)
		}
		h.add(ctx, at, "a")
	}
	ofSecond := func(op errorfs.Op) bool { return strings.Contains(op.Name, "-second") && commits(op) }
	devices[at].Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.Stall, Match: ofSecond})
	h.add(ctx, other, "b")
	h.leader(ctx, other, "b", at)
	unmoved()
	devices[at].Heal()
	until(t, ctx, "the state", func() bool { return h.total(ctx, at, "b") == 2 })
	devices[at].Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.EIO, Match: func(op errorfs.Op) bool {
		return strings.Contains(op.Name, "-second")
	}})
	h.add(ctx, other, "b")
	until(t, ctx, "the end of the server", func() bool { return errors.Is(h.metrics(at, "b").Err, engine.ErrFailed) })
	unmoved()
	if err := h.nodes[at].Close(ctx); !errors.Is(err, engine.ErrFailed) {
		t.Errorf("close: %v", err)
	}
	h.nodes[at] = nil
	devices[at].Heal()
	h.open(at)
	until(t, ctx, "the state", func() bool { return h.total(ctx, at, "b") == 3 && h.total(ctx, at, "a") == 3 })
}

// startSecond starts a cluster in the second systems of three nodes.
func (h *house) startSecond(ctx context.Context, name string) {
	h.t.Helper()
	c := raft.ClusterConfig{Name: name, Machine: "tally", System: "second"}
	for i := range 3 {
		c.Members = append(c.Members, h.id(i, name))
	}
	if _, err := h.nodes[0].StartCluster(ctx, c); err != nil {
		h.t.Fatal(err)
	}
}
