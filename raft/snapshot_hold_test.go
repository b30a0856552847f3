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

// newGallery is two members that have a snapshot, and a node on a device of its own.
func newGallery(t *testing.T, device vfs.FS, machine func() raft.Machine, timeout time.Duration) (h *house, ctx context.Context, leader int) {
	h = newHouseWith(t, 3, houseOptions{
		machines: map[string]func() raft.Machine{"album": machine},
		devices:  []vfs.FS{memfs.New(0), memfs.New(1), device},
		change: func(o *raft.NodeOptions) {
			o.Engine.SnapshotBytesPerSecond, o.SnapshotBytesPerSecond, o.SnapshotTimeout = -1, -1, timeout
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
	return h, ctx, leader
}

// enlarge adds the third member, which needs the snapshot.
func (h *house) enlarge(ctx context.Context, leader int) {
	h.t.Helper()
	id, err := h.nodes[2].StartServer(ctx, raft.ServerConfig{Name: "c", Machine: "album"})
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.nodes[leader].AddMember(ctx, h.id(leader, "c"), id, raft.MemberOptions{}); err != nil {
		h.t.Fatal(err)
	}
}

// later releases a cursor that waits for transfers, and returns at which entry.
func (h *house) later(ctx context.Context, leader int) raft.Index {
	h.t.Helper()
	r, err := h.nodes[leader].Process(ctx, h.id(leader, "c"), []byte("release later"), raft.ProcessOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	return r.Index
}

// releaseLater releases a cursor that does not disturb transfers, and waits for the snapshots of the two first members.
func (h *house) releaseLater(ctx context.Context, leader int) {
	h.t.Helper()
	at := h.later(ctx, leader)
	for i := range 2 {
		until(h.t, ctx, "a newer snapshot", func() bool { return h.metrics(i, "c").Snapshot >= at })
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
			h, ctx, leader := newGallery(t, device, newAlbum, 2*time.Second)
			h.enlarge(ctx, leader)
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
	h, ctx, leader := newGallery(t, full, newAlbum, 2*time.Second)
	h.enlarge(ctx, leader)
	until(t, ctx, "some attempts", func() bool {
		return h.metrics(leader, "c").Counters[raft.CounterTransferBytesSent] > 10*transferChunk
	})
	h.releaseLater(ctx, leader)
	if at := h.metrics(2, "c").Snapshot; at > 0 {
		t.Errorf("the member without room has the snapshot at %d", at)
	}
}

// gatedAlbum is an album whose snapshots can be held up.
type gatedAlbum struct {
	*album
	gates *gates
}

// Snapshot implements raft.Machine.
func (m gatedAlbum) Snapshot() raft.View {
	return sluiceView{m.album.Snapshot().(tallyView), m.gates}
}

// Snapshots that are being written when a transfer begins give way to it, on all members, and are written behind it: the member that was
// added is sent one snapshot, and not a newer one after that.
func TestSnapshotGivesWay(t *testing.T) {
	device := errorfs.New(memfs.New(2), errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.Stall, Match: func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpWrite && strings.HasSuffix(op.Name, ".part") && op.Off > 3*transferChunk && op.Off < 20*transferChunk
	}})
	defer device.Heal()
	var g gates
	h, ctx, leader := newGallery(t, device, func() raft.Machine { return gatedAlbum{newAlbum().(*album), &g} }, 0)
	first := h.metrics(leader, "c").Snapshot
	write := shut(&g.write)
	at := h.later(ctx, leader)
	until(t, ctx, "snapshots on both", func() bool { return g.writing.Load() == 2 })
	h.enlarge(ctx, leader)
	<-device.Stalled()
	for i := range 2 {
		until(t, ctx, "a hold", func() bool { return h.nodes[i].HoldsSnapshot("c", at) })
	}
	close(write)
	until(t, ctx, "the end of both", func() bool { return g.writing.Load() == 0 })
	device.Heal()
	until(t, ctx, "the new member's snapshot", func() bool { return h.metrics(2, "c").Snapshot == first })
	for i := range 2 {
		until(t, ctx, "the snapshot that gave way", func() bool { return h.metrics(i, "c").Snapshot >= at })
	}
	until(t, ctx, "the new member's state", func() bool { return h.metrics(2, "c").Applied >= at })
	if n := h.metrics(2, "c").Counters[raft.CounterSnapshotsInstalled]; n != 1 {
		t.Errorf("%d snapshots were installed", n)
	}
}
