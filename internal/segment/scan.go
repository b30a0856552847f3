package segment

import (
	"iter"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

const (
	minWindow = 64 << 10 // the first read of a scan, in bytes
	maxWindow = 1 << 20  // what later reads double up to; a larger entry is read whole
)

// Scan reads the entries of a range, ascending, with few large reads. Holes are passed
// over. Data is valid until the next entry. A damaged part is yielded once, as a
// *CorruptError, and the scan goes on behind it; any other error ends it.
func (r *Reader) Scan(rng raftlog.Range) iter.Seq2[raftlog.Entry, error] {
	return func(yield func(raftlog.Entry, error) bool) {
		s := scanner{r: r, rng: rng.Intersect(r.s.Range), yield: yield, want: minWindow}
		s.run()
		if s.buf != nil {
			r.giveBack(s.buf)
		}
	}
}

type scanner struct {
	r     *Reader
	rng   raftlog.Range
	yield func(raftlog.Entry, error) bool
	want  int // bytes of the next window
	buf   *[]byte
	start int64 // file offset of the window
	have  int   // bytes in it
}

func (s *scanner) run() {
	if s.rng.Empty() {
		return
	}
	x := &s.r.index
	i := s.rng.First
	for i <= s.rng.Last {
		d := x.damageAt(i)
		if d != nil && d.Range.First <= i {
			if !s.yield(raftlog.Entry{}, d) || d.Range.Last >= s.rng.Last {
				return
			}
			i = d.Range.Last + 1
			continue
		}
		limit := s.rng.Last
		if d != nil {
			limit = min(limit, d.Range.First-1)
		}
		n := x.runAt(i)
		if n == len(x.runs) || x.runs[n].first > limit {
			if d == nil || d.Range.First > s.rng.Last {
				return
			}
			i = d.Range.First
			continue
		}
		run := &x.runs[n]
		last := min(run.last(), limit)
		if !s.entries(run, max(i, run.first), last) || last == s.rng.Last {
			return
		}
		i = last + 1
	}
}

// entries yields the entries [i, last] of a run; false ends the scan.
func (s *scanner) entries(run *run, i, last raftlog.Index) bool {
	for ; i <= last; i++ {
		l := s.r.index.at(run, i)
		end := l.off + int64(l.length)
		if l.length > 0 && (l.off < s.start || end > s.start+int64(s.have)) {
			if err := s.fill(run, i, last, l); err != nil {
				if !s.yield(raftlog.Entry{}, err) {
					return false
				}
				if _, damaged := err.(*CorruptError); !damaged {
					return false
				}
				continue
			}
		}
		var data []byte
		if l.length > 0 {
			at := int(l.off - s.start)
			data = (*s.buf)[at : at+int(l.length) : at+int(l.length)]
		}
		if frame.Checksum(data) != l.crc {
			if !s.yield(raftlog.Entry{}, s.r.corrupt(l.off, i, "payload checksum")) {
				return false
			}
			continue
		}
		if !s.yield(raftlog.Entry{Index: i, Term: l.term, Type: l.typ, Data: data}, nil) {
			return false
		}
	}
	return true
}

// fill reads a window that starts with entry i, which lies at l, and ends with last at most.
func (s *scanner) fill(run *run, i, last raftlog.Index, l location) error {
	start := l.off &^ (BlockSize - 1)
	final := s.r.index.at(run, last)
	end := min(start+int64(s.want), final.off+int64(final.length))
	end = max(end, l.off+int64(l.length))
	n := alignUp(int(end - start))
	s.want = min(2*s.want, maxWindow)
	if s.buf != nil && cap(*s.buf) < n {
		s.r.giveBack(s.buf)
		s.buf = nil
	}
	if s.buf == nil {
		s.buf = s.r.borrow(n)
	}
	*s.buf = (*s.buf)[:n]
	got, err := s.r.f.ReadAt(*s.buf, start)
	s.start, s.have = start, got
	if l.off+int64(l.length) > start+int64(got) {
		s.have = 0
		return s.r.readError(err, l.off, raftlog.Range{First: i, Last: i})
	}
	return nil
}
