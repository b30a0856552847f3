package segment

import (
	"sort"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// Stretch is consecutive entries of one term whose payloads follow one another in the file without
// gaps: what one read can bring. It is a view of its Reader's index, and may be copied.
type Stretch struct {
	// First is the index of the first entry.
	First raftlog.Index
	Term  raftlog.Term
	// Offset is where in the file the payloads begin, Bytes their length in all.
	Offset int64
	Bytes  int
	slots  []slot
}

// Stretch returns the entries from i on that lie together: at most count of them, and at most
// bytes of payloads unless the first alone has more. near keeps from one call to the next where
// in the index the last one was found, for indexes that ascend as a rule; it begins as 0.
// Errors, of entry i: ErrNotFound, *CorruptError.
func (r *Reader) Stretch(i raftlog.Index, count, bytes int, near *int) (Stretch, error) {
	x := &r.index
	if !r.s.Range.Contains(i) {
		return Stretch{}, ErrNotFound
	}
	last := r.s.Range.Last
	if d := x.damageAt(i); d != nil {
		if d.Range.Contains(i) {
			return Stretch{}, d
		}
		last = min(last, d.Range.First-1) // damage at or above i that does not hit i is above
	}
	n := *near
	if n >= len(x.runs) || i < x.runs[n].first || i > x.runs[n].last() {
		if n++; n >= len(x.runs) || i < x.runs[n].first || i > x.runs[n].last() {
			n = x.runAt(i)
		}
		*near = n
	}
	if n == len(x.runs) || x.runs[n].first > i {
		return Stretch{}, ErrNotFound
	}
	run := &x.runs[n]
	last = min(last, run.last(), i+raftlog.Index(count)-1)
	from := run.slot + uint32(i-run.first)
	return stretch(i, run, x.slots[from:from+uint32(last-i)+1:from+uint32(last-i)+1], bytes), nil
}

// stretch makes a Stretch of slots of a run, which are at least one and begin with that of i.
func stretch(i raftlog.Index, run *run, slots []slot, bytes int) Stretch {
	start := slots[0].offset
	if n := len(slots); slots[n-1].end()-uint64(start) > uint64(bytes) {
		n = sort.Search(n, func(k int) bool { return slots[k].end()-uint64(start) > uint64(bytes) })
		slots = slots[:max(n, 1):max(n, 1)]
	}
	return Stretch{First: i, Term: run.term, Offset: run.base + int64(start),
		Bytes: int(slots[len(slots)-1].end() - uint64(start)), slots: slots}
}

func (s *slot) end() uint64 { return uint64(s.offset) + uint64(s.length) }

// Len is the number of entries.
func (s *Stretch) Len() int { return len(s.slots) }

// Take makes entries of what was read from Offset on, in order, until data or entries are used up
// or a payload does not verify, and returns how many. They are cut off the Stretch. Their Data
// lies in data.
func (s *Stretch) Take(data []byte, entries []raftlog.Entry) int {
	slots := s.slots[:min(len(s.slots), len(entries))]
	entries = entries[:len(slots)]
	at, n := 0, 0
	for ; n < len(slots); n++ {
		l := &slots[n]
		end := at + int(l.length)
		if end > len(data) {
			break
		}
		payload := data[at:end:end]
		if frame.Checksum(payload) != l.crc {
			break
		}
		if len(payload) == 0 {
			payload = nil
		}
		entries[n] = raftlog.Entry{Index: s.First + raftlog.Index(n), Term: s.Term, Type: l.typ, Data: payload}
		at = end
	}
	s.cut(n, at)
	return n
}

// Skip cuts the first entry off.
func (s *Stretch) Skip() { s.cut(1, int(s.slots[0].length)) }

// cut drops n entries with their payloads.
func (s *Stretch) cut(n, bytes int) {
	s.First += raftlog.Index(n)
	s.Offset += int64(bytes)
	s.Bytes -= bytes
	s.slots = s.slots[n:]
}

// Head is where the first entry is; there must be one.
func (s *Stretch) Head() Location {
	l := &s.slots[0]
	return Location{Offset: s.Offset, Length: int(l.length), Term: s.Term, Type: l.typ, CRC: l.crc}
}
