package raft_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// counted is a tally that counts what it applies.
type counted struct {
	tally
	applied *atomic.Int64
}

// Apply implements raft.Machine.
func (c *counted) Apply(ctx *raft.ApplyContext, command []byte) []byte {
	c.applied.Add(1)
	return c.tally.Apply(ctx, command)
}

// recoveryHouse is three nodes whose machines count what they apply, on each node for itself.
func recoveryHouse(t *testing.T, interval int) (h *house, applied *[3]atomic.Int64) {
	applied = new([3]atomic.Int64)
	o := houseOptions{change: func(o *raft.NodeOptions) {
		i := o.ID[1] - '0'
		o.RecoveryInterval = interval
		o.Machines = map[string]func() raft.Machine{"counted": func() raft.Machine { return &counted{applied: &applied[i]} }}
	}}
	return newHouseWith(t, 3, o), applied
}

// An orderly stop leaves a recovery checkpoint, from which the server goes on: of a server and of a node. One that is killed, or
// has its checkpoint lost, applies its log again.
func TestRecoveryCheckpoint(t *testing.T) {
	h, applied := recoveryHouse(t, 100)
	ctx := ctxFor(t)
	h.start(ctx, "c", "counted", 0, 1, 2)
	commands, sum := 0, 0
	more := func(count int) {
		for k := range count {
			if k%10 == 0 {
				h.tell(ctx, 1, "c", cmdKeep)
			} else {
				h.add(ctx, 1, "c")
				sum++
			}
			commands++
		}
	}
	state := func(m raft.Machine) (any, error) {
		return int64(m.(*counted).n)<<16 | int64(len(m.(*counted).live)), nil
	}
	settled := func() {
		until(t, ctx, "the state", func() bool {
			v, err := h.nodes[0].LocalQuery(ctx, "c", state, raft.QueryOptions{})
			return err == nil && v.(int64) == int64(sum)<<16|int64(commands-sum)
		})
	}
	check := func(how string, want int) {
		t.Helper()
		settled()
		if got := applied[0].Swap(0); got != int64(want) {
			t.Errorf("%s: %d commands were applied, want %d", how, got, want)
		}
	}
	more(50)
	check("at first", 50)
	h.close(0)
	h.open(0)
	check("too few for a checkpoint", 50)
	more(100)
	check("at first", 100)
	h.close(0)
	more(20)
	h.open(0)
	check("node closed", 20)
	log, err := h.nodes[0].Engine().Log(h.uid(ctx, 0, "c"))
	if err != nil {
		t.Fatal(err)
	}
	if list := log.Snapshots(); len(list) != 1 || list[0].Kind != engine.KindRecovery {
		t.Fatalf("%+v", list)
	}
	if m := h.metrics(0, "c"); m.Snapshot != 0 {
		t.Errorf("a recovery checkpoint counts as the snapshot at %d", m.Snapshot)
	}
	more(200)
	check("at first", 200)
	if err := h.nodes[0].StopServer(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	more(10)
	if err := h.nodes[0].RestartServer(ctx, "c", raft.RestartOptions{}); err != nil {
		t.Fatal(err)
	}
	check("server stopped", 10)
	h.ends[0].Abandon()
	image := filepath.Join(t.TempDir(), "image")
	if err := os.CopyFS(image, os.DirFS(h.dirs[0])); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(image, "logs", "*", "recovery-*"))
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	if err := os.Truncate(paths[0], 20); err != nil { // as a power cut may
		t.Fatal(err)
	}
	h.close(0)
	h.dirs[0] = image
	h.open(0)
	check("checkpoint lost", commands)
	more(1)
	check("in the end", 1)
}

// A machine that has failed, and one whose node wants none, leaves no checkpoint.
func TestRecoveryCheckpointNot(t *testing.T) {
	h, applied := recoveryHouse(t, 10)
	ctx := ctxFor(t)
	h.start(ctx, "c", "counted", 0)
	for range 20 {
		h.add(ctx, 0, "c")
	}
	if _, err := h.nodes[0].Process(ctx, h.id(0, "c"), []byte("panic"), raft.ProcessOptions{}); !errors.Is(err, raft.ErrMachine) {
		t.Fatal(err)
	}
	log, err := h.nodes[0].Engine().Log(h.nodes[0].Servers()[0].UID)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[0].StopServer(ctx, "c"); err != nil || len(log.Snapshots()) != 0 {
		t.Fatal(err, log.Snapshots())
	}
	h.start(ctx, "d", "counted", 1)
	for range 20 {
		h.add(ctx, 1, "d")
	}
	never := raft.ServerOptions{RecoveryInterval: -1}
	for range 2 {
		if err := h.nodes[1].StopServer(ctx, "d"); err != nil {
			t.Fatal(err)
		}
		applied[1].Store(0)
		if err := h.nodes[1].RestartServer(ctx, "d", raft.RestartOptions{Options: &never}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, ctx, "a leader", func() bool { return h.metrics(1, "d").Role == core.RoleLeader })
	if got := applied[1].Load(); got != 0 {
		t.Errorf("%d commands were applied behind the first checkpoint", got)
	}
	h.add(ctx, 1, "d")
	h.close(1)
	applied[1].Store(0)
	h.open(1)
	h.add(ctx, 1, "d")
	if got := applied[1].Load(); got != 2 {
		t.Errorf("%d commands were applied, want the two behind the only checkpoint", got)
	}
}

// What a restart overrides is kept through later restarts, of server and node, and takes effect.
func TestRestartOptions(t *testing.T) {
	o := tallies(nil)
	ticks := make(chan string, 1000)
	inner := sum(t)
	o.machines["clock"] = func() raft.Machine { return clock{inner(), "", ticks} }
	o.change = func(o *raft.NodeOptions) { o.TickInterval = time.Hour }
	h := newHouseWith(t, 1, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "clock", 0)
	h.start(ctx, "d", "clock", 0)
	options := raft.ServerOptions{TickInterval: time.Millisecond, WindowEntries: 10, WindowBytes: 1000, RecoveryInterval: 5,
		SnapshotTimeout: time.Minute, AwaitTimeout: time.Second}
	board, err := h.nodes[0].Leaderboard("c")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[0].StopServer(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	if l := board.Leader(); !l.IsZero() || board.Members() != nil {
		t.Errorf("a stopped server is on the board: %v", l)
	}
	for _, bad := range []raft.RestartOptions{
		{Options: &raft.ServerOptions{TickInterval: -1}}, {Options: &raft.ServerOptions{AwaitTimeout: time.Microsecond}},
		{Options: &raft.ServerOptions{WindowEntries: -1}}, {Options: &raft.ServerOptions{RecoveryInterval: -2}},
		{Options: &raft.ServerOptions{SnapshotTimeout: 1 << 62}}, {Cluster: string(make([]byte, 300))},
	} {
		if err := h.nodes[0].RestartServer(ctx, "c", bad); !errors.Is(err, raft.ErrMalformed) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := h.nodes[0].RestartServer(ctx, "c", raft.RestartOptions{Cluster: "renamed", Options: &options}); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		info := h.nodes[0].Servers()[0]
		if info.Cluster != "renamed" || info.Options != options || info.Err != nil {
			t.Errorf("%+v", info)
		}
		until(t, ctx, "a leader", func() bool { l, err := h.nodes[0].ClusterLeader("renamed"); return err == nil && !l.IsZero() })
		if _, err := h.nodes[0].ClusterLeader("c"); !errors.Is(err, raft.ErrUnknownServer) {
			t.Errorf("by its old name: %v", err)
		}
		for len(ticks) > 0 {
			<-ticks
		}
		select {
		case <-ticks:
		case <-ctx.Done():
			t.Fatal("it does not tick")
		}
	}
	check()
	for range 2 {
		if err := h.nodes[0].StopServer(ctx, "c"); err != nil {
			t.Fatal(err)
		}
		if err := h.nodes[0].RestartServer(ctx, "c", raft.RestartOptions{}); err != nil {
			t.Fatal(err)
		}
		check()
		h.close(0)
		h.open(0)
	}
	check()
	if other := h.nodes[0].Servers()[1]; other.Options != (raft.ServerOptions{}) || other.Cluster != "d" {
		t.Errorf("%+v", other)
	}
}

// A server leaves its cluster, a leader too, and stays out after restarts; the last voter stays.
func TestLeave(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	leader := h.leader(ctx, 0, "c")
	first, last := (leader+1)%3, (leader+2)%3
	if err := h.nodes[first].Leave(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[leader].Leave(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	if got := h.add(ctx, last, "c"); got != 2 {
		t.Fatal(got)
	}
	if err := h.nodes[last].Leave(ctx, "c"); !errors.Is(err, core.ErrBadMember) {
		t.Fatal(err)
	}
	for _, i := range []int{first, leader} {
		h.close(i)
		h.open(i)
		if err := h.nodes[i].Servers()[0].Err; !errors.Is(err, raft.ErrStopped) {
			t.Errorf("it runs again: %v", err)
		}
		if err := h.nodes[i].Leave(ctx, "c"); !errors.Is(err, raft.ErrStopped) {
			t.Error(err)
		}
		if err := h.nodes[i].DeleteServer(ctx, "c"); err != nil {
			t.Error(err)
		}
		if err := h.nodes[i].Leave(ctx, "c"); !errors.Is(err, raft.ErrUnknownServer) {
			t.Error(err)
		}
	}
	members, _, err := h.nodes[last].Members(ctx, h.id(last, "c"))
	if err != nil || len(members) != 1 {
		t.Fatal(members, err)
	}
	if got := h.add(ctx, last, "c"); got != 3 {
		t.Fatal(got)
	}
}

// A removed server that was away stops asking for elections when it comes back, disturbs nobody, and can be added again.
func TestRemovedComesBack(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	leader := h.leader(ctx, 0, "c")
	away := (leader + 1) % 3
	h.close(away)
	if err := h.nodes[leader].RemoveMember(ctx, h.id(leader, "c"), h.id(away, "c"), raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	term := h.metrics(leader, "c").Term
	h.open(away)
	until(t, ctx, "the answer to its question", func() bool {
		view, err := h.nodes[away].ServerOverview(ctx, h.id(away, "c"))
		return err == nil && view["removed"].(uint64) > 0
	})
	if err := h.nodes[away].TriggerElection(ctx, h.id(away, "c")); err != nil {
		t.Fatal(err)
	}
	if m := h.metrics(away, "c"); m.Role != core.RoleFollower {
		t.Errorf("it is %v", m.Role)
	}
	h.add(ctx, leader, "c")
	if m := h.metrics(leader, "c"); m.Role != core.RoleLeader || m.Term != term {
		t.Errorf("the leader is %v in term %d, was in %d", m.Role, m.Term, term)
	}
	if err := h.nodes[leader].AddMember(ctx, h.id(leader, "c"), h.id(away, "c"), raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the promotion", func() bool { return h.membership(ctx, leader, h.id(away, "c")) == core.Voter })
	if err := h.nodes[leader].TransferLeadership(ctx, h.id(leader, "c"), h.id(away, "c")); err != nil {
		t.Fatal(err)
	}
	if got := h.add(ctx, away, "c"); got != 3 {
		t.Fatal(got)
	}
}

// Who names a member that was removed and does not know the leader is led to the cluster by what that member still knows,
// also from a node that has no member.
func TestClientOfRemovedMember(t *testing.T) {
	h := newHouseWith(t, 4, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	away := (leader + 1) % 3
	h.close(away)
	if err := h.nodes[leader].RemoveMember(ctx, h.id(leader, "c"), h.id(away, "c"), raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	h.open(away)
	for _, from := range []int{3, away} {
		members, by, err := h.nodes[from].Members(ctx, h.id(away, "c"))
		if err != nil || len(members) != 2 || by != h.id(leader, "c") {
			t.Errorf("from node %d: %v led by %v, %v", from, members, by, err)
		}
	}
	for i, from := range []int{3, away} {
		reply, err := h.nodes[from].Process(ctx, h.id(away, "c"), one(), raft.ProcessOptions{})
		if err != nil || binary.LittleEndian.Uint64(reply.Data) != uint64(i+1) {
			t.Errorf("command %d: %v, %v", i, reply.Data, err)
		}
	}
}

// A member that has stopped, because it led its own removal or because it was told to, leads clients to the others.
func TestClientOfStoppedMember(t *testing.T) {
	h := newHouseWith(t, 5, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2, 3)
	removed := h.leader(ctx, 0, "c")
	if err := h.nodes[removed].RemoveMember(ctx, h.id(removed, "c"), h.id(removed, "c"), raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the end of the removed one", func() bool { return errors.Is(h.metrics(removed, "c").Err, raft.ErrRemoved) })
	leader := h.leader(ctx, (removed+1)%4, "c", removed)
	stopped := (leader + 1) % 4
	if stopped == removed {
		stopped = (leader + 2) % 4
	}
	if err := h.nodes[stopped].StopServer(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	want := uint64(0)
	for _, to := range []int{removed, stopped} {
		for _, from := range []int{4, to, leader} {
			members, by, err := h.nodes[from].Members(ctx, h.id(to, "c"))
			if err != nil || len(members) != 3 || by != h.id(leader, "c") {
				t.Errorf("from node %d at %d: %v led by %v, %v", from, to, members, by, err)
			}
			want++
			reply, err := h.nodes[from].Process(ctx, h.id(to, "c"), one(), raft.ProcessOptions{})
			if err != nil || binary.LittleEndian.Uint64(reply.Data) != want {
				t.Errorf("command %d: %v, %v", want, reply.Data, err)
			}
		}
	}
}

// A board shows who leads while members come and go, and others than the leader see a transfer.
func TestLeaderboard(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	if _, err := h.nodes[0].Leaderboard("c"); !errors.Is(err, raft.ErrUnknownServer) {
		t.Fatal(err)
	}
	members := []raft.ServerID{h.id(0, "a"), h.id(1, "b"), h.id(2, "c")}
	if _, err := h.nodes[0].StartCluster(ctx, raft.ClusterConfig{Name: "all", Machine: "tally", Members: members}); err != nil {
		t.Fatal(err)
	}
	board, err := h.nodes[0].Leaderboard("all")
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	stop := make(chan struct{})
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if n := len(board.Members()); n != 0 && n != 3 {
					t.Errorf("%d members", n)
				}
			}
		}
	})
	for _, to := range members {
		if err := h.nodes[0].TransferLeadership(ctx, members[0], to); err != nil {
			t.Fatal(err)
		}
		until(t, ctx, "the new leader", func() bool { return board.Leader() == to })
	}
	if err := h.nodes[0].StopServer(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if l := board.Leader(); !l.IsZero() {
		t.Errorf("%v", l)
	}
	if err := h.nodes[0].RestartServer(ctx, "a", raft.RestartOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the leader", func() bool { return board.Leader() == members[2] })
	if n := testing.AllocsPerRun(100, func() { board.Leader() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	close(stop)
	readers.Wait()
	if err := h.nodes[0].DeleteServer(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.nodes[0].ClusterLeader("all"); !errors.Is(err, raft.ErrUnknownServer) {
		t.Fatal(err)
	}
}
