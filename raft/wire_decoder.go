package raft

import (
	"encoding/binary"
	"math"

	"github.com/rawl-db/rawl/raft/core"
)

// packetDecoder reads a packet that came from one node to another, until something is wrong: then it is bad, and what it
// returns means nothing. Names are bounded by the packet alone: whoever uses them judges them, as on the node that they
// come from.
type packetDecoder struct {
	commandDecoder
	from, to NodeID
}

func (d *packetDecoder) refuse() { d.bad, d.in = true, nil }

func (d *packetDecoder) byte() byte {
	b := d.take(1)
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// flags reads a byte in which only known bits are set.
func (d *packetDecoder) flags(known byte) byte {
	f := d.byte()
	if f&^known != 0 {
		d.refuse()
	}
	return f
}

func flagIf(set bool, flag byte) byte {
	if set {
		return flag
	}
	return 0
}

// bytes returns a part of the packet that cannot grow into what follows.
func (d *packetDecoder) bytes() []byte {
	b := d.take(d.uvarint())
	return b[:len(b):len(b)]
}

func (d *packetDecoder) text() string { return string(d.take(d.uvarint())) }

// rest returns what is left, nil for nothing.
func (d *packetDecoder) rest() []byte {
	b := d.in
	d.in = nil
	if len(b) == 0 {
		return nil
	}
	return b
}

// number reads one that fits an int everywhere.
func (d *packetDecoder) number() int {
	v := d.uvarint()
	if v > math.MaxInt32 {
		d.refuse()
		return 0
	}
	return int(v)
}

// count reads how many things follow that take some bytes each, at most so many.
func (d *packetDecoder) count(most, bytes int) int {
	n := d.number()
	if n > most || n > len(d.in)/bytes {
		d.refuse()
		return 0
	}
	return n
}

func (d *packetDecoder) fixed64() uint64 {
	b := d.take(8)
	if len(b) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (d *packetDecoder) fixed32() uint32 {
	b := d.take(4)
	if len(b) < 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

func (d *packetDecoder) entryID() EntryID {
	return EntryID{Term: Term(d.uvarint()), Index: Index(d.uvarint())}
}

func appendEntryID(b []byte, id EntryID) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(id.Term)), uint64(id.Index))
}

// here is a server of the node that the packet came to, there one of the node that it came from.
func (d *packetDecoder) here() ServerID  { return ServerID{Name: d.text(), Node: d.to} }
func (d *packetDecoder) there() ServerID { return ServerID{Name: d.text(), Node: d.from} }

func (d *packetDecoder) server() ServerID { return ServerID{Name: d.text(), Node: d.text()} }

func appendServer(b []byte, id ServerID) []byte { return appendName(appendName(b, id.Name), id.Node) }

// identity reads that of a server of the node that the packet came from: name, uid, incarnation.
func (d *packetDecoder) identity() core.Identity {
	return core.Identity{ID: d.there(), UID: core.UID(d.text()), Incarnation: core.Incarnation(d.uvarint())}
}

func appendIdentity(b []byte, i *core.Identity) []byte {
	return binary.AppendUvarint(appendName(appendName(b, i.ID.Name), string(i.UID)), uint64(i.Incarnation))
}

// member reads what appendMember wrote: address, uid, incarnation, membership, target.
func (d *packetDecoder) member() core.Member {
	return core.Member{
		Identity:   core.Identity{ID: d.server(), UID: core.UID(d.text()), Incarnation: core.Incarnation(d.uvarint())},
		Membership: core.Membership(d.byte()), Target: Index(d.uvarint()),
	}
}

func appendMember(b []byte, m *core.Member) []byte {
	b = appendName(appendServer(b, m.ID), string(m.UID))
	b = append(binary.AppendUvarint(b, uint64(m.Incarnation)), byte(m.Membership))
	return binary.AppendUvarint(b, uint64(m.Target))
}

// configuration reads what appendConfiguration wrote: the bytes of Configuration.Marshal.
func (d *packetDecoder) configuration() core.Configuration {
	c, err := core.UnmarshalConfiguration(d.bytes())
	if err != nil {
		d.refuse()
	}
	return c
}

func appendConfiguration(b []byte, c core.Configuration) []byte {
	return appendName(b, string(c.Marshal()))
}
