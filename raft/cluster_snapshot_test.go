package raft_test

import (
	"context"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport"
)

// tell has a cluster apply a command of a tally.
func (h *house) tell(ctx context.Context, i int, name string, command []byte) {
	h.t.Helper()
	if _, err := h.nodes[i].Process(ctx, h.id(i, name), command, raft.ProcessOptions{}); err != nil {
		h.t.Fatal(err)
	}
}

// release has all members take a snapshot and waits for that of the leader.
func (h *house) release(ctx context.Context, i int, name string) {
	h.t.Helper()
	at := h.metrics(i, name).Snapshot
	until(h.t, ctx, "a snapshot", func() bool {
		h.tell(ctx, i, name, cmdRelease)
		return h.metrics(i, name).Snapshot > at
	})
}

// A member that was away gets a snapshot, with the entries that it refers to.
func TestClusterSnapshotForLaggard(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	behind, other := (leader+1)%3, (leader+2)%3
	h.add(ctx, leader, "c")
	h.close(behind)
	for range 5 {
		h.tell(ctx, leader, "c", cmdKeep)
		h.add(ctx, leader, "c")
	}
	h.release(ctx, leader, "c")
	sum := h.add(ctx, other, "c")
	h.open(behind)
	until(t, ctx, "the snapshot", func() bool {
		return h.total(ctx, behind, "c") == int64(sum) && h.metrics(behind, "c").Snapshot > 0
	})
	live := 0
	log, err := h.nodes[behind].Engine().Log(h.uid(ctx, behind, "c"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := h.nodes[behind].LocalQuery(ctx, "c", func(m raft.Machine) (any, error) {
		return append([]raft.Index(nil), m.(*tally).live...), nil
	}, raft.QueryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range v.([]raft.Index) {
		if e, err := log.Read(i); err != nil || len(e.Data) == 0 {
			t.Fatalf("live entry %d: %v", i, err)
		}
		live++
	}
	if live != 5 {
		t.Fatalf("%d live entries", live)
	}
	h.close(behind)
	h.open(behind)
	until(t, ctx, "the state after a restart", func() bool { return h.total(ctx, behind, "c") == int64(sum) })
}

// uid is that of a member.
func (h *house) uid(ctx context.Context, i int, name string) core.UID {
	members, _, err := h.nodes[i].Members(ctx, h.id(i, name))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, m := range members {
		if m.ID == h.id(i, name) {
			return m.UID
		}
	}
	h.t.Fatalf("%v is no member of %v", h.id(i, name), members)
	return ""
}

// A snapshot's transfer that a cut link, or a restart of either side, interrupts comes to its end all the same.
func TestClusterSnapshotInterrupted(t *testing.T) {
	for _, how := range []string{"cut", "receiver closed", "sender closed"} {
		t.Run(how, func(t *testing.T) {
			h := newHouseWith(t, 3, bulky(300*time.Millisecond))
			ctx := ctxFor(t)
			h.start(ctx, "c", "bulk", 0, 1, 2)
			leader := h.leader(ctx, 0, "c")
			behind, other := (leader+1)%3, (leader+2)%3
			h.close(behind)
			h.tell(ctx, leader, "c", []byte("fill"))
			h.release(ctx, leader, "c")
			until(t, ctx, "the other's snapshot", func() bool { return h.metrics(other, "c").Snapshot > 0 })
			// The parts' way is cut before the first of them.
			for _, from := range []int{leader, other} {
				if err := h.net.SetRule(ids(from)[0], ids(behind)[0], transport.Rule{Loss: 1}, transport.Snapshot); err != nil {
					t.Fatal(err)
				}
			}
			h.open(behind)
			until(t, ctx, "a transfer", func() bool {
				return h.metrics(behind, "c").Role.String() == "receive_snapshot"
			})
			switch how {
			case "receiver closed":
				h.close(behind)
				h.open(behind)
			case "sender closed":
				h.close(leader)
				h.open(leader)
			}
			if err := h.net.SetRules(transport.Rule{}); err != nil {
				t.Fatal(err)
			}
			until(t, ctx, "the state", func() bool {
				v, err := h.nodes[behind].LocalQuery(ctx, "c", func(m raft.Machine) (any, error) { return len(m.(*bulk).b), nil }, raft.QueryOptions{})
				return err == nil && v.(int) == bulkBytes
			})
		})
	}
}

// A cluster goes on from its checkpoint, and lets go of its log when the checkpoint is promoted.
func TestClusterCheckpoint(t *testing.T) {
	h := newHouseWith(t, 1, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0)
	for range 10 {
		h.add(ctx, 0, "c")
	}
	uid := h.uid(ctx, 0, "c")
	log, err := h.nodes[0].Engine().Log(uid)
	if err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "a checkpoint", func() bool {
		h.tell(ctx, 0, "c", cmdCheck)
		return len(log.Snapshots()) > 0
	})
	h.add(ctx, 0, "c")
	h.close(0)
	h.open(0)
	until(t, ctx, "the state", func() bool { return h.total(ctx, 0, "c") == 11 })
	if at := h.metrics(0, "c").Snapshot; at != 0 {
		t.Fatalf("a checkpoint counts as the snapshot at %d", at)
	}
	until(t, ctx, "the promotion", func() bool {
		h.tell(ctx, 0, "c", cmdPromote)
		return h.metrics(0, "c").Snapshot > 0
	})
	m := h.metrics(0, "c")
	at := m.Snapshot
	if c := m.Counters; c[raft.CounterPromotions] != 1 || c[raft.CounterSnapshots] != 1 {
		t.Fatalf("counters are %v", c)
	}
	if sum := h.add(ctx, 0, "c"); sum != 12 {
		t.Fatal(sum)
	}
	h.close(0)
	h.open(0)
	until(t, ctx, "the state", func() bool { return h.total(ctx, 0, "c") == 12 })
	if got := h.metrics(0, "c").Snapshot; got != at {
		t.Fatalf("snapshot at %d after the restart, was at %d", got, at)
	}
}
