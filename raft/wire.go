package raft

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/detector"
)

// The kinds of packets on the wire. The numbers are frozen: a kind whose bytes come to mean something else gets another
// number.
const (
	wireMessage byte = iota + 1
	wireHeartbeat
	wireBeliefs
	wireRequest
	wireWithdrawal
	wireResponse
	wireSnapshotPart
	wireSnapshotReply
	wireMachineMessage
	wireSnapshotHold
)

// packetCodec turns packets into bytes and back:
//
//	byte  kind of the packet
//	      what stands beside its appendTo: numbers are uvarints in their shortest form, a bool is a byte, a string, or bytes
//	      before the end, have a uvarint length before them, an entry's id is term and index
//
// The nodes at both ends are not among them: a connection knows between which nodes it is, and nobody can speak for
// another one. A packet has one encoding, and Decode accepts no other.
type packetCodec struct{}

// Append appends a packet's bytes to b. It only reads the packet. Error: ErrMalformed for a packet that belongs to its
// process, as a query by a function does; b is returned as it was then.
func (packetCodec) Append(b []byte, p Packet) ([]byte, error) {
	switch p := p.(type) {
	case *raftPacket:
		return p.Message.AppendTo(append(b, wireMessage)), nil
	case *detector.Heartbeat:
		return appendHeartbeat(append(b, wireHeartbeat), p), nil
	case *beliefs:
		return p.appendTo(append(b, wireBeliefs)), nil
	case *request:
		return p.appendTo(b)
	case *withdrawal:
		return p.appendTo(append(b, wireWithdrawal)), nil
	case *response:
		return p.appendTo(append(b, wireResponse)), nil
	case *snapshotPart:
		return p.appendTo(b)
	case *snapshotReply:
		return p.appendTo(append(b, wireSnapshotReply)), nil
	case *machineMessage:
		return p.appendTo(append(b, wireMachineMessage)), nil
	case *snapshotHold:
		return p.appendTo(append(b, wireSnapshotHold)), nil
	}
	return b, malformed("a %T has no bytes", p)
}

// Decode reads what Append wrote on node from for node to. b belongs to the packet from then on: payloads are parts of it. What
// else is allocated is at most about as much as b takes, and 1 MiB, beside the entries of a message, of which core.UnmarshalMessage
// speaks. Errors: ErrUnknownFormat for a kind or a format that this code does not know, ErrMalformed for everything else.
func (packetCodec) Decode(b []byte, from, to NodeID) (Packet, error) {
	if len(b) == 0 {
		return nil, malformed("packet of no bytes")
	}
	b = b[:len(b):len(b)] // a payload at the end does not grow into what may follow
	if b[0] == wireMessage {
		m, err := core.UnmarshalMessage(b[1:], from, to)
		switch {
		case errors.Is(err, core.ErrVersion):
			return nil, fmt.Errorf("%w: %w", ErrUnknownFormat, err)
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return &raftPacket{core.Received{Message: m}}, nil
	}
	d := packetDecoder{commandDecoder: commandDecoder{in: b[1:]}, from: from, to: to}
	p := d.packet(b[0])
	switch {
	case p == nil:
		return nil, fmt.Errorf("%w: packet of kind %d", ErrUnknownFormat, b[0])
	case d.bad:
		return nil, malformed("packet of kind %d", b[0])
	case len(d.in) > 0:
		return nil, malformed("packet of kind %d with %d bytes behind it", b[0], len(d.in))
	}
	return p, nil
}

// packet reads a packet of a kind, nil when that is unknown.
func (d *packetDecoder) packet(kind byte) Packet {
	switch kind {
	case wireHeartbeat:
		return d.heartbeat()
	case wireBeliefs:
		return d.beliefs()
	case wireRequest:
		return d.request()
	case wireWithdrawal:
		return &withdrawal{id: d.uvarint()}
	case wireResponse:
		return d.response()
	case wireSnapshotPart:
		return d.snapshotPart()
	case wireSnapshotReply:
		return d.snapshotReply()
	case wireMachineMessage:
		return d.machineMessage()
	case wireSnapshotHold:
		return d.snapshotHold()
	}
	return nil
}
