package raft

import (
	"encoding/binary"

	"github.com/rawl-db/rawl/raft/detector"
)

// appendHeartbeat encodes a heartbeat:
//
//	bool     Answer
//	uvarint  Incarnation, Seq, Stamp, PeerIncarnation, Echo, EchoStamp, EchoDelay, NoticeAck, NoticeFirst
//	uvarint  number of notices, at most detector.MaxNotices; then each
func appendHeartbeat(b []byte, h *detector.Heartbeat) []byte {
	b = appendBool(b, h.Answer)
	for _, v := range [...]uint64{h.Incarnation, h.Seq, uint64(h.Stamp), h.PeerIncarnation, h.Echo, uint64(h.EchoStamp),
		uint64(h.EchoDelay), h.NoticeAck, h.NoticeFirst, uint64(len(h.Notices))} {
		b = binary.AppendUvarint(b, v)
	}
	for _, n := range h.Notices {
		b = append(binary.AppendUvarint(b, uint64(len(n))), n...)
	}
	return b
}

func (d *packetDecoder) heartbeat() *detector.Heartbeat {
	h := &detector.Heartbeat{From: d.from, To: d.to, Answer: d.boolean(), Incarnation: d.uvarint(), Seq: d.uvarint(),
		Stamp: int64(d.uvarint()), PeerIncarnation: d.uvarint(), Echo: d.uvarint(), EchoStamp: int64(d.uvarint()),
		EchoDelay: int64(d.uvarint()), NoticeAck: d.uvarint(), NoticeFirst: d.uvarint()}
	n := d.count(detector.MaxNotices, 1)
	if n > 0 {
		h.Notices = make([][]byte, 0, n)
	}
	for range n {
		h.Notices = append(h.Notices, d.bytes())
	}
	return h
}

// minBelief is what a belief takes at least: an empty name, a term.
const minBelief = 2

// appendTo encodes beliefs in leaders on the receiver's node:
//
//	uvarint  their number, at most beliefPage; then each:
//	string   the leader's name
//	uvarint  term
func (p *beliefs) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(p.list)))
	for i := range p.list {
		b = binary.AppendUvarint(appendName(b, p.list[i].leader.Name), uint64(p.list[i].term))
	}
	return b
}

func (d *packetDecoder) beliefs() *beliefs {
	n := d.count(beliefPage, minBelief)
	p := &beliefs{list: make([]belief, 0, n)}
	for range n {
		p.list = append(p.list, belief{leader: d.here(), term: Term(d.uvarint())})
	}
	return p
}
