package engine

import (
	"errors"
	"fmt"
	"sort"

	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/memtable"
)

// From says where a reader begins. The zero From is FromFirst.
type From struct {
	kind   fromKind
	index  Index
	cursor Cursor
	slot   string
}

type fromKind uint8

const (
	fromFirst fromKind = iota
	fromLast
	fromNext
	fromIndex
	fromCursor
	fromSlot
)

// FromFirst begins with the first entry that is not released.
func FromFirst() From { return From{} }

// FromLast begins with the newest entry that the reader may see.
func FromLast() From { return From{kind: fromLast} }

// FromNext begins behind the newest entry that the reader may see: with what comes next.
func FromNext() From { return From{kind: fromNext} }

// AtIndex begins with that entry, which may lie in the future: the reader then waits for it.
func AtIndex(i Index) From { return From{kind: fromIndex, index: i} }

// AtCursor goes on behind the entry that the cursor names, after making sure that the log
// still has the history that the cursor was taken from.
func AtCursor(c Cursor) From { return From{kind: fromCursor, cursor: c} }

// seek sets the reader's first position. It may read the index of a segment.
func (r *Reader) seek(from From) error {
	var err error
	released := r.log.view.Load().released
	switch newest := max(r.limit(), released.Index); from.kind {
	case fromFirst:
		r.pos = released
	case fromLast:
		err = r.seekBehind(max(newest, released.Index+1) - 1)
	case fromNext:
		err = r.seekBehind(newest)
	case fromIndex:
		if from.index == 0 || from.index > memtable.MaxIndex {
			return fmt.Errorf("%w: index %d", ErrOutOfRange, from.index)
		}
		err = r.seekBehind(from.index - 1)
	case fromCursor:
		return r.seekCursor(from.cursor)
	case fromSlot:
		return r.seekSlot(from.slot)
	}
	if first := r.o.Range.First; err == nil && r.pos.Index+1 < first {
		err = r.seekBehind(first - 1)
	}
	r.start = r.pos.Index + 1
	return err
}

// seekBehind places the reader behind entry i, whose term is noted if the log has the entry.
func (r *Reader) seekBehind(i Index) error {
	if r.low(r.log.view.Load()) > i {
		return r.log.gap(i + 1)
	}
	term, err := r.log.termOf(i, r.slot.Load() != nil)
	if err != nil && !errors.Is(err, ErrOutOfRange) {
		return r.log.explain(i, err)
	}
	r.pos = EntryID{Term: term, Index: i}
	return nil
}

// seekCursor places the reader behind the entry of a cursor, which counts as delivered.
func (r *Reader) seekCursor(c Cursor) error {
	l := r.log
	if err := c.validate(); err != nil {
		return err
	}
	if c.UID != l.uid || c.Incarnation != l.id {
		return fmt.Errorf("%w: cursor of log %s, life %d; this is log %s, life %d", ErrIncarnation, c.UID, c.Incarnation, l.uid, l.id)
	}
	r.pos, r.start = c.At, 1
	if err := l.checkCursor(c); err != nil {
		return err
	}
	if first := r.o.Range.First; r.pos.Index+1 < first {
		r.start = first
		return r.seekBehind(first - 1)
	}
	return nil
}

// checkCursor makes sure that the log holds the entry that the cursor names, or was released up
// to it, with the same term.
func (l *Log) checkCursor(c Cursor) error {
	if first := l.First(); c.At.Index+1 < first {
		return l.gap(c.At.Index + 1)
	}
	term, err := l.Term(c.At.Index)
	switch {
	case err != nil && !errors.Is(err, ErrOutOfRange):
		return l.explain(c.At.Index, err)
	case err == nil && (term == c.At.Term || c.At.Term == 0):
		return nil
	case c.At.Term == 0: // a place in the future, as AtIndex allows
		return nil
	}
	d := &DivergedError{Cursor: c, Last: l.Last(), Snapshot: l.newestSnapshot()}
	if err == nil {
		d.Have = EntryID{Term: term, Index: c.At.Index}
	}
	d.Common, err = l.commonBelow(c.At, d.Last.Index)
	if err != nil {
		return l.explain(c.At.Index, err)
	}
	return d
}

// commonBelow returns the highest index below that of id which a history that ends with id may
// share with this log, whose last index is last. Terms never fall: the log's entries of a term
// above id's are not in that history.
func (l *Log) commonBelow(id EntryID, last Index) (Index, error) {
	first := l.First()
	last = min(last, id.Index-1)
	if last+1 <= first {
		return l.commonReleased(id, last)
	}
	var failed error
	n := sort.Search(int(last+1-first), func(n int) bool {
		term, err := l.Term(first + Index(n))
		if err != nil && failed == nil {
			failed = err
		}
		return term > id.Term
	})
	if failed != nil && !errors.Is(failed, ErrOutOfRange) && !errors.Is(failed, ErrCompacted) {
		return 0, failed
	}
	if n == 0 {
		return l.commonReleased(id, first-1)
	}
	return first + Index(n) - 1, nil
}

// commonReleased is commonBelow for what was released.
func (l *Log) commonReleased(id EntryID, last Index) (Index, error) {
	if r := l.view.Load().released; r.Index <= last && r.Term <= id.Term {
		return r.Index, nil
	}
	return 0, nil
}

// gap is the error of a reader that wants an index which was released.
func (l *Log) gap(want Index) error {
	return &GapError{UID: l.uid, Want: want, First: l.First(), Snapshot: l.newestSnapshot()}
}

// newestSnapshot is what a reader that can not go on restarts from, zero when there is none.
func (l *Log) newestSnapshot() EntryID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newestSnapshotLocked()
}

func (l *Log) newestSnapshotLocked() EntryID {
	for k := len(l.durable.seldom().snapshots) - 1; k >= 0; k-- {
		if s := l.durable.seldom().snapshots[k]; s.Kind == KindSnapshot {
			return s.ID
		}
	}
	return EntryID{}
}

// explain gives an error that a reader met at index i the type by which its consumer decides
// how to go on.
func (l *Log) explain(i Index, err error) error {
	var q *QuarantineError
	var damage *segment.CorruptError
	switch {
	case errors.Is(err, ErrCompacted):
		return l.gap(i)
	case errors.As(err, &q):
		return &LossError{UID: l.uid, Lost: q.Lost, Snapshot: l.newestSnapshot(), Err: err}
	case errors.As(err, &damage):
		return &LossError{UID: l.uid, Lost: Range{First: max(i, damage.Range.First), Last: damage.Range.Last}, Snapshot: l.newestSnapshot(), Err: err}
	case errors.Is(err, ErrCorrupt):
		return &LossError{UID: l.uid, Lost: Range{First: i, Last: i}, Snapshot: l.newestSnapshot(), Err: err}
	}
	return err
}
