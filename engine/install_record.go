package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/wal"
)

// The payload of a wal.KindInstall record: flags (1 byte: 1 when it ends a quarantine, others 0), then
// unsigned varints: length of the snapshot's file, number of its live entries, number of segments
// that hold those, the number of the first of these; and per segment, ascending: its number above
// that of the one before, committed length, entries, first index above the last one of the one
// before, last index above the first.

// installation is what such a record says.
type installation struct {
	snap     Snapshot
	segments []raftlog.Segment // of the live entries, ascending
	// heals says that the log was quarantined when it was written.
	heals bool
}

const (
	installHeals = 1
	// minInstallSegment is the shortest encoding of a segment, in bytes.
	minInstallSegment = 5
)

// appendInstall encodes such a payload. Error: ErrTooLarge, for more segments than a record names.
func appendInstall(b []byte, in *installation) ([]byte, error) {
	start := len(b)
	flags := byte(0)
	if in.heals {
		flags = installHeals
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(in.snap.Bytes))
	b = binary.AppendUvarint(b, in.snap.Live)
	b = binary.AppendUvarint(b, uint64(len(in.segments)))
	var number uint64
	var last Index
	for _, s := range in.segments {
		b = binary.AppendUvarint(b, s.Number-number)
		b = binary.AppendUvarint(b, uint64(s.Bytes))
		b = binary.AppendUvarint(b, uint64(s.Entries))
		b = binary.AppendUvarint(b, uint64(s.Range.First-last))
		b = binary.AppendUvarint(b, uint64(s.Range.Last-s.Range.First))
		number, last = s.Number, s.Range.Last
	}
	if n := len(b) - start; n > wal.MaxControlPayload {
		return nil, fmt.Errorf("%w: live entries in %d segments", ErrTooLarge, len(in.segments))
	}
	return b, nil
}

// decodeInstall reads such a record. The error wraps ErrCorrupt, or ErrVersion for flags of a later
// version.
func decodeInstall(rec *wal.Record) (*installation, error) {
	in := &installation{snap: Snapshot{Kind: KindSnapshot, ID: EntryID{Term: rec.Term, Index: rec.Index}}}
	bad := fmt.Errorf("%w: install record at %v", ErrCorrupt, in.snap.ID)
	p := rec.Payload
	if len(p) == 0 || in.snap.ID.Index == 0 {
		return nil, bad
	}
	if p[0]&^installHeals != 0 {
		return nil, fmt.Errorf("%w: install record with flags %#x", ErrVersion, p[0])
	}
	in.heals = p[0] == installHeals
	d := installDecoder{b: p[1:], ok: true}
	bytes := d.next()
	in.snap.Bytes, in.snap.Live = int64(bytes), d.next()
	n := d.next()
	if !d.ok || bytes>>63 != 0 || n > uint64(len(d.b)/minInstallSegment) {
		return nil, bad
	}
	for range n {
		in.segments = append(in.segments, d.segment(in.snap.ID.Index))
	}
	if !d.ok || len(d.b) > 0 || (n == 0) != (in.snap.Live == 0) {
		return nil, bad
	}
	return in, nil
}

// installDecoder reads varints until one is bad.
type installDecoder struct {
	b      []byte
	number uint64
	last   Index
	ok     bool
}

func (d *installDecoder) next() uint64 {
	x, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.ok, d.b = false, nil
		return 0
	}
	d.b = d.b[n:]
	return x
}

// segment reads a segment that holds no index above limit.
func (d *installDecoder) segment(limit Index) raftlog.Segment {
	number, bytes, entries, first, length := d.next(), d.next(), d.next(), d.next(), d.next()
	s := raftlog.Segment{Number: d.number + number, Bytes: int64(bytes), Entries: uint32(entries)}
	s.Range.First = d.last + Index(first)
	s.Range.Last = s.Range.First + Index(length)
	d.ok = d.ok && number > 0 && s.Number >= d.number && bytes > 0 && bytes>>63 == 0 && entries>>32 == 0 && entries > 0 &&
		first > 0 && s.Range.First > d.last && s.Range.Last >= s.Range.First && s.Range.Last <= limit
	d.number, d.last = s.Number, s.Range.Last
	return s
}
