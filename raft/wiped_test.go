package raft_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// wipe opens a node again that has lost its disk.
func (h *house) wipe(i int) {
	h.t.Helper()
	h.close(i)
	h.dirs[i] = h.t.TempDir()
	h.open(i)
}

// infoOf is what the leader knows of a member.
func (h *house) infoOf(ctx context.Context, i int, id raft.ServerID) raft.MemberInfo {
	h.t.Helper()
	list, err := h.nodes[i].MembersInfo(ctx, h.id(i, id.Name))
	if err != nil {
		h.t.Fatal(err)
	}
	k := slices.IndexFunc(list, func(m raft.MemberInfo) bool { return m.ID == id })
	if k < 0 {
		h.t.Fatalf("%v is no member", id)
	}
	return list[k]
}

// TestC7WipedMember: a member's node loses its disk and returns under its old name. Its peers hear it, in a life above the
// one they knew; as the voter that it was it is refused, whatever it is asked to do, since it has forgotten what it voted and
// acknowledged; removed and added it catches up and is a voter again, whose acknowledgements count.
func TestC7WipedMember(t *testing.T) {
	for name, lead := range map[string]bool{"follower": false, "leader": true} {
		t.Run(name, func(t *testing.T) {
			h := newHouseWith(t, 3, tallies(nil))
			ctx := ctxFor(t)
			c := raft.ClusterConfig{Name: "c", Machine: "tally", Members: h.members("c")}
			if err := h.nodes[0].StartOrRestart(ctx, c); err != nil {
				t.Fatal(err)
			}
			const lost = 2
			for i := range 3 { // all of them have something to forget
				until(t, ctx, "the member's state", func() bool { return h.total(ctx, i, "c") == 0 })
			}
			if lead {
				h.lead(ctx, lost, "c")
			} else {
				h.lead(ctx, 0, "c")
			}
			h.add(ctx, 0, "c")
			life := h.nodes[lost].Overview().Life
			h.wipe(lost)
			if l := h.nodes[lost].Overview().Life; l <= life {
				t.Fatalf("life %d after life %d", l, life)
			}
			h.refusedAsVoter(ctx, lost, c)
			h.joinsAgain(ctx, lost, c)
		})
	}
}

// refusedAsVoter checks that a member that was forgotten by its node counts for nothing.
func (h *house) refusedAsVoter(ctx context.Context, lost int, c raft.ClusterConfig) {
	t, n, id := h.t, h.nodes[lost], h.id(lost, "c")
	t.Helper()
	at := h.leader(ctx, (lost+1)%3, "c", lost)
	var err error
	until(t, ctx, "contact with the other members", func() bool {
		err = n.StartOrRestart(ctx, c)
		return !errors.Is(err, raft.ErrUnreachable)
	})
	if !errors.Is(err, raft.ErrMustJoin) {
		t.Fatalf("the old member is brought up: %v", err)
	}
	h.add(ctx, at, "c") // something that it lacks
	until(t, ctx, "the leader to know", func() bool { return h.infoOf(ctx, at, id).Mode == "gone" })
	if _, err := n.StartServer(ctx, raft.ServerConfig{Name: "c", Machine: "tally"}); err != nil {
		t.Fatal(err)
	}
	if err := n.TriggerElection(ctx, id); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "messages to the earlier life", func() bool {
		return h.metrics(lost, "c").Counters[raft.CounterRefusedMessages] > 2
	})
	if m := h.metrics(lost, "c"); m.Last != 0 || m.Term != 0 || m.Role == core.RoleLeader {
		t.Errorf("it takes part: %v in term %d, up to %d", m.Role, m.Term, m.Last)
	}
	if m := h.infoOf(ctx, at, id); m.Membership != core.Voter || m.Match >= h.metrics(at, "c").Last {
		t.Errorf("the leader has of the member that is no more: %+v", m)
	}
	if err := n.AddMember(ctx, h.id(at, "c"), id, raft.MemberOptions{}); !errors.Is(err, core.ErrAlreadyMember) {
		t.Errorf("added beside its earlier life: %v", err)
	}
}

// joinsAgain has the member come back as another one.
func (h *house) joinsAgain(ctx context.Context, lost int, c raft.ClusterConfig) {
	t, n, id := h.t, h.nodes[lost], h.id(lost, "c")
	t.Helper()
	other := (lost + 1) % 3
	if err := n.RemoveMember(ctx, h.id(other, "c"), id, raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := n.AddMember(ctx, h.id(other, "c"), id, raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the promotion", func() bool { return h.membership(ctx, other, id) == core.Voter })
	until(t, ctx, "the state", func() bool { return h.total(ctx, lost, "c") == 2 })
	if err := n.StartOrRestart(ctx, c); err != nil {
		t.Errorf("of a member that runs: %v", err)
	}
	h.lead(ctx, lost, "c")
	h.close(other) // now it is needed
	if sum := h.add(ctx, lost, "c"); sum != 3 {
		t.Errorf("the sum is %d", sum)
	}
}
