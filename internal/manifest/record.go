package manifest

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// recordKind numbers the kinds of records. The numbers are frozen.
type recordKind = frame.Kind

const (
	kindEngine  recordKind = 1
	kindLog     recordKind = 2
	kindHard    recordKind = 3
	kindDelete  recordKind = 4
	kindDamaged recordKind = 5
	// Beside a log record, on the device only: the same with what the log holds put in front.
	kindLogHeld     recordKind = 6
	kindDamagedHeld recordKind = 7
)

const flagUnnamed uint8 = 1 // of kindEngine

// The least numbers of bytes that items of lists take in a log record.
const (
	minSegment  = 5
	minSnapshot = 5
	minSlot     = 4
)

func (l *Log) validate() error {
	if l.ID == 0 {
		return errors.New("id 0")
	}
	if err := l.UID.Validate(); err != nil {
		return err
	}
	if len(l.HardState.Vote) > raftlog.MaxVoteLen {
		return fmt.Errorf("vote of %d bytes", len(l.HardState.Vote))
	}
	last := raftlog.Index(0)
	for _, s := range l.Segments {
		if s.Bytes < 0 || s.Range.Empty() || s.Range.First <= last {
			return fmt.Errorf("segment %d: %d bytes, range %v after index %d", s.Number, s.Bytes, s.Range, last)
		}
		last = s.Range.Last
	}
	return l.validateHeld()
}

func (l *Log) validateHeld() error {
	for i, s := range l.Snapshots {
		if !s.Kind.Valid() || s.Bytes < 0 || s.ID.Index == 0 || i > 0 && s.ID.Index < l.Snapshots[i-1].ID.Index {
			return fmt.Errorf("%s at %v, %d bytes", s.Kind, s.ID, s.Bytes)
		}
	}
	if len(l.Slots) == 0 && l.SlotsAsOf != 0 {
		return fmt.Errorf("no slots as of batch %d", l.SlotsAsOf)
	}
	for i, s := range l.Slots {
		if len(s.Name) > raftlog.MaxSlotName || raftlog.UID(s.Name).Validate() != nil || i > 0 && s.Name <= l.Slots[i-1].Name {
			return fmt.Errorf("slot %q", s.Name)
		}
	}
	return nil
}

func (l *Log) holds() bool { return len(l.Snapshots)+len(l.Slots) > 0 }

// recordKind is the kind under which the change is written.
func (c *change) recordKind() recordKind {
	if c.log != nil && c.log.holds() {
		if c.kind == kindLog {
			return kindLogHeld
		}
		return kindDamagedHeld
	}
	return c.kind
}

// appendPayload appends the payload of the change's record.
func (c *change) appendPayload(b []byte) []byte {
	switch {
	case c.kind == kindHard:
		return appendHard(b, c.hard)
	case c.log != nil:
		if c.log.holds() {
			b = appendHeld(b, c.log)
		}
		return appendLog(b, c.log)
	}
	return b
}

// decodeChange reads a record of a log. A kind that this program does not know must be
// told apart before. The error wraps frame.ErrCorrupt.
func decodeChange(r *frame.Record) (change, error) {
	c := change{kind: r.Kind, id: raftlog.LogID(r.Index)}
	d := decoder{b: r.Payload}
	var held Log
	switch r.Kind {
	case kindLogHeld:
		c.kind, held = kindLog, d.held()
	case kindDamagedHeld:
		c.kind, held = kindDamaged, d.held()
	}
	switch {
	case c.kind == kindLog || c.kind == kindDamaged && len(r.Payload) > 0:
		l := d.log()
		l.Snapshots, l.Slots, l.SlotsAsOf = held.Snapshots, held.Slots, held.SlotsAsOf
		l.ID = c.id
		if d.err == nil {
			if err := l.validate(); err != nil {
				d.fail(err.Error())
			}
		}
		c.log = &l
	case c.kind == kindHard:
		c.hard = d.hard()
	}
	return c, d.finish()
}

func appendLog(b []byte, l *Log) []byte {
	b = appendString(b, string(l.UID))
	b = appendHard(b, l.HardState)
	b = binary.AppendUvarint(b, uint64(l.Applied))
	b = appendEntryID(b, l.Released)
	b = appendEntryID(b, l.Last)
	b = binary.AppendUvarint(b, uint64(l.AsOf))
	b = binary.AppendUvarint(b, l.NextSegment)
	b = binary.AppendUvarint(b, uint64(len(l.Segments)))
	for _, s := range l.Segments {
		b = binary.AppendUvarint(b, s.Number)
		b = binary.AppendUvarint(b, uint64(s.Bytes))
		b = binary.AppendUvarint(b, uint64(s.Entries))
		b = binary.AppendUvarint(b, uint64(s.Range.First))
		b = binary.AppendUvarint(b, uint64(s.Range.Last-s.Range.First))
	}
	if q := l.Quarantine; q != nil {
		b = binary.AppendUvarint(b, uint64(q.Lost.First))
		b = binary.AppendUvarint(b, uint64(q.Lost.Last))
		b = appendString(b, q.Reason)
	}
	return b
}

// appendHeld appends what stands in front of a log that holds snapshots or slots.
func appendHeld(b []byte, l *Log) []byte {
	b = binary.AppendUvarint(b, uint64(len(l.Snapshots)))
	for _, s := range l.Snapshots {
		b = append(b, byte(s.Kind))
		b = appendEntryID(b, s.ID)
		b = binary.AppendUvarint(b, uint64(s.Bytes))
		b = binary.AppendUvarint(b, s.Live)
	}
	b = binary.AppendUvarint(b, uint64(len(l.Slots)))
	for _, s := range l.Slots {
		b = appendString(b, s.Name)
		b = appendEntryID(b, s.Acked)
		invalid := byte(0)
		if s.Invalid {
			invalid = 1
		}
		b = append(b, invalid)
	}
	if len(l.Slots) > 0 {
		b = binary.AppendUvarint(b, uint64(l.SlotsAsOf))
	}
	return b
}

func appendHard(b []byte, h raftlog.HardState) []byte {
	return appendString(binary.AppendUvarint(b, uint64(h.Term)), h.Vote)
}

func appendEntryID(b []byte, e raftlog.EntryID) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(e.Term)), uint64(e.Index))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFacts(b []byte, stream uint64, f facts) []byte {
	b = binary.AppendUvarint(b, stream)
	b = binary.AppendUvarint(b, f.nextFile)
	b = binary.AppendUvarint(b, uint64(f.reserved))
	b = binary.AppendUvarint(b, uint64(len(f.wal)))
	last := uint64(0)
	for _, n := range f.wal {
		b = binary.AppendUvarint(b, n-last)
		last = n
	}
	if f.flushed > 0 {
		b = binary.AppendUvarint(b, uint64(f.flushed))
	}
	return b
}

// decoder reads a payload from the front. After the first error it yields zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: manifest record: %s", frame.ErrCorrupt, what)
	}
	d.b = nil
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.fail("number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads how many items follow, each of at least size bytes.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.fail("count")
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.count(1)
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) hard() raftlog.HardState {
	h := raftlog.HardState{Term: raftlog.Term(d.uvarint()), Vote: d.string()}
	if len(h.Vote) > raftlog.MaxVoteLen {
		d.fail("vote")
	}
	return h
}

func (d *decoder) entryID() raftlog.EntryID {
	return raftlog.EntryID{Term: raftlog.Term(d.uvarint()), Index: raftlog.Index(d.uvarint())}
}

func (d *decoder) log() Log {
	l := Log{UID: raftlog.UID(d.string()), HardState: d.hard(), Applied: raftlog.Index(d.uvarint())}
	l.Released, l.Last = d.entryID(), d.entryID()
	l.AsOf, l.NextSegment = raftlog.Batch(d.uvarint()), d.uvarint()
	if n := d.count(minSegment); n > 0 {
		l.Segments = make([]raftlog.Segment, n)
	}
	for i := range l.Segments {
		l.Segments[i] = d.segment()
	}
	if len(d.b) > 0 {
		lost := raftlog.Range{First: raftlog.Index(d.uvarint()), Last: raftlog.Index(d.uvarint())}
		l.Quarantine = &Quarantine{Lost: lost, Reason: d.string()}
		if len(l.Quarantine.Reason) > MaxReasonLen {
			d.fail("reason")
		}
	}
	return l
}

// held reads what appendHeld wrote.
func (d *decoder) held() (l Log) {
	if n := d.count(minSnapshot); n > 0 {
		l.Snapshots = make([]raftlog.Snapshot, n)
	}
	for i := range l.Snapshots {
		s := &l.Snapshots[i]
		s.Kind, s.ID = raftlog.SnapshotKind(d.byte()), d.entryID()
		bytes := d.uvarint()
		if bytes>>63 != 0 {
			d.fail("snapshot")
		}
		s.Bytes, s.Live = int64(bytes), d.uvarint()
	}
	if n := d.count(minSlot); n > 0 {
		l.Slots = make([]raftlog.Slot, n)
	}
	for i := range l.Slots {
		s := &l.Slots[i]
		s.Name, s.Acked = d.string(), d.entryID()
		switch d.byte() {
		case 0:
		case 1:
			s.Invalid = true
		default:
			d.fail("slot")
		}
	}
	if len(l.Slots) > 0 {
		l.SlotsAsOf = raftlog.Batch(d.uvarint())
	}
	if d.err == nil && !l.holds() {
		d.fail("nothing held")
	}
	return l
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail("end")
		return 0
	}
	b := d.b[0]
	d.b = d.b[1:]
	return b
}

func (d *decoder) segment() raftlog.Segment {
	s := raftlog.Segment{Number: d.uvarint()}
	bytes, entries := d.uvarint(), d.uvarint()
	first, more := d.uvarint(), d.uvarint()
	if bytes>>63 != 0 || entries>>32 != 0 || first+more < first {
		d.fail("segment")
	}
	s.Bytes, s.Entries = int64(bytes), uint32(entries)
	s.Range = raftlog.Range{First: raftlog.Index(first), Last: raftlog.Index(first + more)}
	return s
}

// facts reads an engine record's payload, which must name the stream.
func (d *decoder) facts(stream uint64) facts {
	if d.uvarint() != stream {
		d.fail("stream")
	}
	f := facts{nextFile: d.uvarint(), reserved: raftlog.LogID(d.uvarint())}
	if n := d.count(1); n > 0 {
		f.wal = make([]uint64, n)
	}
	last := uint64(0)
	for i := range f.wal {
		n := last + d.uvarint()
		if n <= last {
			d.fail("WAL file number")
		}
		f.wal[i], last = n, n
	}
	if len(d.b) > 0 {
		if f.flushed = raftlog.Batch(d.uvarint()); f.flushed == 0 {
			d.fail("flushed batch")
		}
	}
	return f
}

// finish returns the first error; bytes left over are one.
func (d *decoder) finish() error {
	if len(d.b) > 0 {
		d.fail("bytes left over")
	}
	return d.err
}
