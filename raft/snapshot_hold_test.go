package raft_test

import (
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

// A member that takes some of a snapshot each time, and never all of it, does not keep the others from letting go of their logs.
func TestHopelessTransferHoldsNobody(t *testing.T) {
	full := errorfs.New(memfs.New(2), errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.NoSpace, Match: func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpWrite && strings.HasSuffix(op.Name, ".part") && op.Off > 3*transferChunk && op.Off < 20*transferChunk
	}})
	h := newHouseWith(t, 3, houseOptions{
		machines: map[string]func() raft.Machine{"album": newAlbum},
		devices:  []vfs.FS{memfs.New(0), memfs.New(1), full},
		change: func(o *raft.NodeOptions) {
			o.Engine.SnapshotBytesPerSecond, o.SnapshotBytesPerSecond, o.SnapshotTimeout = -1, -1, 2*time.Second
			o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
		},
	})
	ctx := ctxFor(t)
	h.start(ctx, "c", "album", 0, 1)
	leader := h.leader(ctx, 0, "c")
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
	until(t, ctx, "some attempts", func() bool {
		return h.metrics(leader, "c").Counters[raft.CounterTransferBytesSent] > 10*transferChunk
	})
	r, err := h.nodes[leader].Process(ctx, h.id(leader, "c"), []byte("release later"), raft.ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		until(t, ctx, "a newer snapshot", func() bool { return h.metrics(i, "c").Snapshot >= r.Index })
	}
	if at := h.metrics(2, "c").Snapshot; at > 0 {
		t.Errorf("the member without room has the snapshot at %d", at)
	}
}
