package raft_test

import (
	"context"
	"encoding/binary"
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
	if err := h.nodes[leader].RestartServer(ctx, "c"); err != nil {
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

// Commands and replies have their bounds.
func TestClusterLimits(t *testing.T) {
	o := tallies(nil)
	o.change = func(o *raft.NodeOptions) { o.MaxCommandBytes = 1000 }
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	var p *raft.ProposalError
	for i := range 3 {
		_, err := h.nodes[i].Process(ctx, h.id(i, "c"), make([]byte, 1001), raft.ProcessOptions{})
		if !errors.Is(err, raft.ErrTooLarge) || !errors.As(err, &p) || p.Outcome != raft.NotApplied || p.Retriable {
			t.Fatal(err)
		}
		_, err = h.nodes[i].Process(ctx, h.id(i, "c"), cmdHuge, raft.ProcessOptions{})
		if !errors.Is(err, raft.ErrReplyTooLarge) || !errors.As(err, &p) || p.Outcome != raft.MaybeApplied || p.Retriable {
			t.Fatal(err)
		}
		h.tell(ctx, i, "c", append(make([]byte, 0, 1000), make([]byte, 1000)...))
	}
	if got := h.add(ctx, 0, "c"); got != 1 {
		t.Fatal(got)
	}
}

// A call whose context has ended, or ends while it waits, ends with that, and nothing of it stays behind.
func TestClusterContexts(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	leader := h.leader(ctx, 0, "c")
	a, b := (leader+1)%3, (leader+2)%3
	h.close(a)
	h.close(b)
	n, to := h.nodes[leader], h.id(leader, "c")
	calls := map[string]func(context.Context) error{
		"process": func(ctx context.Context) error {
			_, err := n.Process(ctx, to, one(), raft.ProcessOptions{})
			return err
		},
		"consistent query": func(ctx context.Context) error {
			_, err := n.ConsistentQuery(ctx, to, "n", nil)
			return err
		},
		"leader query": func(ctx context.Context) error {
			_, err := n.LeaderQuery(ctx, h.id(a, "c"), "n", nil)
			return err
		},
		"waiting query": func(ctx context.Context) error {
			_, err := n.LocalQuery(ctx, "c", stateOf, raft.QueryOptions{Applied: raft.EntryID{Index: 1 << 40, Term: 1}})
			return err
		},
		"members": func(ctx context.Context) error {
			_, _, err := n.Members(ctx, h.id(a, "c"))
			return err
		},
		"remove": func(ctx context.Context) error {
			return n.RemoveMember(ctx, to, h.id(b, "c"), raft.MemberOptions{})
		},
		"transfer": func(ctx context.Context) error { return n.TransferLeadership(ctx, to, h.id(b, "c")) },
		"start": func(ctx context.Context) error {
			_, err := n.StartCluster(ctx, raft.ClusterConfig{Name: "x", Machine: "tally",
				Members: []raft.ServerID{h.id(leader, "x"), h.id(a, "x")}})
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			done, cancel := context.WithCancel(ctx)
			cancel()
			if err := call(done); err == nil {
				t.Fatal("a call whose context had ended went well")
			}
			short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
			if err := call(short); err == nil || ctx.Err() != nil {
				t.Fatal(err)
			}
		})
	}
	if got := n.Outstanding(); got != 0 {
		t.Errorf("%d calls outstanding", got)
	}
	until(t, ctx, "no reads left", func() bool { return n.Waiting("c") == 0 })
	h.open(a)
	h.open(b)
	v, err := h.nodes[a].ConsistentQuery(ctx, h.id(a, "c"), "n", nil)
	if err != nil || binary.LittleEndian.Uint64(v) < 1 {
		t.Fatal(v, err)
	}
}
