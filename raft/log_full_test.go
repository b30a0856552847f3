package raft_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/raft"
)

// deserted makes a member leader, cuts it off, and leaves commands in its log that nobody else has. What the others decide
// conflicts with them.
func (h *house) deserted(ctx context.Context, at int, name string) {
	h.t.Helper()
	h.lead(ctx, at, name)
	last := h.metrics(at, name).Last
	h.cutOff(at, (at+1)%3, (at+2)%3)
	for range 3 {
		go func() { _, _ = h.nodes[at].Process(ctx, h.id(at, name), one(), raft.ProcessOptions{}) }()
	}
	until(h.t, ctx, "entries of its own", func() bool { return h.metrics(at, name).Last >= last+3 })
	h.leader(ctx, (at+1)%3, name, at)
}

// quick finds a lost node soon.
func quick(o *houseOptions) {
	before := o.change
	o.change = func(n *raft.NodeOptions) {
		before(n)
		n.HeartbeatInterval, n.DetectionBound = 20*time.Millisecond, 300*time.Millisecond
	}
}

// TestLogWithoutRoom: a member's device hangs while thousands of its log's records wait for it, so that the log takes neither a hard
// state nor a truncation. The member does not end; it acknowledges nothing, and has everything once the device answers.
func TestLogWithoutRoom(t *testing.T) {
	o, devices := onDevices(3)
	quick(&o)
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	const at, other = 0, 1
	h.start(ctx, "c", "tally", 0, 1, 2)
	log, err := h.nodes[at].Engine().Log(h.uid(ctx, at, "c"))
	if err != nil {
		t.Fatal(err)
	}
	h.deserted(ctx, at, "c")
	devices[at].Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.Stall, Match: commits})
	defer devices[at].Heal()
	for err == nil {
		if err = log.CreateSlot("s", 0); err == nil {
			err = log.DropSlot("s")
		}
	}
	if !errors.Is(err, engine.ErrBusy) {
		t.Fatal(err)
	}
	h.add(ctx, other, "c")
	before := h.metrics(at, "c")
	h.net.HealAll()
	h.add(ctx, other, "c")
	until(t, ctx, "the new term", func() bool {
		m := h.metrics(at, "c")
		return m.Term > before.Term || m.Err != nil
	})
	h.add(ctx, other, "c")
	if m := h.metrics(at, "c"); m.Err != nil || m.Written > before.Written {
		t.Fatalf("written %d, was %d: %v", m.Written, before.Written, m.Err)
	}
	if hard := log.DurableHardState(); uint64(hard.Term) > uint64(before.Term) {
		t.Fatalf("term %d is durable", hard.Term)
	}
	devices[at].Heal()
	sum := h.add(ctx, other, "c")
	until(t, ctx, "the state", func() bool { return h.total(ctx, at, "c") == int64(sum) })
	h.lead(ctx, at, "c")
	if got := h.add(ctx, at, "c"); got != sum+1 {
		t.Errorf("the sum is %d, was %d", got, sum)
	}
}

// TestColdTruncationHoldsUpNobody: a member has to cut its log behind an entry that is on its disk only, which answers no read. The
// member goes on, in its turns, and is as the others are when the disk answers.
func TestColdTruncationHoldsUpNobody(t *testing.T) {
	o, devices := onDevices(3)
	quick(&o)
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	const at, other = 0, 1
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.deserted(ctx, at, "c")
	if err := h.nodes[at].Engine().Flush(ctx); err != nil {
		t.Fatal(err)
	}
	devices[at].Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.Stall, Match: func(op errorfs.Op) bool {
		return (op.Kind == errorfs.OpRead || op.Kind == errorfs.OpOpen) && strings.HasSuffix(op.Name, ".seg")
	}})
	defer devices[at].Heal()
	h.net.HealAll()
	sum := h.add(ctx, other, "c")
	<-devices[at].Stalled()
	turn := make(chan struct{})
	go func() {
		h.nodes[at].Hold("c")()
		close(turn)
	}()
	select {
	case <-turn:
	case <-ctx.Done():
		t.Error("the member takes no turn")
	}
	if m := h.metrics(at, "c"); m.Err != nil || m.Applied == h.metrics(other, "c").Applied {
		t.Fatalf("applied %d: %v", m.Applied, m.Err)
	}
	devices[at].Heal()
	until(t, ctx, "the state", func() bool { return h.total(ctx, at, "c") == int64(sum) })
}
