package engine

import (
	"errors"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

// window is what one step of a reader has found. Its memory is used again by the next step.
type window struct {
	entries []Entry  // those that passed the sieve
	crcs    []uint32 // of their payloads
	bytes   int      // of their payloads
	first   EntryID  // the first entry looked at, passed or not
	last    EntryID  // the one looked at last
	data    []byte   // payloads that were read from a segment
	budget  int      // of bytes
}

const (
	firstWindow = 16 // entries of a reader's first step; a full one makes the next four times as long
	entryBytes  = 48 // of an Entry itself, in memory
)

// begin empties the window and makes it ready for at most that many entries.
func (w *window) begin(most int) {
	n := cap(w.entries)
	if n == 0 || len(w.entries) == n && n < most {
		n = min(max(firstWindow, 4*n), most)
		w.entries, w.crcs = make([]Entry, n), make([]uint32, n)
	}
	w.entries, w.crcs, w.bytes = w.entries[:n], w.crcs[:n], 0
	if cap(w.data) > 2*w.budget { // a large entry went through
		w.data = nil
	}
}

// keep shortens the window to its first n entries.
func (w *window) keep(n int) { w.entries, w.crcs = w.entries[:n], w.crcs[:n] }

// drop lets go of what the entries refer to, and of the buffer: the reader may rest for long.
func (w *window) drop() {
	clear(w.entries[:cap(w.entries)])
	w.keep(0)
	w.bytes, w.data = 0, nil
}

// holds is the memory in use, that of payloads in memtables included.
func (w *window) holds() int64 {
	return int64(cap(w.entries)*entryBytes + max(w.bytes, cap(w.data)))
}

// errCut means that a truncation was noted since the reader looked for one.
var errCut = errors.New("engine: log was cut meanwhile")

// fill takes the step that follows pos, up to index last at most. moved is false when there is
// nothing to take, or when the reader must look at its standing first.
func (r *Reader) fill(last Index) (moved bool, err error) {
	first := r.pos.Index + 1
	if first > last {
		return false, nil
	}
	w := &r.window
	w.begin(r.o.MaxBatchEntries)
	w.last = r.pos
	err = r.log.locateHeld(first, r.slot.Load() != nil, func(v *view, n int) (bool, error) {
		// The note precedes the view: it is there if the view is one that it speaks of.
		if Index(r.cut.Load()) != noCut {
			return true, errCut
		}
		if n < 0 {
			return r.fillMemory(v, first, last)
		}
		s := v.segments[n]
		rng := Range{First: first, Last: min(last, s.Range.Last, v.answersTo(first))}
		return true, r.log.withSegment(s, func(s *segment.Reader) error { return r.fillSegment(s, rng) })
	})
	if err != nil {
		w.keep(0)
		return false, r.failed(first, err)
	}
	r.holds.Store(w.holds())
	return w.last.Index > r.pos.Index, nil
}

// failed says what an error of the log means for the reader, nil when it has to look again: it
// wanted what a truncation has cut by now.
func (r *Reader) failed(i Index, err error) error {
	switch {
	case Index(r.cut.Load()) != noCut:
		return nil
	case errors.Is(err, ErrFilter):
		r.ended = err
	case errors.Is(err, ErrCompacted) && r.slotEnd() != nil: // that is why it was released
		return r.slotEnd()
	}
	return r.log.explain(i, err)
}

// fillMemory fills the window from the table that answers for first, without copying.
func (r *Reader) fillMemory(v *view, first, last Index) (found bool, err error) {
	w := &r.window
	for k := range v.chain {
		link := &v.chain[k]
		if first < link.start {
			continue
		}
		if k > 0 {
			last = min(last, v.chain[k-1].start-1)
		}
		n := len(w.entries)
		if room := uint64(last-first) + 1; uint64(n) > room {
			n = int(room)
		}
		n, w.bytes = fillTable(link.table, first, w.entries[:n], w.crcs[:n], w.budget)
		w.keep(n)
		if n == 0 {
			return false, nil
		}
		return true, r.sift()
	}
	return false, nil
}

// sift leaves in the window what passes the sieve. An error counts when it is met at the
// first entry; else the window ends before, and the reader with it.
func (r *Reader) sift() error {
	w := &r.window
	w.first, w.last = w.entries[0].ID(), w.entries[len(w.entries)-1].ID()
	if r.sieve.open() {
		return nil
	}
	kept, bytes := 0, 0
	w.last = r.pos
	for k := range w.entries {
		e := &w.entries[k]
		ok, err := r.sieve.passes(e.ID(), e.Type)
		if err != nil {
			r.ended = err
			break
		}
		w.last = e.ID()
		if ok {
			w.entries[kept], w.crcs[kept] = *e, w.crcs[k]
			bytes += len(e.Data)
			kept++
		}
	}
	w.keep(kept)
	w.bytes = bytes
	if w.last == r.pos {
		return r.ended
	}
	return nil
}

// fillSegment fills the window from a segment. What comes is chosen from the segment's index,
// which is in memory, so that only payloads that are wanted are read.
func (r *Reader) fillSegment(s *segment.Reader, rng Range) error {
	w := &r.window
	n := 0
	for i := rng.First; i <= rng.Last && n < len(w.entries); i++ {
		at, err := s.Locate(i)
		if err != nil {
			if i > rng.First {
				break // it is met again, as the first of the next step
			}
			return err
		}
		if w.bytes+at.Length > w.budget && n > 0 {
			break
		}
		id := EntryID{Term: at.Term, Index: i}
		ok, err := r.sieve.passes(id, at.Type)
		if err != nil {
			r.ended = err
			break
		}
		if w.last = id; i == rng.First {
			w.first = id
		}
		if ok {
			w.entries[n], w.crcs[n] = Entry{Index: i, Term: at.Term, Type: at.Type}, at.CRC
			w.bytes += at.Length
			n++
		}
	}
	w.keep(n)
	if w.last == r.pos {
		return r.ended
	}
	return w.readPayloads(s)
}

// readPayloads reads the payloads of the window's entries, neighbours together.
func (w *window) readPayloads(s *segment.Reader) error {
	if cap(w.data) < w.bytes {
		w.data = make([]byte, 0, max(w.bytes, min(2*cap(w.data), w.budget)))
	}
	w.data = w.data[:0]
	for k := 0; k < len(w.entries); {
		n := k + 1
		for n < len(w.entries) && w.entries[n].Index == w.entries[n-1].Index+1 {
			n++
		}
		done, err := w.readRun(s, k, n)
		if err != nil && done == 0 {
			return err
		}
		if k = done; err != nil { // what is damaged is met again, as the first of the next step
			w.keep(done)
			w.last = w.entries[done-1].ID()
			return nil
		}
	}
	return nil
}

// readRun reads the payloads of entries [k, n), which are neighbours, and returns up to which it
// came.
func (w *window) readRun(s *segment.Reader, k, n int) (done int, err error) {
	for e, err := range s.Scan(raftlog.Range{First: w.entries[k].Index, Last: w.entries[n-1].Index}) {
		if err != nil {
			return k, err
		}
		if e.Index != w.entries[k].Index {
			return k, segment.ErrNotFound
		}
		from := len(w.data)
		w.data = append(w.data, e.Data...)
		if len(e.Data) > 0 {
			w.entries[k].Data = w.data[from:len(w.data):len(w.data)]
		}
		k++
	}
	if k < n {
		return k, segment.ErrNotFound
	}
	return n, nil
}

// durable is the highest index that is durable, by what the view's parts know of themselves: as
// LastWritten, without its term and without the log's lock. It may be a step behind.
func (v *view) durable() Index {
	limit := ^Index(0)
	for _, k := range v.chain {
		if d := min(k.table.Durable(), limit); d >= k.start {
			return d
		}
		limit = min(limit, k.start-1)
	}
	if n := len(v.segments); n > 0 {
		return min(limit, v.segments[n-1].Range.Last)
	}
	return v.released.Index
}
