package raft_test

import (
	"testing"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/detector"
)

// TestContactComesBackUnwatched: a node is lost while servers watch it, and is there again while none does. The next that
// watches it is not told of the old loss: it would wait for the end of that for ever, as a leader with a member there.
func TestContactComesBackUnwatched(t *testing.T) {
	o := tallies(nil)
	o.watchful = true
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	at, peer := h.nodes[1], ids(2)[0] // which node 1 has asked for nothing
	h.add(ctx, 0, "c")
	state := func(want detector.State) func() bool {
		return func() bool { known, _ := at.Contact(peer); return known.State == want }
	}
	until(t, ctx, "contact", state(detector.Up))
	h.cutOff(2, 0, 1)
	until(t, ctx, "a loss", func() bool { _, lost := at.Contact(peer); return lost })
	watch := at.Unwatched("c", peer)
	h.net.HealAll()
	until(t, ctx, "contact again", state(detector.Up))
	if _, lost := at.Contact(peer); !lost {
		t.Fatal("somebody else watches, and was told")
	}
	watch()
	if _, lost := at.Contact(peer); lost {
		t.Fatal("who begins to watch is told of an old loss")
	}
}

// TestMemberComesBackUnwatched: a member is removed while its node is out of contact, and its node is there again while nobody
// watches it. The leader, which was told of the loss and of nothing since, must reach a member that is added there.
func TestMemberComesBackUnwatched(t *testing.T) {
	o := tallies(nil)
	o.watchful = true
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	h.lead(ctx, 0, "c")
	peer := ids(2)[0]
	h.cutOff(2, 0, 1)
	until(t, ctx, "a loss", func() bool { _, lost := h.nodes[0].Contact(peer); return lost })
	if err := h.nodes[0].RemoveMember(ctx, h.id(0, "c"), h.id(2, "c"), raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	h.net.HealAll()
	if err := h.nodes[2].DeleteServer(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.nodes[2].StartServer(ctx, raft.ServerConfig{Name: "c", Machine: "tally"}); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "a member that is added", func() bool {
		return h.nodes[0].AddMember(ctx, h.id(0, "c"), h.id(2, "c"), raft.MemberOptions{Membership: core.Promotable}) == nil
	})
	until(t, ctx, "a member that is promoted", func() bool { return h.membership(ctx, 0, h.id(2, "c")) == core.Voter })
}
