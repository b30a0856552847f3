package raft

import (
	"errors"
	"net"
	"sync"

	"github.com/rawl-db/rawl/raft/transport"
	"github.com/rawl-db/rawl/raft/transport/tcp"
)

// TCP is a network of nodes in different processes and on different machines: see package tcp. Each node has one of its own.
type TCP struct {
	opts tcp.Options

	mu   sync.Mutex
	node *tcp.Transport[Packet] // nil until the node has joined
}

// OverTCP is a Network for one node.
func OverTCP(o tcp.Options) *TCP { return &TCP{opts: o} }

// errJoined says that a TCP is for one node.
var errJoined = errors.New("raft: another node has joined by this TCP")

// Join implements Network. A node that has left may join again, also in another life.
func (t *TCP) Join(id NodeID, life uint64, r transport.Receiver[Packet]) (transport.Transport[Packet], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.node != nil {
		return nil, errJoined
	}
	n, err := tcp.Join(t.opts, id, life, packetCodec{}, r)
	if err != nil {
		return nil, err
	}
	t.node = n
	return &overTCP{n, t}, nil
}

// Addr is where the node listens, nil while none has joined.
func (t *TCP) Addr() net.Addr {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.node == nil {
		return nil
	}
	return t.node.Addr()
}

// Stats counts what the node's transport did since the node joined.
func (t *TCP) Stats() tcp.Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.node == nil {
		return tcp.Stats{}
	}
	return t.node.Stats()
}

// overTCP is the transport of a node that has joined.
type overTCP struct {
	*tcp.Transport[Packet]
	network *TCP
}

// Close implements transport.Transport.
func (o *overTCP) Close() error {
	err := o.Transport.Close()
	o.network.mu.Lock()
	defer o.network.mu.Unlock()
	if o.network.node == o.Transport {
		o.network.node = nil
	}
	return err
}
