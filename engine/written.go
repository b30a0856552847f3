package engine

import (
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/memtable"
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
func (l *Log) Written(_ raftlog.Batch, controls uint64) {
	l.mu.Lock()
	deleted := controls != l.done && l.settleLocked(controls)
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
	l.e.budget.relieve()
	l.wroteOutside()
	if event.Log != nil {
		h.Written(event)
	}
}

// settleLocked moves facts whose records are durable from the queue to the durable state, and
// reports whether the log's deletion is among them.
func (l *Log) settleLocked(controls uint64) (deleted bool) {
	l.done = controls
	n := 0
	for n < len(l.controls) && l.controls[n].seq <= controls {
		deleted = l.settleFactLocked(&l.controls[n]) || deleted
		n++
	}
	if n == len(l.controls) {
		l.controls = l.controls[:0]
	} else if n > 0 {
		l.controls = append(l.controls[:0], l.controls[n:]...)
	}
	if cap(l.controls) > idleControls && len(l.controls) == 0 {
		l.controls = nil // an idle log keeps no memory for what it once queued
	}
	return deleted
}

const idleControls = 4

func (l *Log) settleFactLocked(f *pendingFact) (deleted bool) {
	switch f.kind {
	case factHard:
		l.durable.hard = f.hard
	case factApplied:
		l.durable.applied = f.id.Index
	case factTruncate:
		l.chargeLocked(-f.held)
	case factRelease:
		l.durable.released = f.id
		l.dropReleasedLocked(f.id.Index)
	case factDelete:
		l.durable.deleted, deleted = true, true
	}
	return deleted
}

// dropReleasedLocked frees the memory of entries whose release is durable: no flush will ask
// for them.
func (l *Log) dropReleasedLocked(upTo Index) {
	for _, k := range l.view.Load().chain {
		if k.start <= upTo {
			l.dropMemoryLocked(k.table, upTo)
		}
	}
}

// dropMemoryLocked releases a table's entries up to an index.
func (l *Log) dropMemoryLocked(t *memtable.Table, upTo Index) {
	before := t.Bytes()
	t.Release(upTo)
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
