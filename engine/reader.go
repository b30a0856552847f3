package engine

import (
	"context"
	"fmt"
	"iter"
	"runtime"
)

// Reader reads one log from outside, in order, beside its owner and never in its way: it takes
// none of the owner's locks but to open, to close, and after a truncation. It delivers committed
// entries, see Log.SetCommitted, unless ReaderOptions says otherwise.
//
// A reader has one position, which all its iterations share and move: an entry is delivered
// once in the life of a reader. One goroutine iterates at a time; another iteration beside it is
// ErrReaderBusy. A reader has no goroutine. It holds files and memory for the
// length of a step only, not between entries: who is slow, or stuck, finds a GapError when what
// it wants was released meanwhile.
//
// An iteration ends with one error, or none at the end of Entries and of ReaderOptions.Range.
// Errors: GapError, LossError, TruncatedError (of a reader of uncommitted entries),
// FilterError, ErrDeleted, ErrClosed, ErrReaderClosed, ErrReaderBusy, the cause of ctx, and those of
// the device. After a TruncatedError, the end of ctx and errors of the device the reader can be
// iterated again.
//
// Close a reader that is not needed any more. One that is dropped instead is closed when the
// garbage collector finds it, and counted in Stats.ReadersDropped.
type Reader struct {
	*readerState
	o      ReaderOptions
	sieve  sieve
	window window

	// Of the goroutine that iterates.
	pos   EntryID // the entry that was delivered or passed over last; term 0 when it is not known
	start Index   // nothing below was delivered
	sum   uint64  // running checksum of what Batches delivered
	ended error   // final
}

// OpenReader opens an external reader of a log. It may read the index of a segment. Errors:
// ErrNotFound, ErrDeleted, ErrClosed, ErrOptions, ErrOutOfRange (index 0), GapError, LossError,
// of a cursor ErrIncarnation and DivergedError, and those of FromSlot.
func (e *Engine) OpenReader(uid UID, from From, o ReaderOptions) (*Reader, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	l, err := e.Log(uid)
	if err != nil {
		return nil, err
	}
	if b := l.broken.Load(); b != nil {
		return nil, l.explain(l.First(), b.err)
	}
	r := &Reader{readerState: newReaderState(l, &o), o: o, sieve: newSieve(uid, o), sum: o.Checksum}
	r.window.budget = o.MaxBatchBytes
	r.enlist()
	if err := r.seek(from); err != nil {
		r.leave()
		return nil, fmt.Errorf("engine: open reader: %w", err)
	}
	r.position.Store(uint64(r.pos.Index))
	if e.world.Production() { // what the garbage collector finds is no event of a simulated history
		runtime.AddCleanup(r, (*readerState).dropped, r.readerState)
	}
	return r, nil
}

// Close ends the reader. A running iteration ends with ErrReaderClosed. Any goroutine; closing
// again does nothing.
func (r *Reader) Close() {
	r.leave()
	runtime.KeepAlive(r)
}

// UID returns the name of the log.
func (r *Reader) UID() UID { return r.log.uid }

// Cursor returns the place behind the newest entry that was delivered, or that the filter passed
// over: a reader opened there goes on with the next. It belongs to the goroutine that iterates,
// and may be called between its entries.
func (r *Reader) Cursor() Cursor {
	return Cursor{UID: r.log.uid, Incarnation: r.log.id, At: r.pos}
}

// Entries yields what the reader may see now and has not delivered, and then ends. Data
// must not be modified, and is valid until the next entry.
func (r *Reader) Entries(ctx context.Context) iter.Seq2[Entry, error] { return r.entries(ctx, false) }

// Tail is Entries without an end: it then waits, without polling, for what comes. It waits on
// the goroutine of the consumer, until ctx ends, the reader or the engine is closed, the log is
// deleted, or the engine fails.
func (r *Reader) Tail(ctx context.Context) iter.Seq2[Entry, error] { return r.entries(ctx, true) }

func (r *Reader) entries(ctx context.Context, follow bool) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		err := r.run(ctx, follow, func() bool {
			for k := range r.window.entries {
				e := &r.window.entries[k]
				r.pos.Term, r.pos.Index = e.Term, e.Index
				if !yield(*e, nil) {
					return false
				}
			}
			return true
		})
		if err != nil {
			yield(Entry{}, err)
		}
	}
}

// run steps through the log and calls deliver for what each step found, until that returns
// false, an error is met, or the end: of the range, or without follow of what can be seen now.
func (r *Reader) run(ctx context.Context, follow bool, deliver func() bool) error {
	if !r.busy.CompareAndSwap(false, true) {
		return ErrReaderBusy
	}
	defer r.rest()
	if follow && ctx.Done() != nil {
		// Waiting for the token alone is cheaper than for two channels, one of which many readers share.
		x, s := r.log.outside(), &r.sleeper
		defer context.AfterFunc(ctx, func() { x.rouse(s) })()
	}
	for end := r.limit(); ; {
		if err := r.standing(ctx); err != nil {
			return err
		}
		if now := r.limit(); follow || now < end { // behind standing: a cut may have lowered it
			end = now
		}
		moved, err := r.fill(min(end, r.o.Range.Last))
		switch {
		case err != nil:
			return err
		case moved:
			if len(r.window.entries) > 0 && !deliver() {
				return nil
			}
			r.pos = r.window.last
			r.position.Store(uint64(r.pos.Index))
		case r.pos.Index >= r.o.Range.Last, !follow && r.pos.Index >= end:
			return nil
		case follow && r.pos.Index >= end:
			if err := r.wait(ctx); err != nil {
				return err
			}
		}
	}
}

// rest leaves the reader as it is between iterations: it holds no entry.
func (r *Reader) rest() {
	r.window.drop()
	r.holds.Store(r.window.holds())
	r.position.Store(uint64(r.pos.Index))
	r.busy.Store(false)
	runtime.KeepAlive(r)
}

// standing says why the reader can not go on from where it is.
func (r *Reader) standing(ctx context.Context) error {
	l := r.log
	switch {
	case r.closed.Load():
		return ErrReaderClosed
	case r.ended != nil:
		return r.ended
	case ctx.Err() != nil:
		return l.canceled(ctx, "read")
	case l.broken.Load() != nil:
		return l.explain(r.pos.Index+1, l.broken.Load().err)
	case Index(r.cut.Load()) != noCut:
		if err := r.takeCut(); err != nil {
			return err
		}
	}
	v := l.view.Load() // before slotEnd: what a slot held goes after its end
	if err := r.slotEnd(); err != nil {
		return err
	}
	if r.pos.Index < r.low(v) {
		return l.gap(r.pos.Index + 1)
	}
	return nil
}

// wait blocks until there may be something to do. A log that takes nothing any more is waited
// for in vain: that is the error.
func (r *Reader) wait(ctx context.Context) error {
	r.window.drop()
	r.holds.Store(r.window.holds())
	x := r.log.outside()
	x.park(&r.sleeper)
	if ctx.Err() != nil || r.stirred() { // run looks at both
		x.unpark(&r.sleeper)
		return nil
	}
	if err := r.log.usable(); err != nil {
		x.unpark(&r.sleeper)
		return r.log.explain(r.pos.Index+1, err)
	}
	<-r.token
	if ctx.Err() != nil {
		return r.log.canceled(ctx, "waiting for entries")
	}
	return nil
}

// stirred reports whether there is something to do before waiting.
func (r *Reader) stirred() bool {
	return r.closed.Load() || Index(r.cut.Load()) != noCut || r.limit() > r.pos.Index ||
		r.low(r.log.view.Load()) > r.pos.Index || r.slotEnd() != nil
}

// takeCut takes note of truncations. What this reader has not delivered does not concern it.
// mu makes sure that the views loaded from now on show what was noted.
func (r *Reader) takeCut() error {
	l := r.log
	l.mu.Lock()
	to := EntryID{Term: r.cutTerm, Index: Index(r.cut.Swap(uint64(noCut)))}
	l.mu.Unlock()
	if to.Index >= r.pos.Index {
		return nil
	}
	if r.pos.Index < r.start { // nothing was delivered: the place stays, what is there is not known
		r.pos.Term = 0
		return nil
	}
	err := &TruncatedError{UID: l.uid, From: max(to.Index+1, r.start), Delivered: r.pos}
	r.pos = to
	if to.Index+1 < r.start {
		r.pos = EntryID{Index: r.start - 1}
	}
	r.position.Store(uint64(r.pos.Index))
	return err
}

// limit is the highest index that the reader may see now. Uncommitted ones are seen when they
// are durable. The commit index is loaded before any view: a view that is loaded later has
// everything that was committed.
func (r *Reader) limit() Index {
	limit := r.log.Committed()
	if r.slot.Load() != nil {
		limit = max(limit, r.log.view.Load().released.Index) // the owner has not said yet, after an open
	}
	if r.o.Uncommitted {
		limit = max(limit, r.log.view.Load().durable())
	}
	return limit
}
