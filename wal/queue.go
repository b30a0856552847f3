package wal

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// Append queues the entries first..last of src for l; prev precedes first in the log, and
// bytes is the sum of their payloads. It never waits. The entries must stay in src until
// they are durable. A range that continues the last queued one of the same source joins
// it. An empty range queues nothing. Errors: ErrClosed, ErrReadOnly, ErrFailed; then
// nothing was queued.
func (w *WAL) Append(l *Log, src Source, prev, first, last raftlog.Index, bytes int) error {
	if w.state.Load() != 0 {
		return w.refusal()
	}
	if first > last {
		return nil
	}
	w.count.arrivedBytes.Add(uint64(bytes))
	w.count.arrivedEntries.Add(uint64(last-first) + 1)
	l.mu.Lock()
	if t := l.mu.ops.tail(); t != nil && t.src == src && t.last == prev && first == prev+1 {
		t.last = last
	} else {
		l.mu.ops.push(op{src: src, prev: prev, first: first, last: last})
	}
	list := !l.mu.listed
	l.mu.listed = true
	l.mu.Unlock()
	if list {
		w.list(l)
	}
	return nil
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
	if !c.Lazy {
		w.count.arrivedEntries.Add(1)
	}
	o := op{
		first: c.Index, last: raftlog.Index(c.Term), payload: c.Payload, kind: c.Kind, lazy: c.Lazy,
	}
	l.mu.Lock()
	l.mu.ops.push(o)
	l.mu.controls++
	seq = l.mu.controls
	list := !c.Lazy && !l.mu.listed
	lazy := c.Lazy && !l.mu.listed && !l.mu.lazyListed
	l.mu.listed = l.mu.listed || list
	l.mu.lazyListed = l.mu.lazyListed || lazy
	l.mu.Unlock()
	switch {
	case list:
		w.list(l)
	case lazy:
		w.listLazy(l)
	}
	return seq, nil
}

func (w *WAL) list(l *Log) {
	w.mu.Lock()
	w.mu.active = append(w.mu.active, l)
	w.mu.Unlock()
	if w.sleep.Load() != awake {
		w.Wake()
	}
}

// listLazy wakes the committer only out of the sleep that has no end, so that an idle
// frame is coming.
func (w *WAL) listLazy(l *Log) {
	w.mu.Lock()
	w.mu.lazy = append(w.mu.lazy, l)
	w.mu.Unlock()
	if w.sleep.Load() == asleep {
		w.Wake()
	}
}

// Wake makes a sleeping Run look for work. Any goroutine.
func (w *WAL) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// collect takes over the logs that were listed since the last time.
func (w *WAL) collect() {
	w.mu.Lock()
	w.active, w.mu.active = w.mu.active, w.active
	w.lazy, w.mu.lazy = w.mu.lazy, w.lazy
	w.mu.Unlock()
	for _, l := range w.active {
		l.more = true
		if !l.inRun {
			l.inRun = true
			w.run.push(l)
		}
	}
	for _, l := range w.lazy {
		if !l.inLazy {
			l.inLazy = true
			w.lazyRun.push(l)
		}
	}
	clear(w.active)
	clear(w.lazy)
	w.active, w.lazy = w.active[:0], w.lazy[:0]
}

// listed reports whether a log waits to be collected.
func (w *WAL) listed() (active, lazy bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.mu.active) > 0, len(w.mu.lazy) > 0
}

// pending is what was queued and not yet put into a batch.
func (w *WAL) pending() (entries, bytes uint64) {
	return depth(&w.count.arrivedEntries, &w.count.takenEntries), depth(&w.count.arrivedBytes, &w.count.takenBytes)
}
