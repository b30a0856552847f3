package raft

import (
	"encoding/binary"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// The parts of a snapshot's transfer on the wire. The numbers are frozen.
const (
	wireHeader byte = iota + 1
	wireLive
	wireChunk
	wireEnd
	wireFailed
)

// minLive is what a live entry takes at least: index, term, type, checksum, length.
const minLive = 8

// appendTo encodes a part of a snapshot, its kind included:
//
//	string   name of the receiving server
//	uvarint  its incarnation, number of the transfer
//	byte     1 header, 2 live entries, 3 chunk, 4 end, 5 failed
//	         header: bytes to the end, at least one
//	         live entries: their number, 1 to livePartEntries; then index, term, type (byte), checksum (4 B, little-endian)
//	         and payload of each
//	         chunk: its number, the seed and the hash of its checksum (8 B each, little-endian), data to the end
//
// Error: ErrMalformed for more live entries than that, or other checksums; b is returned as it was then.
func (p *snapshotPart) appendTo(b []byte) ([]byte, error) {
	switch {
	case p.failed:
		return p.appendHead(b, wireFailed), nil
	case len(p.header) > 0:
		return append(p.appendHead(b, wireHeader), p.header...), nil
	case p.end:
		return p.appendHead(b, wireEnd), nil
	case len(p.live) > livePartEntries || len(p.sums) != len(p.live):
		return b, malformed("%d live entries with %d checksums in a part", len(p.live), len(p.sums))
	case len(p.live) > 0:
		return p.appendLive(p.appendHead(b, wireLive)), nil
	}
	b = binary.AppendUvarint(p.appendHead(b, wireChunk), uint64(p.chunk))
	b = binary.LittleEndian.AppendUint64(b, p.sum.Seed)
	b = binary.LittleEndian.AppendUint64(b, p.sum.Hash)
	return append(b, p.data...), nil
}

func (p *snapshotPart) appendHead(b []byte, what byte) []byte {
	b = binary.AppendUvarint(appendName(append(b, wireSnapshotPart), p.to.Name), uint64(p.toInc))
	return append(binary.AppendUvarint(b, p.transfer), what)
}

func (p *snapshotPart) appendLive(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(p.live)))
	for i := range p.live {
		e := &p.live[i]
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(e.Index)), uint64(e.Term))
		b = binary.LittleEndian.AppendUint32(append(b, e.Type), p.sums[i])
		b = append(binary.AppendUvarint(b, uint64(len(e.Data))), e.Data...)
	}
	return b
}

func (d *packetDecoder) snapshotPart() *snapshotPart {
	p := &snapshotPart{to: d.here(), toInc: core.Incarnation(d.uvarint()), transfer: d.uvarint()}
	switch d.byte() {
	case wireFailed:
		p.failed = true
	case wireHeader:
		if p.header = d.rest(); p.header == nil {
			d.refuse()
		}
	case wireEnd:
		p.end = true
	case wireLive:
		d.live(p)
	case wireChunk:
		p.chunk = d.number()
		p.sum = engine.ChunkSum{Seed: d.fixed64(), Hash: d.fixed64()}
		p.data = d.rest()
	default:
		d.refuse()
	}
	return p
}

func (d *packetDecoder) live(p *snapshotPart) {
	n := d.count(livePartEntries, minLive)
	if n == 0 {
		d.refuse()
		return
	}
	p.live, p.sums = make([]engine.Entry, 0, n), make([]uint32, 0, n)
	for range n {
		e := engine.Entry{Index: Index(d.uvarint()), Term: Term(d.uvarint()), Type: d.byte()}
		p.sums = append(p.sums, d.fixed32())
		e.Data = d.bytes()
		p.live = append(p.live, e)
	}
}

// The flags of a snapshotReply.
const (
	replyHave   = 1
	replyDone   = 2
	replyFailed = 4
	replyAlive  = 8
	replyBusy   = 16
)

// appendTo encodes what paces a transfer:
//
//	string   name of the sending server, which is on the node that this goes to
//	uvarint  number of the transfer
//	byte     flags: 1 have, 2 done, 4 failed, 8 alive, 16 busy
//	uvarint  next, parts
func (p *snapshotReply) appendTo(b []byte) []byte {
	flags := flagIf(p.have, replyHave) | flagIf(p.done, replyDone) | flagIf(p.failed, replyFailed) | flagIf(p.alive, replyAlive) |
		flagIf(p.busy, replyBusy)
	b = append(binary.AppendUvarint(appendName(b, p.to.Name), p.transfer), flags)
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(p.next)), uint64(p.parts))
}

// appendTo encodes a hold:
//
//	string   name of the server that is asked
//	uvarint  its incarnation
//	string   name of the server that asks, on the node that this comes from
//	uvarint  index, milliseconds
func (p *snapshotHold) appendTo(b []byte) []byte {
	b = appendName(binary.AppendUvarint(appendName(b, p.to.Name), uint64(p.toInc)), p.from.Name)
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(p.at)), uint64(p.left.Milliseconds()))
}

func (d *packetDecoder) snapshotHold() *snapshotHold {
	return &snapshotHold{to: d.here(), toInc: core.Incarnation(d.uvarint()), from: d.there(), at: Index(d.uvarint()),
		left: time.Duration(d.number()) * time.Millisecond}
}

func (d *packetDecoder) snapshotReply() *snapshotReply {
	p := &snapshotReply{to: d.here(), transfer: d.uvarint()}
	f := d.flags(replyHave | replyDone | replyFailed | replyAlive | replyBusy)
	p.have, p.done, p.failed = f&replyHave != 0, f&replyDone != 0, f&replyFailed != 0
	p.alive, p.busy = f&replyAlive != 0, f&replyBusy != 0
	p.next, p.parts = d.number(), d.number()
	return p
}
