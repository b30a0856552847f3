package engine

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/memtable"
	"github.com/rawl-db/rawl/wal"
)

// Log is one log of an engine. Append, TruncateTo, Release and SetHardState belong to the
// log's owner, the one that decides what is written; calls are serialised, so that several
// goroutines may share the role. Everything else may be called by any goroutine, and readers
// never wait for the owner. A handle stays usable after Delete and Close: its calls then fail.
//
// Fields that every append and acknowledgement touch stand together, at the front.
type Log struct {
	e *Engine
	// view is stored under mu and loaded by readers.
	view atomic.Pointer[view]
	// broken is why the log serves nothing any more: quarantined or deleted. Set once.
	broken atomic.Pointer[brokenLog]
	// handler replaces Options.Handler for this log when it is set.
	handler atomic.Pointer[Handler]
	// held is the memory of the log's tables, and of those that a truncation cut off and that
	// the WAL may still have to read, in bytes. Changed under mu.
	held atomic.Int64

	// mu serialises the owner, the acknowledgement of a batch and the publication of a flush.
	// It is ordered before the locks of package wal and never held across I/O.
	mu sync.Mutex
	// Guarded by mu.
	last     EntryID // newest entry, durable or not
	waiters  []*waiter
	controls []pendingFact // queued, not yet durable; oldest first
	done     uint64        // control records that are durable
	cuts     uint64        // truncations and releases so far: what was learnt before one may not hold after it
	base     EntryID       // newest entry known durable outside the chain of tables
	hard     HardState     // newest hard state, durable or not
	durable  durableFacts  // what the device has
	applied  Index
	refused  bool // an append met ErrBusy and no Ready was sent since

	wal wal.Log
	id  raftlog.LogID
	uid UID
}

type brokenLog struct {
	err        error
	quarantine *manifest.Quarantine // nil when the log was deleted
}

// quarantineNote is what the manifest keeps of a quarantine, nil when there is none.
func (l *Log) quarantineNote() *manifest.Quarantine {
	if b := l.broken.Load(); b != nil {
		return b.quarantine
	}
	return nil
}

// durableFacts is the part of a log's state that only moves forward, as far as it is durable.
type durableFacts struct {
	hard     HardState
	released EntryID
	applied  Index
	deleted  bool
}

// pendingFact is a queued control record. seq is its number among the log's control records.
type pendingFact struct {
	seq  uint64
	kind factKind
	id   EntryID // of release
	hard HardState
	held int64 // of truncate: bytes of the tables that were cut off
}

type factKind uint8

const (
	factCreate factKind = iota
	factHard
	factRelease
	factTruncate
	factApplied
	factDelete
)

func (e *Engine) newLog(id raftlog.LogID, uid UID) *Log {
	l := &Log{e: e, id: id, uid: uid}
	l.view.Store(&emptyView)
	l.wal.Init(id, uid, l)
	return l
}

// UID returns the log's name.
func (l *Log) UID() UID { return l.uid }

// SetHandler makes h receive this log's events instead of Options.Handler; nil goes back to that.
func (l *Log) SetHandler(h Handler) {
	if h == nil {
		l.handler.Store(nil)
		return
	}
	l.handler.Store(&h)
}

func (l *Log) handlerOf() Handler {
	if h := l.handler.Load(); h != nil {
		return *h
	}
	return l.e.opts.Handler
}

// First returns the first index that is not released. It may be one above Last: the log is
// then empty.
func (l *Log) First() Index { return l.view.Load().released.Index + 1 }

// Last returns the newest entry's identity, durable or not. In an empty log it is the last
// released entry, or zero.
func (l *Log) Last() EntryID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// LastWritten returns the identity of the newest durable entry: everything up to it may be
// acknowledged. It never exceeds Last, and falls when a truncation cuts below it.
func (l *Log) LastWritten() EntryID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writtenLocked()
}

// HardState returns the newest hard state that was set, durable or not.
func (l *Log) HardState() HardState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hard
}

// Applied returns the newest applied index that was set, durable or not; 0 before the first.
func (l *Log) Applied() Index {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.applied
}

// writtenLocked walks the chain: a table's durable position counts only up to where the next
// newer table starts, and one that has nothing durable leaves the answer to older ones. What
// left the tables is known by base, or by the release that dropped it.
func (l *Log) writtenLocked() EntryID {
	v, limit := l.view.Load(), l.last.Index
	for _, k := range v.chain {
		if d := min(k.table.Durable(), limit); d >= k.start {
			if d == l.last.Index {
				return l.last
			}
			if term, ok := k.table.Term(d); ok {
				return EntryID{Term: term, Index: d}
			}
			break
		}
		limit = min(limit, k.start-1)
	}
	if r := l.durable.released; r.Index >= l.base.Index {
		return r
	}
	return l.base
}

// Append queues entries that follow prev and returns without waiting for the disk: their
// durability arrives through the handler as Written, and only then may they be acknowledged
// (Raft thesis §3.8). entries have indexes from prev.Index+1 on, by one each, and terms that
// never fall. Data is copied before Append returns. When prev is below the last entry, what
// follows prev is truncated first, as by TruncateTo; the last released entry may be prev too.
//
// Errors, with nothing appended: ErrGap, ErrCompacted (prev was released), ErrTooLarge (an entry
// above MaxEntryBytes, or a call above half of LogMemoryBytes), ErrBusy (a Ready event follows),
// ErrReadOnly, ErrFailed, ErrClosed, ErrDeleted, ErrQuarantined.
func (l *Log) Append(prev EntryID, entries []Entry) error {
	if err := l.checkEntries(prev, entries); err != nil {
		return err
	}
	return l.after(prev, func() error {
		_, err := l.appendLocked(prev, entries)
		return err
	})
}

// after runs fn under mu once prev is known to be in the log. fn finds the log ending with
// prev or behind it. The entry's term may lie in a segment: it is read before mu is taken.
func (l *Log) after(prev EntryID, fn func() error) error {
	l.mu.Lock()
	if prev == l.last {
		defer l.mu.Unlock()
		return fn()
	}
	end := l.last
	l.mu.Unlock()
	if prev.Index > end.Index {
		return fmt.Errorf("%w: previous entry %v, log %s ends at %v", ErrGap, prev, l.uid, end)
	}
	return l.knowing(prev.Index, func(term Term) error {
		if term != prev.Term {
			return fmt.Errorf("%w: previous entry %v has term %d in log %s", ErrGap, prev, term, l.uid)
		}
		return fn()
	})
}

// knowing runs fn under mu with the term of entry i, which is in the log then.
func (l *Log) knowing(i Index, fn func(Term) error) error {
	for {
		l.mu.Lock()
		cuts := l.cuts
		l.mu.Unlock()
		term, err := l.Term(i)
		if err != nil {
			return err
		}
		l.mu.Lock()
		if l.cuts == cuts {
			defer l.mu.Unlock()
			if r := l.view.Load().released.Index; i < r {
				return fmt.Errorf("%w: %d, log %s begins at %d", ErrCompacted, i, l.uid, r+1)
			}
			return fn(term)
		}
		l.mu.Unlock()
	}
}

// checkEntries verifies what needs no lock: order, terms and sizes.
func (l *Log) checkEntries(prev EntryID, entries []Entry) error {
	at := prev
	limit, total := l.e.opts.MaxEntryBytes, int64(0)
	for i := range entries {
		e := &entries[i]
		if e.Index != at.Index+1 || e.Term < at.Term || e.Index > memtable.MaxIndex {
			return fmt.Errorf("%w: %v after %v", ErrGap, e.ID(), at)
		}
		if len(e.Data) > limit {
			return fmt.Errorf("%w: entry %v has %d bytes, at most %d", ErrTooLarge, e.ID(), len(e.Data), limit)
		}
		at = EntryID{Term: e.Term, Index: e.Index}
		total += int64(len(e.Data)) + slotBytes
	}
	if most := l.e.opts.LogMemoryBytes / 2; total > most {
		return fmt.Errorf("%w: %d entries take %d bytes, at most %d in one call", ErrTooLarge, len(entries), total, most)
	}
	return nil
}

// slotBytes is about what a memtable holds of an entry besides its payload.
const slotBytes = 32

// appendLocked returns the table that took the entries, nil when there were none.
func (l *Log) appendLocked(prev EntryID, entries []Entry) (*memtable.Table, error) {
	if err := l.usable(); err != nil {
		return nil, err
	}
	if err := l.e.writable(); err != nil {
		return nil, err
	}
	bytes := payloadBytes(entries)
	if err := l.admitLocked(bytes); err != nil {
		return nil, err
	}
	if prev != l.last {
		if err := l.truncateLocked(prev); err != nil {
			return nil, err
		}
	}
	if len(entries) == 0 {
		return nil, nil
	}
	table, err := l.storeLocked(entries)
	if err != nil {
		return nil, err
	}
	first, last := entries[0].Index, &entries[len(entries)-1]
	if err := l.e.wal.Append(&l.wal, table, prev.Index, first, last.Index, bytes); err != nil {
		l.chargeLocked(-l.cutLocked(prev)) // only memory has them
		return nil, l.e.writeError(err)
	}
	l.last = last.ID()
	return table, nil
}

func payloadBytes(entries []Entry) (n int) {
	for i := range entries {
		n += len(entries[i].Data)
	}
	return n
}

// admitLocked refuses what would exceed the memory budget. The log is told when it may try again.
func (l *Log) admitLocked(bytes int) error {
	if l.e.budget.admits(l.held.Load(), bytes) {
		return nil
	}
	if !l.refused {
		l.refused = true
		l.e.budget.refuse(l)
	}
	return fmt.Errorf("%w: log %s", ErrBusy, l.uid)
}

// storeLocked copies the entries into the newest table.
func (l *Log) storeLocked(entries []Entry) (*memtable.Table, error) {
	table := l.view.Load().newest()
	if table == nil {
		table, _ = l.beginTableLocked(l.last)
	}
	before := table.Bytes()
	if err := table.Append(entries); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGap, err)
	}
	l.chargeLocked(table.Bytes() - before)
	return table, nil
}

// chargeLocked accounts for memory that the log takes, or with a negative sign gives back.
func (l *Log) chargeLocked(bytes int64) {
	l.held.Add(bytes)
	l.e.budget.add(bytes)
}

// beginTableLocked makes a table that begins behind prev the newest one. What older tables and
// segments hold above prev is out of reach at once. cut is the memory of the tables that lie
// wholly above: it stays charged, because the WAL may still have to read them.
func (l *Log) beginTableLocked(prev EntryID) (t *memtable.Table, cut int64) {
	old := l.view.Load()
	t = memtable.New(prev.Index + 1)
	l.view.Store(old.push(t, prev))
	for _, k := range old.chain {
		if k.start > prev.Index {
			cut += k.table.Bytes()
		}
	}
	return t, cut
}

// TruncateTo cuts the log behind index last, which becomes the last entry: the last released
// index, 0 when there is none, empties it. What is cut stops being readable at once and does not come back;
// when its record is durable is not reported, but any later acknowledgement on this log
// implies it. Nothing happens when last is the last index already.
//
// Errors: ErrOutOfRange (last is beyond the log), ErrCompacted (last was released and is not
// the newest released one), ErrFailed, ErrClosed, ErrDeleted, ErrQuarantined, and those of
// reading a segment.
func (l *Log) TruncateTo(last Index) error {
	return l.knowing(last, func(term Term) error {
		if err := l.usable(); err != nil || last == l.last.Index {
			return err
		}
		return l.truncateLocked(EntryID{Term: term, Index: last})
	})
}

func (l *Log) truncateLocked(to EntryID) error {
	err := l.controlLocked(pendingFact{kind: factTruncate, id: to}, wal.Control{Kind: wal.KindTruncate, Index: to.Index, Term: to.Term})
	if err != nil {
		return err
	}
	l.controls[len(l.controls)-1].held = l.cutLocked(to)
	l.e.event(Event{Kind: EventTruncated, UID: l.uid, Entry: to})
	return nil
}

// cutLocked makes to the last entry in memory. It returns the memory that is now held for the
// WAL only.
func (l *Log) cutLocked(to EntryID) (held int64) {
	_, held = l.beginTableLocked(to)
	l.last = to
	l.cuts++
	if l.base.Index > to.Index {
		l.base = to
	}
	l.failWaitersLocked(ErrTruncated, func(w *waiter) bool { return w.index > to.Index })
	return held
}

// Release says that entries up to upTo are no longer needed: a snapshot covers them. Reading
// them fails at once; their memory goes when the release is durable, their disk space with
// the next flush. The record rides with the next batch and forces no sync.
//
// Errors: ErrOutOfRange (upTo is beyond the log), ErrFailed, ErrClosed, ErrDeleted,
// ErrQuarantined, and those of reading a segment. Releasing what is released does nothing.
func (l *Log) Release(upTo Index) error {
	if upTo <= l.view.Load().released.Index {
		return l.usable()
	}
	return l.knowing(upTo, func(term Term) error {
		v := l.view.Load()
		if err := l.usable(); err != nil || upTo <= v.released.Index {
			return err
		}
		id := EntryID{Term: term, Index: upTo}
		c := wal.Control{Kind: wal.KindRelease, Index: upTo, Term: term, Lazy: true}
		if err := l.controlLocked(pendingFact{kind: factRelease, id: id}, c); err != nil {
			return err
		}
		l.cuts++
		l.view.Store(v.release(id))
		return nil
	})
}

// SetHardState queues term and vote; they are durable when a Written event says so, before
// any entry that is appended later. Raft may answer nobody in that term earlier (thesis §3.8).
// While the engine is read only it becomes durable as long as the reserve lasts, and else when
// space returns.
//
// Errors: ErrHardState when the term falls or the vote of a term changes, ErrTooLarge, ErrBusy
// (thousands of records of this log wait for the device), ErrFailed, ErrClosed, ErrDeleted,
// ErrQuarantined.
func (l *Log) SetHardState(h HardState) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.setHardLocked(h)
}

func (l *Log) setHardLocked(h HardState) error {
	if err := l.usable(); err != nil {
		return err
	}
	if len(h.Vote) > raftlog.MaxVoteLen {
		return fmt.Errorf("%w: vote of %d bytes, at most %d", ErrTooLarge, len(h.Vote), raftlog.MaxVoteLen)
	}
	if h.Term < l.hard.Term || h.Term == l.hard.Term && l.hard.Vote != "" && h.Vote != l.hard.Vote {
		return fmt.Errorf("%w: term %d after %d", ErrHardState, h.Term, l.hard.Term)
	}
	c := wal.Control{Kind: wal.KindHardState, Term: h.Term, Payload: []byte(h.Vote)}
	if err := l.controlLocked(pendingFact{kind: factHard, hard: h}, c); err != nil {
		return err
	}
	l.hard = h
	return nil
}

// SetApplied records how far the state machine has applied the log. The record is lazy: it
// rides with the next batch and forces no sync. It never falls; a lower index does nothing.
// Errors: ErrFailed, ErrClosed, ErrDeleted, ErrQuarantined.
func (l *Log) SetApplied(i Index) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil || i <= l.applied {
		return err
	}
	c := wal.Control{Kind: wal.KindApplied, Index: i, Lazy: true}
	if err := l.controlLocked(pendingFact{kind: factApplied, id: EntryID{Index: i}}, c); err != nil {
		return err
	}
	l.applied = i
	return nil
}

// maxPendingControls bounds the control records of a log that wait for the device.
const maxPendingControls = 1 << 12

// controlLocked queues a control record and remembers what it will make durable.
func (l *Log) controlLocked(f pendingFact, c wal.Control) error {
	if len(l.controls) >= maxPendingControls && f.kind != factDelete {
		return fmt.Errorf("%w: log %s has %d records that are not durable yet", ErrBusy, l.uid, len(l.controls))
	}
	seq, err := l.e.wal.Control(&l.wal, c)
	if err != nil {
		return l.e.writeError(err)
	}
	f.seq = seq
	l.controls = append(l.controls, f)
	return nil
}

// usable says why the log can not be used, nil when it can.
func (l *Log) usable() error {
	if b := l.broken.Load(); b != nil {
		return b.err
	}
	return l.e.usable()
}
