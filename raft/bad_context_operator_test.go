package raft_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// eachLook makes a call whose context ends at the first, the second look at it, and so on, until one goes well. prepare comes
// before each; then gets the error, nil in the end, and whether the call said that nothing came of it.
func eachLook(t *testing.T, prepare func(), call func(context.Context) error, then func(err error, untouched bool)) {
	t.Helper()
	for k := 1; ; k++ {
		prepare()
		at := newCountdown(k)
		err := call(at)
		var p *raft.ProposalError
		if err != nil && (!errors.As(err, &p) || !errors.Is(err, context.Canceled)) {
			t.Fatalf("look %d: %v", k, err)
		}
		then(err, err != nil && p.Outcome == raft.NotApplied)
		if at.left > 0 {
			t.Logf("%d looks", k-1)
			return
		}
	}
}

// What a member counts for is changed or not, as the answer to a call says whose context ends at any look.
func TestBadContextSetMembership(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	id, at := h.id(2, "c"), h.id(0, "c")
	set := func(ctx context.Context, m core.Membership) error {
		return h.nodes[0].SetMembership(ctx, at, id, raft.MemberOptions{Membership: m})
	}
	eachLook(t, func() {
		if err := set(ctx, core.Voter); err != nil {
			t.Fatal(err)
		}
	}, func(ctx context.Context) error { return set(ctx, core.NonVoter) }, func(err error, untouched bool) {
		if now := h.membership(ctx, 0, id); err == nil && now != core.NonVoter || untouched && now != core.Voter {
			t.Errorf("it is %v after %v", now, err)
		}
	})
}

// Leadership is handed over, or stays where it was, or may have been handed over.
func TestBadContextTransfer(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	var term core.Term
	eachLook(t, func() {
		h.lead(ctx, 0, "c")
		h.add(ctx, 0, "c")
		term = h.metrics(0, "c").Term
	}, func(ctx context.Context) error {
		return h.nodes[0].TransferLeadership(ctx, h.id(0, "c"), h.id(1, "c"))
	}, func(err error, untouched bool) {
		switch m := h.metrics(0, "c"); {
		case err == nil && h.metrics(1, "c").Role != core.RoleLeader:
			t.Error("the target does not lead")
		case untouched && (m.Role != core.RoleLeader || m.Term != term):
			t.Errorf("it is %v in term %d, led %d; %v", m.Role, m.Term, term, err)
		}
	})
	h.add(ctx, 2, "c")
}

// A cluster is deleted, or goes on, or may be on its way to its end, which a second call brings about.
func TestBadContextDeleteCluster(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	eachLook(t, func() {
		h.start(ctx, "c", "tally", 0, 1, 2)
		h.add(ctx, 0, "c")
	}, func(ctx context.Context) error { return h.nodes[0].DeleteCluster(ctx, h.id(1, "c")) }, func(err error, untouched bool) {
		if untouched && h.add(ctx, 0, "c") != 2 {
			t.Error("it does not count as before")
		}
		if err != nil {
			err = h.nodes[1].DeleteCluster(ctx, h.id(1, "c"))
		}
		var p *raft.ProposalError
		if err != nil && !errors.As(err, &p) {
			t.Fatal(err) // that it is being deleted, or gone, is not one
		}
		for i := range h.nodes {
			until(t, ctx, "the end of the cluster", func() bool { return len(h.nodes[i].Servers()) == 0 && h.logs(i) == 1 })
		}
	})
}

// A server is its cluster's only voter, or the cluster is as before, or a second call makes sure.
func TestBadContextForceShrink(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	n, at := h.nodes[1], h.id(1, "c")
	size := func() int {
		members, _, err := n.Members(ctx, at)
		if err != nil {
			t.Fatal(err)
		}
		return len(members)
	}
	eachLook(t, func() {
		h.start(ctx, "c", "tally", 0, 1, 2)
		h.add(ctx, 0, "c")
		until(t, ctx, "its state", func() bool { return h.total(ctx, 1, "c") == 1 })
	}, func(ctx context.Context) error { return n.ForceShrink(ctx, at) }, func(err error, untouched bool) {
		if untouched && size() != 3 {
			t.Errorf("%d members after %v", size(), err)
		}
		if err != nil {
			until(t, ctx, "a second call", func() bool { // the first may be under way
				again := n.ForceShrink(ctx, at)
				if again != nil && !errors.Is(again, core.ErrRefused) {
					t.Fatal(again)
				}
				return again == nil
			})
		}
		if size() != 1 || h.add(ctx, 1, "c") != 2 {
			t.Errorf("%d members", size())
		}
		for _, n := range h.nodes {
			if err := n.DeleteServer(ctx, "c"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A server has left its cluster, or is in it, or a second call makes sure.
func TestBadContextLeave(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1)
	n, id, at := h.nodes[2], h.id(2, "c"), h.id(0, "c")
	eachLook(t, func() {
		if _, err := n.StartServer(ctx, raft.ServerConfig{Name: "c", Machine: "tally"}); err != nil {
			t.Fatal(err)
		}
		if err := n.AddMember(ctx, at, id, raft.MemberOptions{Membership: core.NonVoter}); err != nil {
			t.Fatal(err)
		}
		until(t, ctx, "the newcomer to hear of it", func() bool { l, err := n.Leader("c"); return err == nil && !l.IsZero() })
	}, func(ctx context.Context) error {
		err := n.Leave(ctx, "c")
		if errors.Is(err, context.Canceled) { // StopServer's, behind a removal that is committed
			var p *raft.ProposalError
			if !errors.As(err, &p) {
				return &raft.ProposalError{Outcome: raft.MaybeApplied, Err: err}
			}
		}
		return err
	}, func(err error, untouched bool) {
		if untouched && h.membership(ctx, 0, id) != core.NonVoter {
			t.Errorf("it is no member any more after %v", err)
		}
		if err != nil {
			if err := n.Leave(ctx, "c"); err != nil {
				t.Fatal(err)
			}
		}
		if h.membership(ctx, 0, id) != 0 || h.metrics(2, "c").Err == nil {
			t.Error("it is a member, or runs")
		}
		if err := n.DeleteServer(ctx, "c"); err != nil {
			t.Fatal(err)
		}
	})
}
