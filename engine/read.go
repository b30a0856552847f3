package engine

import (
	"errors"
	"fmt"
	"iter"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/memtable"
	"github.com/rawl-db/rawl/readplan"
)

// Read returns the entry at index i, durable or not. Data must not be modified; it stays
// valid, and keeps up to 1 MiB of memory alive, until it is dropped: copy it to keep it. An
// entry in memory costs no lock and no allocation; one in a segment costs a disk read.
//
// Errors: ErrCompacted (i was released), ErrOutOfRange (i is 0 or above the last entry),
// ErrDeleted, ErrQuarantined, ErrCorrupt with the file and the indexes it hits, ErrClosed
// for what is not in memory, and those of the device.
func (l *Log) Read(i Index) (Entry, error) {
	v := l.view.Load()
	if t := v.at(i); t != nil && l.broken.Load() == nil && i > v.released.Index {
		if e, _, ok := t.Get(i); ok {
			return e, nil
		}
	}
	return l.readSlow(i)
}

// readSlow decides again from the start, as the view may have changed.
func (l *Log) readSlow(i Index) (e Entry, err error) {
	err = l.locate(i, func(v *view, n int) (bool, error) {
		if t := v.at(i); n < 0 && t != nil {
			found := false
			e, _, found = t.Get(i)
			return found, nil
		}
		return true, l.withSegment(v.segments[n], func(r *segment.Reader) error {
			e, _, err = r.Get(i, nil)
			return err
		})
	})
	return e, err
}

// Term returns the term of the entry at index i, or of the newest released entry. Index 0
// has term 0. Errors: those of Read.
func (l *Log) Term(i Index) (term Term, err error) { return l.termOf(i, false) }

// termOf is Term, with held for who sees what slots hold.
func (l *Log) termOf(i Index, held bool) (term Term, err error) {
	if i == 0 {
		return 0, nil
	}
	v := l.view.Load()
	if i == v.released.Index {
		return v.released.Term, nil
	}
	err = l.locateHeld(i, held, func(v *view, n int) (bool, error) {
		if t := v.at(i); n < 0 && t != nil {
			found := false
			term, found = t.Term(i)
			return found, nil
		}
		return true, l.withSegment(v.segments[n], func(r *segment.Reader) error {
			term, err = r.Term(i)
			return err
		})
	})
	return term, err
}

// locate finds out where index i is and calls read with the view and the segment's number in
// it, or -1 for memory. A flush publishes its view before it drops memory, so a table that
// says no although it held the index means that a newer view is there.
func (l *Log) locate(i Index, read func(v *view, n int) (bool, error)) error {
	return l.locateHeld(i, false, read)
}

// locateHeld is locate, with held for who sees what slots hold.
func (l *Log) locateHeld(i Index, held bool, read func(v *view, n int) (bool, error)) error {
	for {
		v := l.view.Load()
		if b := l.broken.Load(); b != nil {
			return b.err
		}
		low := v.released.Index
		if held {
			low = v.floor
		}
		p := v.resolveAbove(i, low)
		if p.kind == placeTable {
			if ok, err := read(v, -1); ok || err != nil {
				return err
			}
			p = v.resolveOnDisk(i)
		}
		switch {
		case i > 0 && l.view.Load() != v:
			continue
		case p.kind != placeSegment:
			return l.absence(v, i, p.kind)
		}
		_, err := read(v, p.segment)
		if err != nil && l.view.Load() != v {
			continue // the file may have gone with a release, truncation or deletion
		}
		return l.readError(err, i)
	}
}

// absence is why a view has no entry i.
func (l *Log) absence(v *view, i Index, kind placeKind) error {
	switch {
	case kind == placeReleased:
		return fmt.Errorf("%w: %d, log %s begins at %d", ErrCompacted, i, l.uid, v.released.Index+1)
	case i == 0:
		return fmt.Errorf("%w: index 0", ErrOutOfRange)
	case kind == placeBeyond:
		return fmt.Errorf("%w: %d, log %s ends at %d", ErrOutOfRange, i, l.uid, v.last())
	}
	return fmt.Errorf("%w: log %s has no entry %d although it begins at %d", ErrCorrupt, l.uid, i, v.released.Index+1)
}

func (l *Log) readError(err error, i Index) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrClosed), errors.Is(err, readplan.ErrClosed):
		return ErrClosed
	case errors.Is(err, segment.ErrNotFound):
		return fmt.Errorf("%w: log %s: segment lacks entry %d", ErrCorrupt, l.uid, i)
	case errors.Is(err, frame.ErrCorrupt):
		l.e.event(Event{Kind: EventCorrupt, UID: l.uid, Entry: EntryID{Index: i}, Err: err})
	}
	return fmt.Errorf("engine: log %s: read %d: %w", l.uid, i, err)
}

// withSegment runs fn with an open reader of the segment.
func (l *Log) withSegment(s raftlog.Segment, fn func(*segment.Reader) error) error {
	if err := l.e.readable(); err != nil {
		return err
	}
	ref, err := l.e.cache.Acquire(l.id, s)
	if err != nil {
		return err
	}
	defer ref.Release()
	return fn(ref.Reader())
}

// ReadRange yields the entries from first to last, both included, in order. The sequence ends
// early with an error, those of Read, at the first entry that can not be had; last may exceed
// the log's end, where the sequence then ends with ErrOutOfRange. Data is valid until the next
// entry only: copy it to keep it. Entries in segments are read in large pieces.
func (l *Log) ReadRange(first, last Index) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for i := first; i <= last; {
			next, ok, err := l.readRun(i, last, yield)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if !ok {
				return
			}
			i = next
		}
	}
}

// readRun yields entries from one table or one segment, beginning with i. It returns the next
// index, and false when the consumer wants no more.
func (l *Log) readRun(i, last Index, yield func(Entry, error) bool) (next Index, ok bool, err error) {
	next, ok = i, true
	err = l.locate(i, func(v *view, n int) (bool, error) {
		if n < 0 {
			next, ok = l.yieldTable(v, i, last, yield)
			return next > i || !ok, nil
		}
		s := v.segments[n]
		rng := raftlog.Range{First: i, Last: min(last, s.Range.Last, v.answersTo(i))}
		return true, l.withSegment(s, func(r *segment.Reader) error {
			next, ok, err = yieldSegment(r, rng, yield)
			if next > i {
				return nil // what fails behind it is met again, as the first of the next run
			}
			return err
		})
	})
	return next, ok, err
}

func (l *Log) yieldTable(v *view, i, last Index, yield func(Entry, error) bool) (Index, bool) {
	for k, link := range v.chain {
		if i < link.start {
			continue
		}
		if k > 0 {
			last = min(last, v.chain[k-1].start-1)
		}
		ok := true
		next := link.table.Each(i, last, func(e Entry, _ uint32) bool {
			ok = yield(e, nil)
			return ok
		})
		if next == i && ok {
			var e [1]Entry
			if n, _ := fillTable(link.table, i, e[:], nil, 0); n == 1 {
				return i + 1, yield(e[0], nil)
			}
		}
		return next, ok
	}
	return i, true
}

// fillTable is Table.Fill, and finds an entry that outlived its neighbours, too: that comes alone.
func fillTable(t *memtable.Table, i Index, entries []Entry, crcs []uint32, budget int) (n, bytes int) {
	if n, bytes := t.Fill(i, entries, crcs, budget); n > 0 || len(entries) == 0 {
		return n, bytes
	}
	e, crc, ok := t.Get(i)
	if !ok {
		return 0, 0
	}
	entries[0] = e
	if crcs != nil {
		crcs[0] = crc
	}
	return 1, len(e.Data)
}

func yieldSegment(r *segment.Reader, rng Range, yield func(Entry, error) bool) (next Index, ok bool, err error) {
	next = rng.First
	for e, err := range r.Scan(rng) {
		if err != nil {
			return next, true, err
		}
		if e.Index != next {
			return next, true, segment.ErrNotFound
		}
		next++
		if !yield(e, nil) {
			return next, false, nil
		}
	}
	if next == rng.First {
		return next, true, segment.ErrNotFound
	}
	return next, true, nil
}
