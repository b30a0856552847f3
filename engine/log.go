package engine

import (
	"errors"
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
	// broken is why the log serves nothing any more: quarantined or deleted. Set once; a snapshot that
	// is installed ends a quarantine.
	broken atomic.Pointer[brokenLog]
	// handler replaces Options.Handler for this log when it is set.
	handler atomic.Pointer[Handler]
	// held is the memory of the log's tables, and of those that a truncation cut off and that
	// the WAL may still have to read, in bytes. Changed under mu.
	held atomic.Int64
	// external is what those who read from outside need, nil until there is one.
	external atomic.Pointer[external]
	// committed is the owner's commit index. Changed under mu.
	committed atomic.Uint64

	// mu serialises the owner, the acknowledgement of a batch and the publication of a flush.
	// It is ordered before the locks of package wal and never held across I/O.
	mu sync.Mutex
	// Guarded by mu.
	table    *memtable.Table // the view's newest
	last     EntryID         // newest entry, durable or not
	waiters  *waiter         // the newest, which links to older ones
	controls []pendingFact   // queued, not yet durable; oldest first
	done     uint64          // control records that are durable
	cuts     uint64          // truncations and releases so far: what was learnt before one may not hold after it
	base     EntryID         // newest entry known durable outside the chain of tables
	hard     HardState       // newest hard state, durable or not
	durable  durableFacts    // what the device has
	applied  Index
	resets   int  // installed snapshots in controls that replace the log
	refused  bool // an append met ErrBusy and no Ready was sent since
	// capturing says that a state of the log is being written or received, or waits for its record to be
	// durable, capturingLive that it has live entries; untidy that a release dropped segments
	// from the view that the manifest still lists.
	capturing, capturingLive, untidy bool
	minors                           uint32 // minor compactions so far

	// slots has what is known of each of durable.claims besides its position, nil when there is none.
	slots map[string]*slotState

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

func (e *Engine) newLog(id raftlog.LogID, uid UID) *Log {
	l := &Log{e: e, id: id, uid: uid}
	l.setView(&emptyView)
	l.wal.Init(id, uid, l)
	return l
}

// setView publishes v. mu is held, or the log is not shared yet.
func (l *Log) setView(v *view) {
	if v.isEmpty() {
		v = &emptyView
	}
	l.view.Store(v)
	l.table = v.newest()
}

// UID returns the log's name.
func (l *Log) UID() UID { return l.uid }

// Engine returns the engine that has the log.
func (l *Log) Engine() *Engine { return l.e }

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

// DurableHardState returns the newest hard state that is durable.
func (l *Log) DurableHardState() HardState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable.hard
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
	id := l.base
	v, limit := l.view.Load(), l.last.Index
	for _, k := range v.chain {
		if d := min(k.table.Durable(), limit); d >= k.start {
			if d == l.last.Index {
				return l.last
			}
			if term, ok := k.table.Term(d); ok {
				id = EntryID{Term: term, Index: d}
			}
			break
		}
		limit = min(limit, k.start-1)
	}
	if r := l.durable.released; r.Index >= id.Index {
		return r
	}
	return id
}

// Append queues entries that follow prev and returns without waiting for the disk: their
// durability arrives through the handler as Written, and only then may they be acknowledged
// (Raft thesis §3.8). entries have indexes from prev.Index+1 on, by one each, and terms that
// never fall. Data is copied before Append returns. When prev is below the last entry, what
// follows prev is truncated first, as by TruncateTo; the last released entry may be prev too.
//
// Errors, with nothing appended: ErrGap, ErrCompacted (prev was released), ErrTooLarge (an entry
// above MaxEntryBytes, or a call above half of LogMemoryBytes), ErrCommitted (prev is below the
// commit index), ErrBusy (a Ready event follows), ErrReadOnly, ErrFailed, ErrClosed, ErrDeleted,
// ErrQuarantined.
func (l *Log) Append(prev EntryID, entries []Entry) error {
	bytes, err := l.checkEntries(prev, entries)
	if err != nil {
		return err
	}
	if err := l.lockAfter(prev); err != nil {
		return err
	}
	err = l.appendLocked(prev, entries, bytes)
	l.mu.Unlock()
	return err
}

// lockAfter takes mu once prev is known to be in the log, which ends with prev or behind it
// then. After an error mu is free.
func (l *Log) lockAfter(prev EntryID) error {
	l.mu.Lock()
	if prev == l.last {
		return nil
	}
	end := l.last
	l.mu.Unlock()
	if prev.Index > end.Index {
		return fmt.Errorf("%w: previous entry %v, log %s ends at %v", ErrGap, prev, l.uid, end)
	}
	term, err := l.lockKnowing(prev.Index)
	if err == nil && term != prev.Term {
		l.mu.Unlock()
		err = fmt.Errorf("%w: previous entry %v has term %d in log %s", ErrGap, prev, term, l.uid)
	}
	return err
}

// lockKnowing takes mu with the term of entry i, which is in the log then. The term may lie in a
// segment: it is read before mu is taken. After an error mu is free.
func (l *Log) lockKnowing(i Index) (Term, error) {
	for {
		l.mu.Lock()
		cuts := l.cuts
		l.mu.Unlock()
		term, err := l.Term(i)
		if err != nil {
			return 0, err
		}
		l.mu.Lock()
		if l.cuts != cuts {
			l.mu.Unlock()
			continue
		}
		if r := l.view.Load().released.Index; i < r {
			l.mu.Unlock()
			return 0, fmt.Errorf("%w: %d, log %s begins at %d", ErrCompacted, i, l.uid, r+1)
		}
		return term, nil
	}
}

// checkEntries verifies what needs no lock, order, terms and sizes, and returns the sum of the
// payloads. It and what follows it on the way of an append keep their stack frames small: among
// thousands of producers each has a cold stack, and every line of it is a cache miss.
func (l *Log) checkEntries(prev EntryID, entries []Entry) (bytes int, err error) {
	last, term := prev.Index, prev.Term
	limit := l.e.opts.MaxEntryBytes
	for i := range entries {
		e := &entries[i]
		if e.Index != last+1 || e.Term < term || e.Index > memtable.MaxIndex || len(e.Data) > limit {
			return 0, l.refuseEntry(EntryID{Term: term, Index: last}, e)
		}
		last, term = e.Index, e.Term
		bytes += len(e.Data)
	}
	if int64(bytes)+int64(len(entries))*slotBytes > l.e.opts.LogMemoryBytes/2 {
		return 0, l.refuseSize(len(entries), bytes)
	}
	return bytes, nil
}

// refuseEntry says what is wrong with the entry that follows at.
func (l *Log) refuseEntry(at EntryID, e *Entry) error {
	if limit := l.e.opts.MaxEntryBytes; len(e.Data) > limit {
		return fmt.Errorf("%w: entry %v has %d bytes, at most %d", ErrTooLarge, e.ID(), len(e.Data), limit)
	}
	return fmt.Errorf("%w: %v after %v", ErrGap, e.ID(), at)
}

func (l *Log) refuseSize(entries, bytes int) error {
	return fmt.Errorf("%w: %d entries of %d bytes, one call takes at most %d with %d for each entry",
		ErrTooLarge, entries, bytes, l.e.opts.LogMemoryBytes/2, slotBytes)
}

// slotBytes is about what a memtable holds of an entry besides its payload.
const slotBytes = 32

// appendLocked copies the entries, whose payloads sum up to bytes, into the newest table and
// queues them for the device.
func (l *Log) appendLocked(prev EntryID, entries []Entry, bytes int) error {
	if err := l.usable(); err != nil {
		return err
	}
	if err := l.e.writable(); err != nil {
		return err
	}
	if !l.e.budget.admits(l.held.Load(), bytes) {
		return l.busyLocked()
	}
	if prev != l.last {
		if err := l.truncateLocked(prev); err != nil {
			return err
		}
	}
	if l.table == nil && len(entries) > 0 {
		l.beginTableLocked(prev)
	}
	switch len(entries) {
	case 0:
		return nil
	case 1:
		return l.appendOneLocked(&entries[0])
	}
	return l.appendManyLocked(entries, bytes)
}

func (l *Log) appendOneLocked(e *Entry) error {
	t := l.table
	before := t.Bytes()
	stored, crc, err := t.Add(e)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGap, err)
	}
	l.chargeLocked(t.Bytes() - before)
	if err := l.e.wal.AppendEntry(&l.wal, t, e, stored, crc); err != nil {
		return l.withdrawLocked(err)
	}
	l.last = EntryID{Term: e.Term, Index: e.Index}
	return nil
}

func (l *Log) appendManyLocked(entries []Entry, bytes int) error {
	t := l.table
	before := t.Bytes()
	if err := t.Append(entries); err != nil {
		return fmt.Errorf("%w: %w", ErrGap, err)
	}
	l.chargeLocked(t.Bytes() - before)
	last := entries[len(entries)-1].ID()
	if err := l.e.wal.Append(&l.wal, t, l.last.Index, entries[0].Index, last.Index, bytes); err != nil {
		return l.withdrawLocked(err)
	}
	l.last = last
	return nil
}

// withdrawLocked takes back what stands in memory behind last and was not queued.
func (l *Log) withdrawLocked(err error) error {
	l.chargeLocked(-l.cutLocked(l.last))
	return l.e.writeError(err)
}

// busyLocked refuses what would exceed the memory budget. The log is told when it may try again.
func (l *Log) busyLocked() error {
	if !l.refused {
		l.refused = true
		l.e.budget.refuse(l)
	}
	return fmt.Errorf("%w: log %s", ErrBusy, l.uid)
}

// chargeLocked accounts for memory that the log takes, or with a negative sign gives back.
func (l *Log) chargeLocked(bytes int64) {
	if bytes == 0 {
		return
	}
	l.held.Add(bytes)
	l.e.budget.add(bytes)
}

// beginTableLocked makes a table that begins behind prev the newest one. What older tables and
// segments hold above prev is out of reach at once. cut is the memory of the tables that lie
// wholly above: it stays charged, because the WAL may still have to read them.
func (l *Log) beginTableLocked(prev EntryID) (t *memtable.Table, cut int64) {
	old := l.view.Load()
	t = l.e.tables.New(prev.Index + 1)
	l.setView(old.push(t, prev))
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
	term, err := l.lockKnowing(last)
	if err != nil {
		return err
	}
	defer l.mu.Unlock()
	if err := l.usable(); err != nil || last == l.last.Index {
		return err
	}
	return l.truncateLocked(EntryID{Term: term, Index: last})
}

func (l *Log) truncateLocked(to EntryID) error {
	if err := l.keepsCommitted(to); err != nil {
		return err
	}
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
	l.cutOutside(to)
	_, held = l.beginTableLocked(to)
	l.happened(happenedCut)
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
// Errors: ErrOutOfRange (upTo is beyond the log), ErrSnapshotRunning (see Capture), ErrFailed,
// ErrClosed, ErrDeleted, ErrQuarantined, and those of reading a segment. Releasing what is
// released does nothing.
func (l *Log) Release(upTo Index) error {
	if upTo <= l.view.Load().released.Index {
		return l.usable()
	}
	term, err := l.lockKnowing(upTo)
	if errors.Is(err, ErrCompacted) { // a snapshot released it in between
		return l.usable()
	} else if err != nil {
		return err
	}
	defer l.mu.Unlock()
	v := l.view.Load()
	if err := l.usable(); err != nil || upTo <= v.released.Index {
		return err
	}
	if l.capturingLive {
		return fmt.Errorf("%w: log %s, whose live entries a release would drop", ErrSnapshotRunning, l.uid)
	}
	id := EntryID{Term: term, Index: upTo}
	c := wal.Control{Kind: wal.KindRelease, Index: upTo, Term: term, Lazy: true}
	if err := l.controlLocked(pendingFact{kind: factRelease, id: id}, c); err != nil {
		return err
	}
	l.cuts++
	n := v.release(id, l.durable.floor(id.Index), v.live)
	l.untidy = l.untidy || len(n.segments) < len(v.segments)
	l.setView(n)
	l.happened(happenedRelease)
	return nil
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
