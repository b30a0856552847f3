package raft_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/raft"
)

// What a node does not allow another one is refused, for the reason that the hook gives, and nothing came of it. Calls of its
// own, and what members tell each other, nobody asks about.
func TestAuthorize(t *testing.T) {
	why := errors.New("not by strangers")
	var mu sync.Mutex
	seen := make(map[raft.CallKind]int)
	strict := true
	o := tallies(nil)
	o.change = func(n *raft.NodeOptions) {
		n.Authorize = func(c raft.RemoteCall) error {
			mu.Lock()
			defer mu.Unlock()
			if c.From != ids(3)[0] || c.To.IsZero() {
				return nil
			}
			seen[c.Kind]++
			if strict || c.Kind.Operator() {
				return why
			}
			return nil
		}
	}
	h := newHouseWith(t, 4, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	last, term := h.metrics(0, "c").Last, h.metrics(0, "c").Term
	stranger := h.nodes[3]
	list := append(callsTo(stranger, h.id(0, "c")), serverCalls(stranger, h.id(0, "c"))...)
	list = append(list, badCall{name: "StartCluster", call: func(ctx context.Context) error {
		return second(stranger.StartCluster(ctx, raft.ClusterConfig{Machine: "tally", Members: []raft.ServerID{h.id(0, "x")}}))
	}})
	causes := []error{raft.ErrForbidden, why}
	if *wired {
		causes = causes[:1] // of the hook's own error bytes have the text alone
	}
	for _, b := range list {
		if b.name == "Process for another's reply" {
			continue // of a member on the stranger's node: there is none, and nothing is asked of others
		}
		b.outcome, b.causes = raft.NotApplied, causes
		t.Run(b.name, func(t *testing.T) { b.check(t, ctx) })
	}
	if m := h.metrics(0, "c"); m.Last != last || m.Term != term || len(h.nodes[0].Servers()) != 1 {
		t.Errorf("something was done: %+v", m)
	}
	mu.Lock()
	strict = false
	for k := raft.CallCommand; k <= raft.CallShrink; k++ {
		if seen[k] == 0 && k != raft.CallRejoin { // nobody asks for that but a node by itself: TestC9DamagedMemberRejoins
			t.Errorf("no call was a %v", k)
		}
	}
	mu.Unlock()
	if r, err := stranger.Process(ctx, h.id(0, "c"), one(), raft.ProcessOptions{}); err != nil || r.Data[0] != 2 {
		t.Error(r, err)
	}
	if err := stranger.RemoveMember(ctx, h.id(0, "c"), h.id(1, "c"), raft.MemberOptions{}); !errors.Is(err, raft.ErrForbidden) || !strings.Contains(err.Error(), why.Error()) {
		t.Error(err)
	}
	if got := raft.CallKind(0).String() + raft.CallKind(99).String(); got != "CallKind(0)CallKind(99)" {
		t.Error(got)
	}
}
