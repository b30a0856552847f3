package raft_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
)

// sum adds the commands up.
func sum(t testing.TB) func() raft.Machine {
	m, err := raft.Simple(raft.Fold[uint64]{
		Apply: func(_ *raft.ApplyContext, n uint64, command []byte) (uint64, []byte) {
			n += binary.LittleEndian.Uint64(command)
			return n, binary.LittleEndian.AppendUint64(nil, n)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// house is some nodes in one process.
type house struct {
	t     testing.TB
	net   *transport.Network[raft.Packet]
	dirs  []string
	nodes []*raft.Node
	ends  []*transport.Endpoint[raft.Packet] // of the nodes' present lives
	wire  *wire                              // nil when packets are not encoded
	// loopback is set when the nodes talk over TCP.
	loopback *loopback
	// options are what every life of a node is opened with.
	options houseOptions
}

func newHouse(t testing.TB, count int) *house {
	return newHouseWith(t, count, houseOptions{machines: map[string]func() raft.Machine{"counter": sum(t)}})
}

func (h *house) open(i int) {
	h.t.Helper()
	o := raft.NodeOptions{
		ID: fmt.Sprintf("n%d", i), Dir: h.dirs[i], Network: joining{h, i},
		Machines: h.options.machines, Queries: h.options.queries,
		Engine: engine.Options{WALFileBytes: 1 << 20, MemoryBytes: 64 << 20, Strategy: engine.StrategyNone},
	}
	if !h.options.watchful {
		o.HeartbeatInterval, o.DetectionBound = 2*time.Second, 10*time.Second
	}
	if h.options.change != nil {
		h.options.change(&o)
	}
	n, err := raft.OpenNodeIn(sched.Real(), h.options.engineOf(i), o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.nodes[i] = n
}

func (h *house) close(i int) {
	if h.nodes[i] == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), *hang)
	defer cancel()
	if err := h.nodes[i].Close(ctx); err != nil {
		h.t.Errorf("close: %v", err)
	}
	h.nodes[i] = nil
}

func (h *house) members(name string) (list []raft.ServerID) {
	for i := range h.nodes {
		list = append(list, raft.ServerID{Name: name, Node: fmt.Sprintf("n%d", i)})
	}
	return list
}

func one() []byte { return binary.LittleEndian.AppendUint64(nil, 1) }

func ctxFor(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), *hang)
	t.Cleanup(cancel)
	return ctx
}

// A cluster of three applies commands, loses a member and goes on.
func TestCluster(t *testing.T) {
	h := newHouse(t, 3)
	ctx := ctxFor(t)
	members := h.members("counter")
	started, err := h.nodes[0].StartCluster(ctx, raft.ClusterConfig{Name: "counter", Machine: "counter", Members: members})
	if err != nil || len(started) != 3 {
		t.Fatal(started, err)
	}
	for i := range 50 {
		r, err := h.nodes[i%3].Process(ctx, members[i%3], one(), raft.ProcessOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := binary.LittleEndian.Uint64(r.Data); got != uint64(i+1) {
			t.Fatalf("command %d: %d", i, got)
		}
	}
	leader, err := h.nodes[0].Leader("counter")
	if err != nil || leader.IsZero() {
		t.Fatal(leader, err)
	}
	gone := int(leader.Node[1] - '0')
	h.close(gone)
	left := (gone + 1) % 3
	r, err := h.nodes[left].Process(ctx, members[left], one(), raft.ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := binary.LittleEndian.Uint64(r.Data); got != 51 {
		t.Fatalf("after the loss: %d", got)
	}
	h.open(gone)
	got, err := h.nodes[gone].ConsistentRead(ctx, "counter", func(m raft.Machine) (any, error) {
		return m.Snapshot(), nil
	})
	if err != nil {
		t.Fatal(got, err)
	}
}
