package engine

import (
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/memtable"
	"github.com/rawl-db/rawl/wal"
)

// Handler receives the events of logs. Its methods must return soon, must not wait for
// durability, and may append. Written runs on the goroutine that commits the write-ahead log,
// in order; Ready on whichever goroutine made room, perhaps beside a Written.
type Handler interface {
	// Written says what has become durable.
	Written(Written)
	// Ready says that a log whose append met ErrBusy may try again.
	Ready(*Log)
}

// Written is what one batch made durable in one log.
type Written struct {
	Log *Log
	// Last is the newest durable entry: everything up to it may be acknowledged (Raft thesis
	// §3.8). A truncation may have lowered it since the event before.
	Last EntryID
	// HardState is the newest durable hard state.
	HardState HardState
}

// Written implements wal.Sink: a batch that holds records of this log is durable. It runs on
// the committer's goroutine.
func (l *Log) Written(batch raftlog.Batch, controls uint64) {
	l.mu.Lock()
	var deleted bool
	var published []pendingFact
	if controls != l.done {
		deleted, published = l.settleLocked(batch, controls)
	}
	var event Written
	h := l.handlerOf()
	if h != nil && l.e.opened {
		event = Written{Log: l, Last: l.writtenLocked(), HardState: l.durable.hard}
	}
	if l.waiters != nil {
		l.answerLocked(func(w *waiter) (bool, error) {
			if w.table != nil {
				return w.table.Durable() >= w.index, nil
			}
			return w.seq <= l.done, nil
		})
	}
	l.mu.Unlock()
	if deleted {
		l.e.dying.remove(l)
		l.e.flusher.dropLog(l)
	}
	for i := range published {
		f := &published[i]
		l.e.event(Event{Kind: EventSnapshot, UID: l.uid, Entry: f.id})
		if f.more.done != nil {
			f.more.done(f.more.snap, nil)
		}
	}
	l.e.budget.relieve()
	l.wroteOutside()
	if event.Log != nil {
		h.Written(event)
	}
}

// settleLocked moves facts whose records are durable from the queue to the durable state. It reports
// whether the log's deletion is among them, and the states that were published.
func (l *Log) settleLocked(batch raftlog.Batch, controls uint64) (deleted bool, published []pendingFact) {
	l.done = controls
	n, created := 0, false
	for n < len(l.controls) && l.controls[n].seq <= controls {
		f := &l.controls[n]
		deleted = l.settleFactLocked(f, batch) || deleted
		created = created || f.kind == factCreate
		if f.kind == factSnapshot || f.kind == factInstall {
			published = append(published, *f)
		}
		n++
	}
	if n == len(l.controls) {
		l.controls = l.controls[:0]
	} else if n > 0 {
		l.controls = append(l.controls[:0], l.controls[n:]...)
	}
	if len(l.controls) == 0 && (created || cap(l.controls) > idleControls) {
		l.controls = nil // an idle log keeps no memory for what it once queued; many are created and stay idle
	}
	return deleted, published
}

const idleControls = 4

func (l *Log) settleFactLocked(f *pendingFact, batch raftlog.Batch) (deleted bool) {
	switch f.kind {
	case factHard:
		l.durable.hard = f.hard
	case factApplied:
		l.durable.applied = f.id.Index
	case factTruncate:
		l.chargeLocked(-f.held)
	case factRelease:
		if f.id.Index > l.durable.released.Index {
			l.durable.released, l.durable.releasedSince = f.id, batch
			l.dropReleasedLocked()
		}
		if l.untidy {
			l.untidy = false
			l.e.flusher.tidy(l)
		}
	case factSnapshot:
		l.settleSnapshotLocked(f, batch)
	case factInstall:
		l.settleInstallLocked(f, batch)
	case factSlot:
		l.settleSlotLocked(f, batch)
	case factDelete:
		l.durable.deleted, deleted = true, true
	}
	return deleted
}

// dropReleasedLocked frees the memory of entries whose release is durable: no flush will ask for
// them. Live ones stay, beside the others.
func (l *Log) dropReleasedLocked() {
	k := l.durable.keep()
	above := ^Index(0) // the next newer table answers from here on
	for _, link := range l.view.Load().chain {
		if link.start <= k.floor {
			l.moveLiveLocked(link.table, k, above)
			l.dropMemoryLocked(link.table, k.floor)
		}
		above = link.start
	}
}

// moveLiveLocked puts the live entries of a table where its release does not reach them, and drops
// those that are live no more.
func (l *Log) moveLiveLocked(t *memtable.Table, k keep, above Index) {
	before := t.Bytes()
	t.ReleaseSparse(func(i Index) bool { return i <= k.floor && !k.live.Contains(i) })
	if last := min(t.Last(), k.floor, above-1); t.First() <= last {
		var live []Entry
		for i := range k.live.Floor(t.First()).Limit(last).All() {
			if e, _, ok := t.Get(i); ok {
				live = append(live, e)
			}
		}
		if len(live) > 0 {
			_ = t.PutSparse(live) // they are the table's own, in order
		}
	}
	l.chargeLocked(t.Bytes() - before)
}

// dropMemoryLocked releases a table's entries up to an index.
func (l *Log) dropMemoryLocked(t *memtable.Table, upTo Index) {
	before := t.Bytes()
	t.Release(upTo)
	l.chargeLocked(t.Bytes() - before)
}

// dropFlushedLocked releases what segments hold now.
func (l *Log) dropFlushedLocked(t *memtable.Table, s wal.Span) {
	before := t.Bytes()
	t.ReleaseSparse(func(i Index) bool { return s.First <= i && i <= s.Last })
	t.Release(s.Last)
	l.chargeLocked(t.Bytes() - before)
}

// trimLocked gives back what an emptied table keeps for its next entries: the log may be idle.
func (l *Log) trimLocked(t *memtable.Table) {
	if t.First() > t.Last() {
		before := t.Bytes()
		t.Trim()
		l.chargeLocked(t.Bytes() - before)
	}
	if len(l.controls) == 0 {
		l.controls = nil
	}
}

// forget drops all memory of a deleted log.
func (l *Log) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.chargeLocked(-l.held.Load())
	for i := range l.controls {
		l.controls[i].held = 0
	}
	l.setView(&emptyView)
}

func (l *Log) isDeleted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable.deleted
}
