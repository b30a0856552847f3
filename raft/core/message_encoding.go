package core

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrBadMessage is wrapped by errors about bytes that are no message.
var ErrBadMessage = errors.New("core: bad message")

// The kinds of bodies on the wire. The numbers are frozen.
const (
	wirePreVote byte = iota + 1
	wirePreVoteReply
	wireVote
	wireVoteReply
	wireAppend
	wireAppendReply
	wireRound
	wireRoundReply
	wireReadIndex
	wireReadIndexReply
	wireTimeoutNow
	wireOffer
	wireOfferReply
	wireInfo
	wireInfoReply
	wireGone
	wireRemoved
)

// maxWireEntries bounds the entries of a message, as Options.BatchEntries does.
const maxWireEntries = 1 << 16

// minWireEntry is what an entry takes at least: term, type, length.
const minWireEntry = 3

// AppendTo appends the message's bytes to b:
//
//	byte     format version, 1
//	byte     kind of the body
//	16 B     cluster id
//	uvarint  epoch
//	string   names of sender and receiver: uvarint length and bytes
//	uvarint  their incarnations, the sender's first
//	uvarint  term
//	         the body, its fields in their order: numbers as uvarints, a bool as a byte, an entry's id as term and index. An
//	         Append counts its entries (uvarint); then come term, type and payload of each, the indexes follow from Prev
//
// The nodes are not among them: a connection knows between which nodes it is, and nobody can speak for another one.
func (m *Message) AppendTo(b []byte) []byte {
	b = append(b, 1, kindOf(m.Body))
	b = append(b, m.Cluster[:]...)
	b = binary.AppendUvarint(b, m.Epoch)
	b = appendString(b, m.From.Name)
	b = appendString(b, m.To.Name)
	for _, v := range []uint64{uint64(m.FromInc), uint64(m.ToInc), uint64(m.Term)} {
		b = binary.AppendUvarint(b, v)
	}
	return appendBody(b, m.Body)
}

func kindOf(b Body) byte {
	switch b.(type) {
	case PreVote:
		return wirePreVote
	case PreVoteReply:
		return wirePreVoteReply
	case Vote:
		return wireVote
	case VoteReply:
		return wireVoteReply
	case Append:
		return wireAppend
	case AppendReply:
		return wireAppendReply
	case Round:
		return wireRound
	case RoundReply:
		return wireRoundReply
	case ReadIndex:
		return wireReadIndex
	case ReadIndexReply:
		return wireReadIndexReply
	case TimeoutNow:
		return wireTimeoutNow
	case Offer:
		return wireOffer
	case OfferReply:
		return wireOfferReply
	case Info:
		return wireInfo
	case InfoReply:
		return wireInfoReply
	case Gone:
		return wireGone
	case Removed:
		return wireRemoved
	}
	return 0
}

func appendBody(b []byte, body Body) []byte {
	switch x := body.(type) {
	case PreVote:
		b = binary.AppendUvarint(b, x.Token)
		b = binary.AppendUvarint(b, uint64(x.Next))
		b = appendID(b, x.Last)
		b = binary.AppendUvarint(b, uint64(x.Protocol))
		return binary.AppendUvarint(b, x.Machine)
	case PreVoteReply:
		return appendBool(binary.AppendUvarint(b, x.Token), x.Granted)
	case Vote:
		return appendBool(appendID(b, x.Last), x.Transfer)
	case VoteReply:
		return appendBool(b, x.Granted)
	case Append:
		return x.appendTo(b)
	case AppendReply:
		b = appendID(b, x.Durable)
		b = binary.AppendUvarint(b, uint64(x.Next))
		b = binary.AppendUvarint(b, uint64(x.Commit))
		return appendID(appendID(b, x.Rejected), x.Hint)
	case Round:
		return binary.AppendUvarint(b, x.Number)
	case RoundReply:
		return binary.AppendUvarint(b, x.Number)
	case ReadIndex:
		return binary.AppendUvarint(b, x.Ref)
	case ReadIndexReply:
		return appendBool(binary.AppendUvarint(binary.AppendUvarint(b, x.Ref), uint64(x.Index)), x.OK)
	case TimeoutNow:
		return appendID(b, x.Last)
	case Offer:
		return x.Snapshot.appendTo(binary.AppendUvarint(b, x.Transfer))
	case OfferReply:
		return binary.AppendUvarint(b, x.Transfer)
	case InfoReply:
		return binary.AppendUvarint(b, x.Machine)
	case Removed:
		return binary.AppendUvarint(b, uint64(x.Index))
	}
	return b // Info and Gone are empty
}

func (x *Append) appendTo(b []byte) []byte {
	b = appendID(b, x.Prev)
	b = binary.AppendUvarint(b, uint64(x.Commit))
	b = appendBool(b, x.Probe)
	b = binary.AppendUvarint(b, uint64(len(x.Entries)))
	for i := range x.Entries {
		e := &x.Entries[i]
		b = append(binary.AppendUvarint(b, uint64(e.Term)), e.Type)
		b = append(binary.AppendUvarint(b, uint64(len(e.Data))), e.Data...)
	}
	return b
}

func (s *SnapshotMeta) appendTo(b []byte) []byte {
	b = appendID(b, s.ID)
	b = binary.AppendUvarint(b, uint64(s.ConfigurationIndex))
	b = binary.AppendUvarint(b, s.Machine)
	c := s.Configuration.Marshal()
	return append(binary.AppendUvarint(b, uint64(len(c))), c...)
}

func appendID(b []byte, id EntryID) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(id.Term)), uint64(id.Index))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// UnmarshalMessage decodes AppendTo's bytes, which came from a node to another. The payloads of entries are parts of b, which
// belongs to the message from then on. It allocates little more than b takes. Errors wrap ErrBadMessage or ErrVersion.
func UnmarshalMessage(b []byte, from, to NodeID) (Message, error) {
	d := decoder{b: b}
	d.version(1)
	kind := d.byte()
	var m Message
	copy(m.Cluster[:], d.bytes(len(m.Cluster)))
	m.Epoch = d.uvarint()
	m.From = ServerID{Name: d.string(MaxNameLen), Node: from}
	m.To = ServerID{Name: d.string(MaxNameLen), Node: to}
	m.FromInc, m.ToInc = Incarnation(d.uvarint()), Incarnation(d.uvarint())
	m.Term = Term(d.uvarint())
	m.Body = d.body(kind)
	switch {
	case d.newer:
		return Message{}, fmt.Errorf("%w: message", ErrVersion)
	case d.bad || len(d.b) > 0 || m.Body == nil:
		return Message{}, fmt.Errorf("%w: kind %d", ErrBadMessage, kind)
	}
	for _, id := range []ServerID{m.From, m.To} {
		if err := id.Validate(); err != nil {
			return Message{}, fmt.Errorf("%w: %w", ErrBadMessage, err)
		}
	}
	return m, nil
}

func (d *decoder) body(kind byte) Body {
	switch kind {
	case wirePreVote:
		x := PreVote{Token: d.uvarint(), Next: Term(d.uvarint()), Last: d.id()}
		x.Protocol = d.uint32()
		x.Machine = d.uvarint()
		return x
	case wirePreVoteReply:
		return PreVoteReply{Token: d.uvarint(), Granted: d.bool()}
	case wireVote:
		return Vote{Last: d.id(), Transfer: d.bool()}
	case wireVoteReply:
		return VoteReply{Granted: d.bool()}
	case wireAppend:
		return d.append()
	case wireAppendReply:
		return AppendReply{Durable: d.id(), Next: Index(d.uvarint()), Commit: Index(d.uvarint()), Rejected: d.id(), Hint: d.id()}
	case wireRound:
		return Round{Number: d.uvarint()}
	case wireRoundReply:
		return RoundReply{Number: d.uvarint()}
	case wireReadIndex:
		return ReadIndex{Ref: d.uvarint()}
	case wireReadIndexReply:
		return ReadIndexReply{Ref: d.uvarint(), Index: Index(d.uvarint()), OK: d.bool()}
	case wireTimeoutNow:
		return TimeoutNow{Last: d.id()}
	case wireOffer:
		return Offer{Transfer: d.uvarint(), Snapshot: d.snapshot()}
	case wireOfferReply:
		return OfferReply{Transfer: d.uvarint()}
	case wireInfo:
		return Info{}
	case wireInfoReply:
		return InfoReply{Machine: d.uvarint()}
	case wireGone:
		return Gone{}
	case wireRemoved:
		return Removed{Index: Index(d.uvarint())}
	}
	return nil
}

func (d *decoder) append() Append {
	x := Append{Prev: d.id(), Commit: Index(d.uvarint()), Probe: d.bool()}
	n := d.uvarint()
	if n > maxWireEntries || n > uint64(len(d.b)/minWireEntry) || uint64(x.Prev.Index)+n < n {
		d.fail()
		return x
	}
	for i := range n {
		e := Entry{Index: x.Prev.Index + Index(i) + 1, Term: Term(d.uvarint()), Type: d.byte()}
		size := d.uvarint()
		if size > uint64(len(d.b)) {
			d.fail()
		}
		if e.Data = d.bytes(int(size)); d.bad {
			return Append{}
		}
		e.Data = e.Data[:len(e.Data):len(e.Data)]
		x.Entries = append(x.Entries, e)
	}
	return x
}

func (d *decoder) snapshot() SnapshotMeta {
	s := SnapshotMeta{ID: d.id(), ConfigurationIndex: Index(d.uvarint()), Machine: d.uvarint()}
	size := d.uvarint()
	if size > uint64(len(d.b)) {
		d.fail()
		return s
	}
	c, err := UnmarshalConfiguration(d.bytes(int(size)))
	if err != nil {
		d.newer = d.newer || errors.Is(err, ErrVersion)
		d.fail()
	}
	s.Configuration = c
	return s
}

func (d *decoder) id() EntryID { return EntryID{Term: Term(d.uvarint()), Index: Index(d.uvarint())} }

// bool accepts 0 and 1 only, so that one value has one encoding.
func (d *decoder) bool() bool {
	v := d.byte()
	if v > 1 {
		d.fail()
	}
	return v == 1
}

func (d *decoder) uint32() uint32 {
	v := d.uvarint()
	if v > 1<<32-1 {
		d.fail()
	}
	return uint32(v)
}
