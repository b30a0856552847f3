package raft_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
)

// notes is a log that tests read.
type notes struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

func (n *notes) count(what string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Count(n.b.String(), what)
}

// parts counts what a node sends of snapshots.
type parts struct {
	raft.Network
	sent *atomic.Int64
}

// Join implements raft.Network.
func (p parts) Join(id raft.NodeID, life uint64, r transport.Receiver[raft.Packet]) (transport.Transport[raft.Packet], error) {
	t, err := p.Network.Join(id, life, r)
	if err != nil || id != "n0" {
		return t, err
	}
	return partsTransport{t, p.sent}, nil
}

type partsTransport struct {
	transport.Transport[raft.Packet]
	sent *atomic.Int64
}

// Send implements transport.Transport.
func (t partsTransport) Send(to transport.NodeID, class transport.Class, p raft.Packet) error {
	err := t.Transport.Send(to, class, p)
	if err == nil && class == transport.Snapshot {
		t.sent.Add(1)
	}
	return err
}

// A member that comes back is offered the snapshot once more while it looks at what it has of it, for its sender has begun another life: it
// refuses neither, and the transfer goes on.
func TestTransferOfferedAgain(t *testing.T) {
	var log notes
	var sent atomic.Int64
	device := errorfs.New(memfs.New(1), errorfs.Plan{})
	h := newHouseWith(t, 2, houseOptions{
		machines: map[string]func() raft.Machine{"album": newAlbum},
		devices:  []vfs.FS{memfs.New(0), device},
		change: func(o *raft.NodeOptions) {
			o.Network = parts{o.Network, &sent}
			o.Engine.SnapshotBytesPerSecond, o.SnapshotBytesPerSecond = -1, 16*transferChunk
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		},
	})
	ctx := ctxFor(t)
	h.start(ctx, "c", "album", 0)
	h.tell(ctx, 0, "c", []byte("release"))
	until(t, ctx, "a snapshot", func() bool { return h.metrics(0, "c").Snapshot > 0 })
	id, err := h.nodes[1].StartServer(ctx, raft.ServerConfig{Name: "c", Machine: "album"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[0].AddMember(ctx, h.id(0, "c"), id, raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "some chunks", func() bool { return h.incoming(1, "c") > 2 })
	h.close(1)
	device.Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.Stall, Match: func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpRead && strings.HasSuffix(op.Name, ".part")
	}})
	h.open(1)
	<-device.Stalled()
	h.close(0)
	before := sent.Load()
	h.open(0)
	until(t, ctx, "the other life's header", func() bool { return sent.Load() > before })
	for range 20 { // it has come by then, if not refused
		pause(ctx)
	}
	device.Heal()
	until(t, ctx, "the end of the transfer", func() bool { return h.metrics(1, "c").Snapshot > 0 })
	if n := log.count("a snapshot cannot be received"); n > 0 {
		t.Errorf("the receiver failed %d times", n)
	}
}
