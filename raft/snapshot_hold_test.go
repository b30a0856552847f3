package raft_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/raft"
)

// newGallery is two members that have a snapshot, and a third one on a device of its own that needs it.
func newGallery(t *testing.T, device vfs.FS) (h *house, ctx context.Context, leader int) {
	h = newHouseWith(t, 3, houseOptions{
		machines: map[string]func() raft.Machine{"album": newAlbum},
		devices:  []vfs.FS{memfs.New(0), memfs.New(1), device},
		change: func(o *raft.NodeOptions) {
			o.Engine.SnapshotBytesPerSecond, o.SnapshotBytesPerSecond, o.SnapshotTimeout = -1, -1, 2*time.Second
			o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
		},
	})
	ctx = ctxFor(t)
	h.start(ctx, "c", "album", 0, 1)
	leader = h.leader(ctx, 0, "c")
	h.tell(ctx, leader, "c", []byte("release"))
	for i := range 2 {
		until(t, ctx, "a snapshot", func() bool { return h.metrics(i, "c").Snapshot > 0 })
	}
	id, err := h.nodes[2].StartServer(ctx, raft.ServerConfig{Name: "c", Machine: "album"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[leader].AddMember(ctx, h.id(leader, "c"), id, raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	return h, ctx, leader
}

// releaseLater releases a cursor that does not disturb transfers, and waits for the snapshots of the two first members.
func (h *house) releaseLater(ctx context.Context, leader int) {
	h.t.Helper()
	r, err := h.nodes[leader].Process(ctx, h.id(leader, "c"), []byte("release later"), raft.ProcessOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	for i := range 2 {
		until(h.t, ctx, "a newer snapshot", func() bool { return h.metrics(i, "c").Snapshot >= r.Index })
	}
}

// A member whose device hangs beside a snapshot, and which says that it is at work, does not keep the others from letting go of their logs
// either; and its transfer ends when it is a member no more.
func TestHangingTransferHoldsNobody(t *testing.T) {
	for _, c := range []struct {
		name  string
		hangs func(errorfs.Op) bool
	}{
		{"between parts", func(op errorfs.Op) bool { return op.Kind == errorfs.OpDatasync && strings.HasSuffix(op.Name, ".part") }},
		{"at the end", func(op errorfs.Op) bool { return op.Kind == errorfs.OpRename && strings.HasSuffix(op.Name, ".part") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			device := errorfs.New(memfs.New(2), errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.Stall, Match: c.hangs})
			h, ctx, leader := newGallery(t, device)
			defer device.Heal()
			<-device.Stalled()
			h.releaseLater(ctx, leader)
			sends := func() int {
				list, err := h.nodes[leader].Transfers("c")
				if err != nil {
					t.Fatal(err)
				}
				return len(list)
			}
			until(t, ctx, "another attempt, or the same", func() bool { return sends() == 1 })
			if err := h.nodes[leader].RemoveMember(ctx, h.id(leader, "c"), h.id(2, "c"), raft.MemberOptions{}); err != nil {
				t.Fatal(err)
			}
			until(t, ctx, "the transfer's end", func() bool { return sends() == 0 })
		})
	}
}

// A member that takes some of a snapshot each time, and never all of it, does not keep the others from letting go of their logs.
func TestHopelessTransferHoldsNobody(t *testing.T) {
	full := errorfs.New(memfs.New(2), errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.NoSpace, Match: func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpWrite && strings.HasSuffix(op.Name, ".part") && op.Off > 3*transferChunk && op.Off < 20*transferChunk
	}})
	h, ctx, leader := newGallery(t, full)
	until(t, ctx, "some attempts", func() bool {
		return h.metrics(leader, "c").Counters[raft.CounterTransferBytesSent] > 10*transferChunk
	})
	h.releaseLater(ctx, leader)
	if at := h.metrics(2, "c").Snapshot; at > 0 {
		t.Errorf("the member without room has the snapshot at %d", at)
	}
}
