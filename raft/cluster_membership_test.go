package raft_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// membership is what a server counts for, as the leader has it; 0 for none.
func (h *house) membership(ctx context.Context, i int, id raft.ServerID) core.Membership {
	h.t.Helper()
	members, _, err := h.nodes[i].Members(ctx, h.id(i, id.Name))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, m := range members {
		if m.ID == id {
			return m.Membership
		}
	}
	return 0
}

// A server is added, becomes a voter when it has caught up, and is removed again.
func TestClusterAddRemove(t *testing.T) {
	h := newHouseWith(t, 4, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	for range 20 {
		h.add(ctx, 0, "c")
	}
	id, err := h.nodes[3].StartServer(ctx, raft.ServerConfig{Name: "c", Machine: "tally"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[1].AddMember(ctx, h.id(1, "c"), id, raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the promotion", func() bool { return h.membership(ctx, 0, id) == core.Voter })
	if err := h.nodes[1].AddMember(ctx, h.id(1, "c"), id, raft.MemberOptions{}); !errors.Is(err, core.ErrAlreadyMember) {
		t.Fatalf("added twice: %v", err)
	}
	until(t, ctx, "the new one's state", func() bool { return h.total(ctx, 3, "c") == 20 })
	if err := h.nodes[0].SetMembership(ctx, h.id(0, "c"), id, raft.MemberOptions{Membership: core.NonVoter}); err != nil {
		t.Fatal(err)
	}
	if got := h.membership(ctx, 0, id); got != core.NonVoter {
		t.Fatal(got)
	}
	err = h.nodes[0].SetMembership(ctx, h.id(0, "c"), id, raft.MemberOptions{Membership: core.Voter, Expected: 1})
	if err == nil {
		t.Fatal("a change of another configuration was made")
	}
	if err := h.nodes[2].RemoveMember(ctx, h.id(2, "c"), id, raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[3].DeleteServer(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[3].DeleteServer(ctx, "c"); !errors.Is(err, raft.ErrUnknownServer) {
		t.Fatal(err)
	}
	if got := h.add(ctx, 0, "c"); got != 21 {
		t.Fatal(got)
	}
}

// A leader removes itself: the others elect, and the caller knows that it is done.
func TestClusterLeaderRemovesItself(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	leader := h.leader(ctx, 0, "c")
	other := (leader + 1) % 3
	if err := h.nodes[leader].RemoveMember(ctx, h.id(leader, "c"), h.id(leader, "c"), raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "its end", func() bool { return errors.Is(h.metrics(leader, "c").Err, raft.ErrRemoved) })
	if got := h.add(ctx, other, "c"); got != 2 {
		t.Fatal(got)
	}
	if got := h.membership(ctx, other, h.id(leader, "c")); got != 0 {
		t.Fatal(got)
	}
}

// Leadership is handed over, also when the target is asked; to one that is down it fails and the leader goes on.
func TestClusterTransfer(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	target := (leader + 1) % 3
	h.add(ctx, leader, "c")
	if err := h.nodes[target].TransferLeadership(ctx, h.id(target, "c"), h.id(target, "c")); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the target's leadership", func() bool { return h.metrics(target, "c").Role == core.RoleLeader })
	if err := h.nodes[0].TransferLeadership(ctx, h.id(0, "c"), h.id(target, "c")); err != nil {
		t.Fatal("to the leader itself:", err)
	}
	h.add(ctx, target, "c")
	down := (target + 1) % 3
	h.close(down)
	err := h.nodes[target].TransferLeadership(ctx, h.id(target, "c"), h.id(down, "c"))
	if !errors.Is(err, core.ErrTransferTimeout) {
		t.Fatal(err)
	}
	if err := h.nodes[target].TransferLeadership(ctx, h.id(target, "c"), h.id(9, "c")); !errors.Is(err, core.ErrNotMember) {
		t.Fatal(err)
	}
	if got := h.add(ctx, target, "c"); got != 3 {
		t.Fatal(got)
	}
	if m := h.metrics(target, "c"); m.Role != core.RoleLeader {
		t.Fatal(m.Role)
	}
}

// A deleted cluster leaves nothing behind, not even on a node that was away.
func TestClusterDelete(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	leader := h.leader(ctx, 0, "c")
	away := (leader + 1) % 3
	h.close(away)
	if err := h.nodes[leader].DeleteCluster(ctx, h.id(leader, "c")); err != nil {
		t.Fatal(err)
	}
	h.open(away)
	for i := range 3 {
		until(t, ctx, "the deletion", func() bool { return len(h.nodes[i].Servers()) == 0 && h.logs(i) == 1 })
	}
	_, err := h.nodes[0].Process(ctx, h.id(1, "c"), one(), raft.ProcessOptions{})
	var p *raft.ProposalError
	if !errors.As(err, &p) || !errors.Is(err, raft.ErrUnknownServer) || p.Outcome != raft.NotApplied {
		t.Fatal(err)
	}
	h.start(ctx, "c", "tally", 0, 1, 2)
	if got := h.add(ctx, 1, "c"); got != 1 {
		t.Fatal(got)
	}
}

// logs counts the logs of a node's default engine.
func (h *house) logs(i int) int { return logs(h.nodes[i].Engine()) }

// logs counts the logs of an engine, that of its directory among them.
func logs(e *engine.Engine) (n int) {
	for range e.Logs() {
		n++
	}
	return n
}

// Servers are stopped and run again, by their node's next life too; names and uids are used once.
func TestClusterStopRestart(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	uid := h.uid(ctx, 0, "c")
	for _, c := range []struct {
		config raft.ServerConfig
		want   error
	}{
		{raft.ServerConfig{Name: "c", Machine: "tally"}, raft.ErrExists},
		{raft.ServerConfig{Name: "d", UID: uid, Machine: "tally"}, raft.ErrExists},
		{raft.ServerConfig{Name: "d", UID: "_servers", Machine: "tally"}, raft.ErrExists},
		{raft.ServerConfig{Name: "d", Machine: "nobody's"}, raft.ErrUnknownMachine},
		{raft.ServerConfig{Name: "", Machine: "tally"}, core.ErrBadID},
	} {
		if _, err := h.nodes[0].StartServer(ctx, c.config); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.config, err, c.want)
		}
	}
	if err := h.nodes[0].RestartServer(ctx, "c", raft.RestartOptions{}); !errors.Is(err, raft.ErrRunning) {
		t.Fatal(err)
	}
	if err := h.nodes[0].RestartServer(ctx, "d", raft.RestartOptions{}); !errors.Is(err, raft.ErrUnknownServer) {
		t.Fatal(err)
	}
	for range 3 {
		if err := h.nodes[0].StopServer(ctx, "c"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.nodes[0].LocalQuery(ctx, "c", stateOf, raft.QueryOptions{}); !errors.Is(err, raft.ErrStopped) {
			t.Fatal(err)
		}
		h.add(ctx, 1, "c")
		if err := h.nodes[0].RestartServer(ctx, "c", raft.RestartOptions{}); err != nil {
			t.Fatal(err)
		}
		h.add(ctx, 0, "c")
	}
	if err := h.nodes[0].StopServer(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	h.close(0)
	h.open(0)
	if list := h.nodes[0].Servers(); len(list) != 1 || list[0].ID != h.id(0, "c") || list[0].UID != uid ||
		list[0].Cluster != "c" || list[0].Machine != "tally" || !errors.Is(list[0].Err, raft.ErrStopped) {
		t.Fatalf("%+v", list)
	}
	if err := h.nodes[0].RestartServer(ctx, "c", raft.RestartOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the state", func() bool { return h.total(ctx, 0, "c") == 7 })
	v, err := h.nodes[0].ConsistentQuery(ctx, h.id(0, "c"), "n", nil)
	if err != nil || binary.LittleEndian.Uint64(v) != 7 {
		t.Fatal(v, err)
	}
}

// A cluster starts without a minority of its members, and not without a majority: then nothing is left of it.
func TestClusterStartWithNodesAway(t *testing.T) {
	o := tallies(nil)
	o.watchful = true
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	members := []raft.ServerID{h.id(0, "c"), h.id(1, "c"), h.id(2, "c")}
	config := raft.ClusterConfig{Name: "c", Machine: "tally", Members: members}
	for _, how := range []string{"closed", "cut off"} {
		if how == "closed" {
			h.close(1)
			h.close(2)
		} else if err := h.net.Partition(ids(0), ids(1, 2)); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, 3*time.Second)
		_, err := h.nodes[0].StartCluster(short, config)
		cancel()
		if !errors.Is(err, raft.ErrClusterNotFormed) {
			t.Fatalf("%s: %v", how, err)
		}
		if len(h.nodes[0].Servers()) != 0 || h.logs(0) != 1 {
			t.Fatalf("%s: left behind: %v, %d logs", how, h.nodes[0].Servers(), h.logs(0))
		}
		if how == "closed" {
			h.open(1)
			h.open(2)
		} else {
			h.net.HealAll()
		}
	}
	if _, err := h.nodes[0].StartCluster(ctx, raft.ClusterConfig{Name: "c", Machine: "nobody's", Members: members}); !errors.Is(err, raft.ErrClusterNotFormed) {
		t.Fatal(err)
	}
	if err := h.net.Partition(ids(0, 1), ids(2)); err != nil {
		t.Fatal(err)
	}
	started, err := h.nodes[0].StartCluster(ctx, config)
	if err != nil || len(started) != 2 {
		t.Fatal(started, err)
	}
	if got := h.add(ctx, 1, "c"); got != 1 {
		t.Fatal(got)
	}
	if _, err := h.nodes[0].StartCluster(ctx, config); !errors.Is(err, raft.ErrClusterNotFormed) {
		t.Fatal("started twice:", err)
	}
	if got := h.add(ctx, 0, "c"); got != 2 {
		t.Fatal(got)
	}
}
