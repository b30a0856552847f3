package wal

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// queued is an operation on its way to the committer.
type queued struct {
	log *Log
	op  op
}

// keptQueue is the number of operations for which an idle queue keeps memory.
const keptQueue = 16 << 10

// Append queues the entries first..last of src for l; prev precedes first in the log, and
// bytes is the sum of their payloads. It never waits. The entries must stay in src until
// they are durable. A range that continues what was queued last joins it. An empty range
// queues nothing. Errors: ErrClosed, ErrReadOnly, ErrFailed; then nothing was queued.
func (w *WAL) Append(l *Log, src Source, prev, first, last raftlog.Index, bytes int) error {
	if w.state.Load() != 0 {
		return w.refusal()
	}
	if first > last {
		return nil
	}
	w.mu.Lock()
	o := op{src: src, prev: prev, first: first, last: last}
	if t := w.tailOf(l); t == nil || !t.join(&o) {
		w.mu.queue = append(w.mu.queue, queued{log: l, op: o})
	}
	w.arrived(uint64(last-first)+1, bytes)
	return nil
}

// AppendEntry is Append for the entry e, which src holds too: the committer takes data, the
// source's copy of the payload, and its Checksum as they are and need not ask src. data must not
// change until the entry is durable.
func (w *WAL) AppendEntry(l *Log, src Source, e *raftlog.Entry, data []byte, crc uint32) error {
	if w.state.Load() != 0 {
		return w.refusal()
	}
	w.mu.Lock()
	if t := w.tailOf(l); t == nil || !t.extend(src, e.Index-1, e.Index) {
		w.mu.queue = append(w.mu.queue, queued{})
		q := &w.mu.queue[len(w.mu.queue)-1]
		q.log, q.op.src, q.op.prev, q.op.first, q.op.last = l, src, e.Index-1, e.Index, e.Index
		q.op.payload, q.op.crc, q.op.term, q.op.typ, q.op.single = data, crc, e.Term, e.Type, true
	}
	w.arrived(1, len(data))
	return nil
}

// tailOf returns the operation queued last when it is l's, else nil. mu is held.
func (w *WAL) tailOf(l *Log) *op {
	if n := len(w.mu.queue); n > 0 && w.mu.queue[n-1].log == l {
		return &w.mu.queue[n-1].op
	}
	return nil
}

// arrived accounts for queued work that makes a batch, releases mu and wakes the committer.
func (w *WAL) arrived(entries uint64, bytes int) {
	w.mu.urgent = true
	w.mu.entries += entries
	w.mu.bytes += uint64(bytes)
	w.mu.Unlock()
	if w.sleep.Load() != awake {
		w.Wake()
	}
}

// Control queues a record and returns its place among all control records of the log, from
// 1: Sink.Written says up to which of them all are durable. It never waits. A full disk does
// not refuse it. Errors: ErrClosed, ErrFailed, ErrTooLarge; then nothing was queued.
func (w *WAL) Control(l *Log, c Control) (seq uint64, err error) {
	if len(c.Payload) > MaxControlPayload {
		return 0, fmt.Errorf("%w: control payload of %d bytes", ErrTooLarge, len(c.Payload))
	}
	if s := w.state.Load(); s != 0 && s != uint32(ReadOnly) {
		return 0, w.refusal()
	}
	w.mu.Lock()
	l.queued++
	seq = l.queued
	w.mu.queue = append(w.mu.queue, queued{log: l, op: op{
		first: c.Index, last: raftlog.Index(c.Term), payload: c.Payload, kind: c.Kind, lazy: c.Lazy,
	}})
	if !c.Lazy {
		w.mu.urgent = true
		w.mu.entries++
	}
	w.mu.Unlock()
	// A lazy record ends only the sleep that has no end, so that an idle frame is coming.
	if s := w.sleep.Load(); s == asleep || s != awake && !c.Lazy {
		w.Wake()
	}
	return seq, nil
}

// Wake makes a sleeping Run look for work. Any goroutine.
func (w *WAL) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// collect takes over what was queued since the last time.
func (w *WAL) collect() {
	w.mu.Lock()
	w.arrivals, w.mu.queue = w.mu.queue, w.arrivals
	w.mu.urgent = false
	w.mu.Unlock()
	for i := range w.arrivals {
		l, o := w.arrivals[i].log, &w.arrivals[i].op
		l.take(o)
		switch {
		case !o.lazy && !l.inRun:
			l.inRun = true
			w.run.push(l)
		case o.lazy && !l.inLazy && !l.inRun:
			l.inLazy = true
			w.lazyRun.push(l)
		}
	}
	if n := len(w.arrivals); cap(w.arrivals) > keptQueue && n < cap(w.arrivals)/4 {
		w.arrivals = nil
		return
	}
	clear(w.arrivals)
	w.arrivals = w.arrivals[:0]
}

// listed reports whether operations wait to be collected, and whether any of them makes a batch.
func (w *WAL) listed() (urgent, some bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.urgent, len(w.mu.queue) > 0
}

// pending is what was queued and not yet put into a batch; any goroutine.
func (w *WAL) pending() (entries, bytes uint64) {
	// Read first: what arrives in between makes the result larger, never negative.
	takenEntries, takenBytes := w.count.takenEntries.Load(), w.count.takenBytes.Load()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.entries - takenEntries, w.mu.bytes - takenBytes
}
