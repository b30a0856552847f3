package raft_test

import (
	"bytes"
	"flag"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/transport"
)

// wired has the nodes of every house tell each other bytes.
var wired = flag.Bool("wire", false, "encode and decode every packet on its way")

// crossed counts the packets that were encoded or decoded.
var crossed atomic.Int64

// wire has what went wrong with the packets of a house: nothing may.
type wire struct {
	mu  sync.Mutex
	bad []error
}

func (w *wire) note(err error) {
	crossed.Add(1)
	if err != nil {
		w.mu.Lock()
		w.bad = append(w.bad, err)
		w.mu.Unlock()
	}
}

func (w *wire) check(t testing.TB) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, err := range w.bad {
		t.Error(err)
	}
}

// encoded is a packet on its way.
type encoded []byte

// Size implements raft.Packet.
func (e encoded) Size() int { return len(e) }

// encoder is a node's end of the network in memory, for bytes.
type encoder struct {
	transport.Transport[raft.Packet]
	wire *wire
}

// Send implements transport.Transport.
func (e encoder) Send(to transport.NodeID, class transport.Class, p raft.Packet) error {
	b, err := raft.PacketCodec{}.Append(nil, p)
	e.wire.note(err)
	if err != nil {
		return err
	}
	return e.Transport.Send(to, class, encoded(b))
}

// decoder is what a node hears.
type decoder struct {
	transport.Receiver[raft.Packet]
	wire *wire
	id   raft.NodeID
}

// Receive implements transport.Receiver. The bytes may come twice.
func (d decoder) Receive(from transport.NodeID, class transport.Class, epoch uint64, p raft.Packet) {
	p, err := raft.PacketCodec{}.Decode(bytes.Clone(p.(encoded)), from, d.id)
	d.wire.note(err)
	if err == nil {
		d.Receiver.Receive(from, class, epoch, p)
	}
}

// TestWired: what clusters do in memory they do with bytes.
func TestWired(t *testing.T) {
	defer func(before bool) { *wired = before }(*wired)
	*wired = true
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"commands", TestCluster}, {"replies", TestReplyFromMember}, {"queries", TestQueriesAnywhere},
		{"operators", TestOperator}, {"pipeline", TestPipelineLeaderLost}, {"sessions", TestClientSessionExactlyOnce},
		{"events", TestClientSessionEvents}, {"members", TestClusterAddRemove}, {"transfer", TestClusterTransfer},
		{"laggard", TestClusterSnapshotForLaggard}, {"delete", TestClusterDelete}, {"restart", TestStartOrRestart},
	} {
		before := crossed.Load()
		t.Run(c.name, c.test)
		if crossed.Load() == before {
			t.Errorf("%s: no packet was encoded", c.name)
		}
	}
}
