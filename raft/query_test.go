package raft_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
)

// A local query waits for the entry that its caller knows, on a member that lags behind; one of another term is lost.
func TestLocalQueryWaits(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	leader := h.leader(ctx, 0, "c")
	behind := (leader + 1) % 3
	until(t, ctx, "the state", func() bool { return h.total(ctx, behind, "c") == 1 })
	h.lose(leader, behind, transport.Log)
	r, err := h.nodes[leader].Process(ctx, h.id(leader, "c"), one(), raft.ProcessOptions{})
	if err != nil || r.Index == 0 || r.Term != h.metrics(leader, "c").Term {
		t.Fatalf("%+v, %v", r, err)
	}
	type result struct {
		v   any
		err error
	}
	ask := func(at raft.EntryID) <-chan result {
		ch := make(chan result, 1)
		go func() {
			v, err := h.nodes[behind].LocalQuery(ctx, "c", stateOf, raft.QueryOptions{Applied: at})
			ch <- result{v, err}
		}()
		return ch
	}
	exact, anyTerm := ask(r.ID()), ask(raft.EntryID{Index: r.Index})
	wrong := ask(raft.EntryID{Index: r.Index, Term: r.Term + 1})
	until(t, ctx, "the queries to wait", func() bool { return h.nodes[behind].Waiting("c") == 3 })
	if got := h.total(ctx, behind, "c"); got != 1 {
		t.Errorf("a query that waits for nothing came to %d", got)
	}
	h.heal()
	for _, ch := range []<-chan result{exact, anyTerm} {
		if got := <-ch; got.err != nil || got.v.(uint64) != 2 {
			t.Errorf("%+v", got)
		}
	}
	if got := <-wrong; !errors.Is(got.err, raft.ErrLost) {
		t.Errorf("of another term: %+v", got)
	}
	if got := <-ask(r.ID()); got.err != nil || got.v.(uint64) != 2 { // it is applied already
		t.Errorf("%+v", got)
	}
}

// Registered queries are run where they say, for clients on every node: on the member that is named, the leader, or behind
// everything that was answered.
func TestQueriesAnywhere(t *testing.T) {
	o := tallies(nil)
	o.change = func(n *raft.NodeOptions) {
		node := n.ID
		n.Queries = map[string]raft.Query{"where": func(m raft.Machine, arg []byte) ([]byte, error) {
			return fmt.Appendf(arg, "%s %d", node, m.(*tally).n), nil
		}}
	}
	h := newHouseWith(t, 4, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	for k := range 3 {
		h.add(ctx, 0, "c")
		until(t, ctx, "the state", func() bool { return h.total(ctx, k, "c") == int64(k+1) })
		for from, n := range h.nodes {
			at, err := n.QueryMember(ctx, h.id(k, "c"), "where", []byte("> "), raft.QueryOptions{})
			if want := fmt.Sprintf("> n%d %d", k, k+1); err != nil || string(at) != want {
				t.Errorf("member, from %d: %q, %v; want %q", from, at, err, want)
			}
			at, err = n.LeaderQuery(ctx, h.id(k, "c"), "where", nil)
			if want := fmt.Sprintf("n%d %d", leader, k+1); err != nil || string(at) != want {
				t.Errorf("leader, from %d: %q, %v; want %q", from, at, err, want)
			}
			at, err = n.ConsistentQuery(ctx, h.id(k, "c"), "where", nil)
			if want := fmt.Sprintf("n%d %d", k, k+1); err != nil || string(at) != want {
				t.Errorf("consistent, from %d: %q, %v; want %q", from, at, err, want)
			}
		}
	}
}

// The member that is asked to answers, and has applied the command then.
func TestReplyFromMember(t *testing.T) {
	h := newHouseWith(t, 4, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	leader := h.id(h.leader(ctx, 0, "c"), "c")
	sum := int64(0)
	for k := range 30 {
		from, node := k%4, (k+k/4)%3
		o := raft.ProcessOptions{Reply: raft.ReplyFromMember, Member: h.id(node, "c").Node}
		if k%2 == 0 && from < 3 {
			o, node = raft.ProcessOptions{Reply: raft.ReplyFromLocal}, from
		}
		r, err := h.nodes[from].Process(ctx, h.id(k%3, "c"), one(), o)
		if err != nil || r.Index == 0 || r.Leader != leader {
			t.Fatalf("command %d of node %d: %+v, %v", k, from, r, err)
		}
		sum++
		if got := h.total(ctx, node, "c"); got != sum {
			t.Fatalf("command %d: the member that answered has %d", k, got)
		}
	}
	// Whoever is no member, or no one's member, does not keep the caller waiting: the leader answers.
	for _, o := range []raft.ProcessOptions{{Reply: raft.ReplyFromMember, Member: "n3"}, {Reply: raft.ReplyFromMember, Member: "nobody"}} {
		if r, err := h.nodes[0].Process(ctx, h.id(0, "c"), one(), o); err != nil || r.Index == 0 {
			t.Errorf("%+v: %+v, %v", o, r, err)
		}
	}
	if r, err := h.nodes[3].Process(ctx, h.id(0, "c"), one(), raft.ProcessOptions{Reply: raft.ReplyFromLocal}); err != nil || r.Index == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
