package raft_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// While a machine reads the state that it begins with its server leads, commits, and brings a new member that very state. Who asks
// the machine waits.
func TestLeadsWhileMachineRestores(t *testing.T) {
	h := newHouseWith(t, 2, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0)
	h.add(ctx, 0, "c")
	h.release(ctx, 0, "c")
	sum := int64(h.add(ctx, 0, "c"))
	h.close(0)
	held := make(chan struct{})
	machines := h.options.machines
	h.options.machines = map[string]func() raft.Machine{"tally": func() raft.Machine { return &tally{held: held} }}
	h.open(0)
	h.options.machines = machines
	t.Cleanup(func() { // before the house closes
		select {
		case <-held:
		default:
			close(held)
		}
	})
	until(t, ctx, "a leader", func() bool { return h.metrics(0, "c").Role == core.RoleLeader })
	at := h.metrics(0, "c").Commit
	if _, err := h.nodes[1].StartServer(ctx, raft.ServerConfig{Name: "c", Machine: "tally"}); err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[1].AddMember(ctx, h.id(0, "c"), h.id(1, "c"), raft.MemberOptions{Membership: core.NonVoter}); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the snapshot there", func() bool { return h.metrics(1, "c").Snapshot > 0 })
	until(t, ctx, "the state there", func() bool { return h.total(ctx, 1, "c") == sum })
	if m := h.metrics(0, "c"); m.Commit <= at || m.Applied != 0 {
		t.Errorf("committed to %d, was %d; applied to %d, and the machine reads its state yet", m.Commit, at, m.Applied)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := h.nodes[0].LocalQuery(short, "c", stateOf, raft.QueryOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a query of a machine that reads its state: %v", err)
	}
	close(held)
	until(t, ctx, "the state", func() bool { return h.total(ctx, 0, "c") == sum })
	if got := int64(h.add(ctx, 1, "c")); got != sum+1 {
		t.Errorf("the sum is %d, was %d", got, sum)
	}
}

// As many machines read their states at a time as there are turns; the others wait for one, and a node that closes for nobody.
func TestRestoresInTurn(t *testing.T) {
	h := newHouseWith(t, 1, tallies(nil))
	ctx := ctxFor(t)
	names := []string{"a", "b", "c", "d", "e", "f"}
	for _, name := range names {
		h.start(ctx, name, "tally", 0)
		h.add(ctx, 0, name)
		h.release(ctx, 0, name)
	}
	for range 2 {
		h.close(0)
		h.open(0)
	}
	for _, name := range names {
		until(t, ctx, "the state", func() bool { return h.total(ctx, 0, name) == 1 })
	}
}

// Where a state turns out to be damaged while a machine reads it another machine reads the one before it, and applies what came behind that.
func TestRestoresOlderState(t *testing.T) {
	const distinct = 0x1122334455667788
	o := tallies(nil)
	o.change = func(n *raft.NodeOptions) { n.RecoveryInterval = 1 }
	h := newHouseWith(t, 1, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0)
	h.add(ctx, 0, "c")
	h.release(ctx, 0, "c")
	h.tell(ctx, 0, "c", binary.LittleEndian.AppendUint64(nil, distinct-1))
	state := binary.LittleEndian.AppendUint64(nil, distinct)
	h.close(0)
	for len(places(t, h.dirs[0], "recovery-", state)) == 0 { // a snapshot was still being written
		h.open(0)
		h.tell(ctx, 0, "c", make([]byte, 8))
		h.close(0)
	}
	flip(t, h.dirs[0], "recovery-", state)
	h.open(0)
	until(t, ctx, "the state", func() bool { return h.total(ctx, 0, "c") == distinct })
	if n := h.add(ctx, 0, "c"); n != distinct+1 {
		t.Errorf("it goes on at %x", n)
	}
}
