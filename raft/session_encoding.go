package raft

import (
	"encoding/binary"
	"math"
)

// minSessionBytes and minSlotBytes are the least that either takes in the encoding.
const (
	minSessionBytes = 1 + 16 + 2 + 1 + 1 + 1 + 1 + priorities*2
	minSlotBytes    = 2
)

// appendTo appends the encoding, which doc.go describes. Equal tables have equal bytes.
func (t *sessionTable) appendTo(dst []byte) []byte {
	ids := t.ids()
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	last := SessionID(0)
	for _, id := range ids {
		dst = t.sessions[id].appendTo(binary.AppendUvarint(dst, uint64(id-last)))
		last = id
	}
	return dst
}

func (s *session) appendTo(dst []byte) []byte {
	dst = append(dst, s.open[:]...)
	dst = binary.AppendUvarint(appendName(dst, s.owner), s.incarnation)
	dst = appendBool(binary.AppendUvarint(dst, uint64(s.window)), s.ordered)
	dst = binary.AppendUvarint(dst, uint64(s.activity)-uint64(s.id))
	for p := range s.lanes {
		dst = s.lanes[p].appendTo(dst)
	}
	return dst
}

func (l *lane) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, l.low)
	dst = binary.AppendUvarint(dst, uint64(len(l.slots)))
	least := l.low
	for _, s := range l.slots {
		dst = append(binary.AppendUvarint(dst, s.sequence-least), byte(s.state))
		if s.state == slotKept {
			dst = append(binary.AppendUvarint(dst, uint64(len(s.reply))), s.reply...)
		}
		least = s.sequence + 1
	}
	return dst
}

// decodeSessionTable reads a table from the start of d. at is the index that it was captured at. It
// allocates in proportion to what is there, and keeps no reference to it.
func (d *commandDecoder) sessionTable(at Index) (*sessionTable, error) {
	t := newSessionTable()
	count := d.uvarint()
	if count > uint64(len(d.in))/minSessionBytes {
		return nil, malformed("%d sessions in %d bytes", count, len(d.in))
	}
	last := SessionID(0)
	for range count {
		delta := SessionID(d.uvarint())
		s := &session{id: last + delta, bytes: sessionCost}
		if delta == 0 || s.id < last || Index(s.id) > at {
			return nil, malformed("session %d behind %d, captured at %d", s.id, last, at)
		}
		if err := d.session(s, at); err != nil {
			return nil, err
		}
		if _, twice := t.opened[s.open]; twice {
			return nil, malformed("session %d opened twice", s.id)
		}
		t.add(s)
		last = s.id
	}
	if d.bad || t.bytes > MaxSessionTable {
		return nil, malformed("session table cut off, or of %d bytes", t.bytes)
	}
	return t, nil
}

func (d *commandDecoder) session(s *session, at Index) error {
	copy(s.open[:], d.take(uint64(len(s.open))))
	s.owner, s.incarnation = d.name(), d.uvarint()
	window := d.uvarint()
	s.ordered = d.boolean()
	idle := d.uvarint()
	s.activity = Index(s.id) + Index(idle)
	if d.bad || s.open == (OpenID{}) || s.owner == "" || window < 1 || window > MaxSessionWindow ||
		s.activity < Index(s.id) || s.activity > at {
		return malformed("session %d", s.id)
	}
	s.window = uint32(window)
	for p := range s.lanes {
		if err := d.lane(s, &s.lanes[p]); err != nil {
			return err
		}
	}
	return nil
}

func (d *commandDecoder) lane(s *session, l *lane) error {
	l.low = d.uvarint()
	count := d.uvarint()
	if l.low == 0 || count > uint64(s.window) || count > uint64(len(d.in))/minSlotBytes {
		return malformed("session %d with %d commands from %d", s.id, count, l.low)
	}
	if count > 0 {
		l.slots = make([]slot, 0, count)
	}
	least := l.low
	for range count {
		one := slot{sequence: least + d.uvarint()}
		if state := d.take(1); len(state) == 1 {
			one.state = slotState(state[0])
		}
		if one.state == slotKept {
			n := d.uvarint()
			if n > MaxReply {
				return malformed("reply of %d bytes", n)
			}
			if n > 0 {
				one.reply = append([]byte(nil), d.take(n)...)
			}
		}
		if d.bad || one.sequence < least || one.sequence-l.low >= uint64(s.window) || one.sequence == math.MaxUint64 ||
			one.state > lastSlotState {
			return malformed("command %d of session %d", one.sequence, s.id)
		}
		l.slots = append(l.slots, one)
		s.bytes += one.cost()
		least = one.sequence + 1
	}
	return nil
}
