package raft

import (
	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/detector"
)

// Packet is what nodes send each other: one of the types of this file, or a heartbeat. It is never changed once sent.
type Packet interface {
	// Size is about how many bytes it takes on its way.
	Size() int
}

var _ Packet = (*detector.Heartbeat)(nil)

// raftPacket is a message from server to server, in the form in which the core takes it, so that it is copied nowhere on
// its way.
type raftPacket struct{ core.Received }

// Size implements Packet.
func (p *raftPacket) Size() int { return p.Message.Size() }

// MessageOf returns the message from server to server that a packet is, for who watches a network; false for a packet of
// another kind. The message must not be changed.
func MessageOf(p Packet) (*core.Message, bool) {
	if p, ok := p.(*raftPacket); ok {
		return &p.Message, true
	}
	return nil, false
}

func newRaftPacket(h core.Head, b core.Body) *raftPacket {
	return &raftPacket{core.Received{Message: core.Message{Head: h, Body: b}}}
}

// beliefs are the leaders that servers of one node follow on another, asked to be confirmed: those that do not lead
// are denied by notices.
type beliefs struct{ list []belief }

// belief is one of them.
type belief struct {
	leader ServerID
	term   Term
}

// Size implements Packet.
func (p *beliefs) Size() int { return 64 * len(p.list) }

// request is a client's call to a server of another node.
type request struct {
	id   uint64 // of the asking node
	to   ServerID
	call any // one of the operations of operation.go
	size int
}

// Size implements Packet.
func (p *request) Size() int { return 48 + len(p.to.Name) + len(p.to.Node) + p.size }

// withdrawal says that nobody waits for the answer to a query any more.
type withdrawal struct{ id uint64 }

// Size implements Packet.
func (p *withdrawal) Size() int { return 16 }

// response answers a request.
type response struct {
	id     uint64
	answer answer
}

// Size implements Packet.
func (p *response) Size() int { return 64 + len(p.answer.reply) }

// snapshotPart is one step of a snapshot's transfer, from the leader's node.
type snapshotPart struct {
	to       ServerID
	toInc    core.Incarnation
	transfer uint64
	header   []byte // of the first part
	live     []engine.Entry
	sums     []uint32
	chunk    int
	data     []byte // of a chunk
	sum      engine.ChunkSum
	end      bool // all chunks were sent
	failed   bool // the sender gives up
}

// Size implements Packet.
func (p *snapshotPart) Size() int { return 96 + len(p.header) + 32*len(p.live) + p.payload() }

// payload is what it has of the state and of live entries, in bytes.
func (p *snapshotPart) payload() int {
	n := len(p.data)
	for i := range p.live {
		n += len(p.live[i].Data)
	}
	return n
}

// snapshotReply paces a transfer: the receiver wants the next part, or ends it.
type snapshotReply struct {
	to       ServerID
	transfer uint64
	// have says that the header was taken: the live entries and chunks from next on are wanted.
	have   bool
	next   int
	parts  int // how many parts it has taken, for the sender's credit
	done   bool
	failed bool
	// busy says, with failed, that the receiver writes a snapshot of its own: it takes another one soon.
	busy bool
	// alive says that the receiver is at work, and nothing else: on what an earlier transfer left, or on the whole.
	alive bool
}

// Size implements Packet.
func (p *snapshotReply) Size() int { return 64 }
