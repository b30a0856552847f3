package raft_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
)

const (
	transferChunk = 1 << 20
	transferState = 24*transferChunk + 1000
)

// album is a machine with a state of some size, of which entries fill a little.
type album struct{ b []byte }

func newAlbum() raft.Machine {
	b := make([]byte, transferState)
	for i := range b {
		b[i] = byte(i * i >> 11)
	}
	return &album{b}
}

// Apply implements raft.Machine.
func (m *album) Apply(ctx *raft.ApplyContext, command []byte) []byte {
	switch string(command) {
	case "release":
		ctx.ReleaseCursor(raft.CursorConditions{})
		return nil
	case "release later":
		ctx.ReleaseCursor(raft.CursorConditions{NoSnapshotSends: true})
		return nil
	}
	copy(m.b[int(ctx.Index)*64%len(m.b):], command)
	return nil
}

// Snapshot implements raft.Machine.
func (m *album) Snapshot() raft.View { return tallyView(slices.Clone(m.b)) }

// Restore implements raft.Machine.
func (m *album) Restore(r io.Reader) (err error) {
	m.b, err = io.ReadAll(r)
	return err
}

// weir counts what goes from node to node in big packets, which are the chunks of snapshots.
type weir struct{ passed atomic.Int64 } // bytes

type weirNetwork struct {
	raft.Network
	weir *weir
}

// Join implements raft.Network.
func (n weirNetwork) Join(id raft.NodeID, life uint64, r transport.Receiver[raft.Packet]) (transport.Transport[raft.Packet], error) {
	t, err := n.Network.Join(id, life, r)
	if err != nil {
		return nil, err
	}
	return weirTransport{t, n.weir}, nil
}

type weirTransport struct {
	transport.Transport[raft.Packet]
	weir *weir
}

// Send implements transport.Transport.
func (t weirTransport) Send(to transport.NodeID, class transport.Class, p raft.Packet) error {
	err := t.Transport.Send(to, class, p)
	if size := p.Size(); err == nil && class == transport.Snapshot && size > transferChunk/2 {
		t.weir.passed.Add(int64(size))
	}
	return err
}

// transferSpeed is what the nodes of newAlbums send, bytes per second.
const transferSpeed = 4 * transferChunk

// newAlbums is a house over TCP of nodes that send four chunks a second, so that a test can get in between.
func newAlbums(t *testing.T, nodes int) (*house, *weir, context.Context) {
	before := *overTCP
	*overTCP = true
	t.Cleanup(func() { *overTCP = before })
	s := &weir{}
	h := newHouseWith(t, nodes, houseOptions{
		machines: map[string]func() raft.Machine{"album": newAlbum},
		change: func(o *raft.NodeOptions) {
			o.Network = weirNetwork{o.Network, s}
			o.Engine.SnapshotBytesPerSecond, o.SnapshotBytesPerSecond = -1, transferSpeed
		},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return h, s, ctx
}

// incoming is how many chunks of a snapshot a member knows to have, -1 when none comes.
func (h *house) incoming(i int, name string) int {
	list, err := h.nodes[i].Transfers(name)
	if err != nil {
		return -1
	}
	for _, x := range list {
		if x.Incoming && x.Chunks > 0 {
			return x.Done
		}
	}
	return -1
}

func (h *house) album(ctx context.Context, i int, at raft.EntryID) ([]byte, error) {
	v, err := h.nodes[i].LocalQuery(ctx, "c", func(m raft.Machine) (any, error) { return slices.Clone(m.(*album).b), nil },
		raft.QueryOptions{Applied: at})
	if err != nil {
		return nil, err
	}
	return v.([]byte), nil
}

// sameAlbums wants the album of one member to be another's, with the entries behind the snapshot.
func (h *house) sameAlbums(ctx context.Context, leader, other int) {
	h.t.Helper()
	r, err := h.nodes[leader].Process(ctx, h.id(leader, "c"), []byte("last"), raft.ProcessOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	want, err := h.album(ctx, leader, r.ID())
	if err != nil {
		h.t.Fatal(err)
	}
	got, err := h.album(ctx, other, r.ID())
	if err != nil || !bytes.Equal(got, want) {
		h.t.Fatalf("the states differ (%d and %d bytes), %v", len(got), len(want), err)
	}
}

// twice wants no more to have been sent twice than so many interruptions explain: what was on its way.
func (w *weir) twice(t *testing.T, interruptions int64) {
	t.Helper()
	const credit = 4 // chunks on their way
	if n := w.passed.Load() - transferState; n < 0 || n > interruptions*credit*(transferChunk+1024) {
		t.Errorf("%d bytes were sent twice in %d interruptions", n, interruptions)
	}
}

// A new member gets a snapshot while commands are applied. Either side is closed and opened again five times: the transfer goes on where it was,
// little is sent twice, and the states are equal in the end.
func TestTransferInterrupted(t *testing.T) {
	h, weir, ctx := newAlbums(t, 2)
	h.start(ctx, "c", "album", 0)
	h.tell(ctx, 0, "c", []byte("before"))
	h.tell(ctx, 0, "c", []byte("release"))
	until(t, ctx, "a snapshot", func() bool { return h.metrics(0, "c").Snapshot > 0 })
	id, err := h.nodes[1].StartServer(ctx, raft.ServerConfig{Name: "c", Cluster: "c", Machine: "album"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.nodes[0].AddMember(ctx, h.id(0, "c"), id, raft.MemberOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, done := 0, 0; i < 10; i++ {
		until(t, ctx, "a chunk more", func() bool {
			if h.metrics(1, "c").Snapshot > 0 {
				t.Fatalf("over after %d interruptions", i)
			}
			return h.incoming(1, "c") > done
		})
		done = h.incoming(1, "c")
		h.tell(ctx, 0, "c", []byte("meanwhile"))
		h.close(i % 2)
		h.open(i % 2)
	}
	until(t, ctx, "the end of the transfer", func() bool { return h.metrics(0, "c").Counters[raft.CounterSnapshotsSent] == 1 })
	h.sameAlbums(ctx, 0, 1)
	weir.twice(t, 10)
}

// A leader's snapshot is continued with the chunks of the next one, which has taken no other meanwhile. It does afterwards, without
// another command. Neither sends faster than it may.
func TestTransferFromTwoLeaders(t *testing.T) {
	h, weir, ctx := newAlbums(t, 3)
	h.start(ctx, "c", "album", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	behind, other := (leader+1)%3, (leader+2)%3
	h.close(behind)
	h.tell(ctx, leader, "c", []byte("before"))
	h.tell(ctx, leader, "c", []byte("release"))
	for _, i := range []int{leader, other} {
		until(t, ctx, "a snapshot", func() bool { return h.metrics(i, "c").Snapshot > 0 })
	}
	if a, b := h.metrics(leader, "c").Snapshot, h.metrics(other, "c").Snapshot; a != b {
		t.Fatalf("snapshots at %d and %d", a, b)
	}
	began := time.Now()
	h.open(behind)
	until(t, ctx, "some chunks", func() bool { return h.incoming(behind, "c") >= 8 })
	sent := h.metrics(other, "c").Snapshot
	later, err := h.nodes[leader].Process(ctx, h.id(leader, "c"), []byte("release later"), raft.ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.album(ctx, other, later.ID()); err != nil {
		t.Fatal(err)
	}
	asked, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	until(t, asked, "the other to be asked to wait", func() bool { return h.nodes[other].HoldsSnapshot("c", later.Index) })
	h.close(leader)
	if next := h.leader(ctx, other, "c", leader); next != other {
		t.Fatalf("n%d leads, without the log", next)
	}
	until(t, ctx, "the transfer's end", func() bool { return h.metrics(behind, "c").Snapshot > 0 })
	if took, least := time.Since(began), transferState*time.Second/transferSpeed; took < least*3/4 { // there is some slack
		t.Errorf("the transfer took %v, at this rate it needs %v", took, least)
	}
	if at := h.metrics(behind, "c").Snapshot; at != sent {
		t.Errorf("a snapshot at %d came, it was to be that at %d", at, sent)
	}
	until(t, ctx, "the snapshot that waited", func() bool { return h.metrics(other, "c").Snapshot >= later.Index })
	h.sameAlbums(ctx, other, behind)
	weir.twice(t, 1)
}
