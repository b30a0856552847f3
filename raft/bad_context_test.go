package raft_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport"
)

// A context that has ended keeps every call from doing anything, and proposals say so.
func TestBadContextBefore(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	session, err := h.nodes[0].OpenSession(ctx, h.id(0, "c"), raft.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	leader := h.leader(ctx, 0, "c")
	// Behind the leader's first entry, the command and the session the leader ends those of the node's earlier lives.
	until(t, ctx, "what follows a session", func() bool { return h.metrics(leader, "c").Last >= 4 })
	before := h.metrics(leader, "c")
	for i, n := range h.nodes { // of the leader's node, and of others
		list := append(callsTo(n, h.id(i, "c")), localCalls(n, "c")...)
		list = append(list,
			badCall{name: "session", proposal: true, call: func(ctx context.Context) error {
				return second(session.Process(ctx, one(), raft.ProcessOptions{}))
			}},
			badCall{name: "keep-alive", proposal: true, call: session.KeepAlive},
			badCall{name: "StartServer", call: func(ctx context.Context) error {
				return second(n.StartServer(ctx, raft.ServerConfig{Name: "x", Machine: "tally"}))
			}},
			badCall{name: "StartCluster", call: func(ctx context.Context) error {
				return second(n.StartCluster(ctx, raft.ClusterConfig{Machine: "tally", Members: h.members("x")}))
			}},
			badCall{name: "StartOrRestart", call: func(ctx context.Context) error {
				return n.StartOrRestart(ctx, raft.ClusterConfig{Machine: "tally", Members: h.members("x")})
			}})
		for _, b := range want(list, true, context.Canceled) {
			if b.name == "Pipeline" || b.name == "TriggerCompaction" || b.name == "ReadEntries" {
				continue // sending takes no context, the others look at it when they have something to read
			}
			t.Run(b.name, func(t *testing.T) { b.check(t, ended()) })
		}
		if list := n.Servers(); len(list) != 1 || list[0].Err != nil {
			t.Errorf("node %d: %+v", i, list)
		}
	}
	after := h.metrics(leader, "c")
	if after.Term != before.Term || after.Last != before.Last || after.Role != before.Role {
		t.Errorf("%+v, was %+v", after, before)
	}
}

// What a command's context can end in the midst of, and what is known of the command then.
func TestBadContextStages(t *testing.T) {
	gate := make(chan struct{})
	h := newHouseWith(t, 4, tallies(gate))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	leader := h.leader(ctx, 0, "c")
	a, b := (leader+1)%3, (leader+2)%3
	process := func(i int, command []byte, o raft.ProcessOptions) func(context.Context) error {
		return func(ctx context.Context) error { return second(h.nodes[i].Process(ctx, h.id(i%3, "c"), command, o)) }
	}
	maybe := badCall{proposal: true, outcome: raft.MaybeApplied, causes: []error{context.Canceled}}
	// stage makes a call whose context ends when it has come that far.
	stage := func(name string, far func(before raft.Metrics) bool, call func(context.Context) error) {
		t.Helper()
		short, cancel := context.WithCancel(ctx)
		defer cancel()
		before := h.metrics(leader, "c")
		var watch sync.WaitGroup
		watch.Go(func() {
			for !far(before) && short.Err() == nil {
				pause(short)
			}
			cancel()
		})
		c := maybe
		c.call = call
		t.Run(name, func(t *testing.T) { c.check(t, short) })
		cancel()
		watch.Wait()
	}
	sent := func(raft.Metrics) bool { return h.nodes[a].Outstanding() > 0 }
	appended := func(before raft.Metrics) bool { return h.metrics(leader, "c").Last > before.Last }
	committed := func(before raft.Metrics) bool { return h.metrics(leader, "c").Commit > before.Commit }
	applied := func(before raft.Metrics) bool { return h.metrics(leader, "c").Applied > before.Applied }
	t.Run("sent", func(t *testing.T) {
		h.lose(a, leader, transport.Control)
		stage("command", sent, process(a, one(), raft.ProcessOptions{}))
		h.heal()
	})
	t.Run("appended", func(t *testing.T) {
		h.lose(leader, a, transport.Log)
		h.lose(leader, b, transport.Log)
		stage("command", appended, process(leader, one(), raft.ProcessOptions{}))
		stage("low priority", appended, process(leader, one(), raft.ProcessOptions{Priority: raft.Low}))
		stage("membership", appended, func(ctx context.Context) error {
			return h.nodes[leader].RemoveMember(ctx, h.id(leader, "c"), h.id(b, "c"), raft.MemberOptions{})
		})
		h.heal()
	})
	t.Run("applied, and answered by a member that is away", func(t *testing.T) {
		h.lose(a, leader, transport.Control)
		stage("command", applied, process(leader, one(), raft.ProcessOptions{Reply: raft.ReplyFromMember, Member: h.id(a, "c").Node}))
		h.heal()
	})
	t.Run("committed", func(t *testing.T) {
		stage("command", committed, process(leader, cmdBlock, raft.ProcessOptions{}))
		stage("behind it", committed, process(leader, one(), raft.ProcessOptions{}))
		if m := h.metrics(leader, "c"); m.Commit <= m.Applied {
			t.Errorf("commit %d, applied %d", m.Commit, m.Applied)
		}
		close(gate)
	})
	// All of them were appended or on their way: they are applied after all, but for what was never answered.
	until(t, ctx, "the commands", func() bool { return h.total(ctx, leader, "c") == 5 })
}

// Without a leader nothing is appended: the command is known not to be applied.
func TestBadContextNoLeader(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	leader := h.leader(ctx, 0, "c")
	left := (leader + 1) % 3
	h.close(leader)
	h.close((leader + 2) % 3)
	until(t, ctx, "the end of the belief", func() bool {
		l, err := h.nodes[left].Leader("c")
		return err == nil && (l.IsZero() || h.metrics(left, "c").Role == core.RolePreVote)
	})
	list := want(callsTo(h.nodes[left], h.id(left, "c")), true, context.DeadlineExceeded)
	for _, b := range list {
		switch b.name {
		case "Pipeline", "QueryMember", "AddMember", "ForceShrink", "TriggerElection", "AuxCommand", "ServerOverview":
			continue // these need no leader, or say at once that there is none
		case "ConsistentQuery", "ConsistentAux": // they wait for a leader where they are
			short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			t.Run(b.name, func(t *testing.T) { b.check(t, short) })
			cancel()
			continue
		default:
			b.causes = append([]error{raft.ErrNoLeader}, b.causes...)
		}
		checkFor(t, ctx, 100*time.Millisecond, []badCall{b})
	}
	if got := h.nodes[left].Outstanding(); got != 0 {
		t.Errorf("%d calls outstanding", got)
	}
	until(t, ctx, "no reads left", func() bool { return h.nodes[left].Waiting("c") == 0 })
	h.open(leader)
	if got := h.add(ctx, left, "c"); got != 2 {
		t.Fatal(got)
	}
}

// countdown is a context that ends when it is looked at for the k-th time.
type countdown struct {
	context.Context
	mu   sync.Mutex
	left int
	done chan struct{}
}

func newCountdown(k int) *countdown {
	return &countdown{Context: context.Background(), left: k, done: make(chan struct{})}
}

func (c *countdown) look() (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left > 0 {
		if c.left--; c.left == 0 {
			close(c.done)
		}
	}
	return c.left == 0
}

func (c *countdown) Done() <-chan struct{} { c.look(); return c.done }

func (c *countdown) Err() error {
	if c.look() {
		return context.Canceled
	}
	return nil
}

// Lifecycle calls whose context ends at the first, the second, the third look at it, and so on, until one goes well: each
// leaves something that the same call, or its opposite, can go on from.
func TestBadContextLifecycle(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	n := h.nodes[0]
	x := raft.ServerConfig{Name: "x", Machine: "tally"}
	all := raft.ClusterConfig{Name: "y", Machine: "tally", Members: h.members("y")}
	gone := func(name string, nodes ...int) {
		for _, i := range nodes {
			until(t, ctx, name+" to be gone", func() bool { return len(h.nodes[i].Servers()) == 1 && h.logs(i) == 2 })
		}
	}
	for _, c := range []struct {
		name  string
		call  func(ctx context.Context) error
		after func(err error) // checks, and prepares the next
	}{
		{"StartServer", func(ctx context.Context) error { return second(n.StartServer(ctx, x)) }, func(err error) {
			if err == nil {
				err = n.DeleteServer(ctx, "x")
				if err != nil {
					t.Fatal(err)
				}
			}
			gone("x", 0)
		}},
		{"StopServer", func(ctx context.Context) error { return n.StopServer(ctx, "c") }, func(error) {
			if err := n.StopServer(ctx, "c"); err != nil {
				t.Fatal(err)
			}
			if err := n.RestartServer(ctx, "c", raft.RestartOptions{}); err != nil {
				t.Fatal(err)
			}
		}},
		{"RestartServer", func(ctx context.Context) error {
			if err := n.StopServer(context.Background(), "c"); err != nil {
				t.Fatal(err)
			}
			return n.RestartServer(ctx, "c", raft.RestartOptions{})
		}, func(error) {
			if err := n.RestartServer(ctx, "c", raft.RestartOptions{}); err != nil && !errors.Is(err, raft.ErrRunning) {
				t.Fatal(err)
			}
		}},
		{"DeleteServer", func(ctx context.Context) error {
			if _, err := n.StartServer(context.Background(), x); err != nil {
				t.Fatal(err)
			}
			return n.DeleteServer(ctx, "x")
		}, func(error) {
			if err := n.DeleteServer(ctx, "x"); err != nil && !errors.Is(err, raft.ErrUnknownServer) {
				t.Fatal(err)
			}
			gone("x", 0)
		}},
		{"StartCluster", func(ctx context.Context) error { return second(n.StartCluster(ctx, all)) }, func(err error) {
			if err == nil {
				if err := n.DeleteCluster(ctx, h.id(1, "y")); err != nil {
					t.Fatal(err)
				}
			}
			gone("y", 0, 1, 2)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for k := 1; ; k++ {
				at := newCountdown(k)
				err := c.call(at)
				if err != nil && (!errors.Is(err, context.Canceled) || at.left > 0) {
					t.Fatalf("look %d: %v", k, err)
				}
				c.after(err)
				if at.left > 0 {
					t.Logf("%d looks", k-1)
					return
				}
			}
		})
	}
	h.add(ctx, 0, "c")
}

// Changes of the membership, and a session's opening, whose context ends at each look: what is known of them is true.
func TestBadContextMembership(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1)
	h.add(ctx, 0, "c")
	n, to := h.nodes[0], h.id(0, "c")
	id, err := h.nodes[2].StartServer(ctx, raft.ServerConfig{Name: "c", Machine: "tally"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		before func() error
		call   func(ctx context.Context) error
		want   core.Membership // when it went well
	}{
		{"AddMember", func() error { return n.RemoveMember(ctx, to, id, raft.MemberOptions{}) }, func(ctx context.Context) error {
			return n.AddMember(ctx, to, id, raft.MemberOptions{Membership: core.NonVoter})
		}, core.NonVoter},
		{"RemoveMember", func() error { return n.AddMember(ctx, to, id, raft.MemberOptions{Membership: core.NonVoter}) },
			func(ctx context.Context) error { return n.RemoveMember(ctx, to, id, raft.MemberOptions{}) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for k := 1; ; k++ {
				if err := c.before(); err != nil && !errors.Is(err, core.ErrNotMember) && !errors.Is(err, core.ErrAlreadyMember) {
					t.Fatal(err)
				}
				was := h.membership(ctx, 0, id)
				at := newCountdown(k)
				err := c.call(at)
				var p *raft.ProposalError
				if err != nil && (!errors.As(err, &p) || !errors.Is(err, context.Canceled)) {
					t.Fatalf("look %d: %v", k, err)
				}
				now := h.membership(ctx, 0, id)
				if err == nil && now != c.want || err != nil && p.Outcome == raft.NotApplied && now != was {
					t.Errorf("look %d: %v is %v, was %v", k, err, now, was)
				}
				if at.left > 0 {
					return
				}
			}
		})
	}
	for k := 1; ; k++ {
		at := newCountdown(k)
		s, err := n.OpenSession(at, to, raft.SessionOptions{})
		if err == nil {
			err = s.Close(ctx)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		until(t, ctx, "no session", func() bool {
			view, err := n.ServerOverview(ctx, h.id(h.leader(ctx, 0, "c"), "c"))
			return err == nil && view["sessions"] == 0
		})
		if at.left > 0 {
			return
		}
	}
}

// A close whose context ends can be made again.
func TestBadContextClose(t *testing.T) {
	h := newHouseWith(t, 1, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0)
	for k := 1; ; k++ {
		h.add(ctx, 0, "c")
		at := newCountdown(k)
		err := h.nodes[0].Close(at)
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		h.close(0)
		h.open(0)
		if at.left > 0 {
			break
		}
	}
	h.add(ctx, 0, "c")
}

// A command that the network repeats is applied once.
func TestRepeatedRequest(t *testing.T) {
	h := newHouseWith(t, 4, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	total(t, h.nodes[3], h.id(0, "c"))
	for i := range 3 {
		err := h.net.SetRule(ids(3)[0], ids(i)[0], transport.Rule{Duplicate: 1, DelayMax: time.Millisecond, Reorder: 0.5}, transport.Control)
		if err != nil {
			t.Fatal(err)
		}
	}
	for k := range 100 {
		r, err := h.nodes[3].Process(ctx, h.id(k%3, "c"), one(), raft.ProcessOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := binary.LittleEndian.Uint64(r.Data); got != uint64(k+1) {
			t.Fatalf("command %d came to %d", k, got)
		}
	}
}
