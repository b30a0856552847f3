package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/memtable"
	"github.com/rawl-db/rawl/wal"
)

// waiter is one blocked call. It waits for an index of a table, or for a control record. It
// is pooled: done receives exactly one value per use unless the waiter was removed first.
type waiter struct {
	table *memtable.Table // nil when it waits for a control record
	index Index           // 0 when it waits for a control record
	seq   uint64
	next  *waiter    // of the same log, guarded by its mu
	done  chan error // capacity 1
}

func (l *Log) addWaiterLocked(table *memtable.Table, index Index, seq uint64) *waiter {
	w, _ := l.e.waiters.Get().(*waiter)
	if w == nil {
		w = &waiter{done: make(chan error, 1)}
	}
	w.table, w.index, w.seq, w.next = table, index, seq, l.waiters
	l.waiters = w
	return w
}

// await blocks until the waiter is answered or ctx ends.
func (l *Log) await(ctx context.Context, w *waiter) error {
	err, end := sched.Wait(l.e.world, w.done, ctx.Done(), nil)
	if end == sched.Stopped {
		if l.removeWaiter(w) {
			err = l.canceled(ctx, "waiting for durability")
		} else {
			err = <-w.done // at hand
		}
	}
	w.table = nil
	l.e.waiters.Put(w)
	return err
}

func (l *Log) canceled(ctx context.Context, what string) error {
	return fmt.Errorf("engine: log %s: %s: %w", l.uid, what, context.Cause(ctx))
}

// removeWaiter takes the waiter back and reports whether nobody had answered it yet.
func (l *Log) removeWaiter(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at := &l.waiters; *at != nil; at = &(*at).next {
		if *at == w {
			*at, w.next = w.next, nil
			return true
		}
	}
	return false
}

// answerLocked wakes the waiters for which answered says so, with the error it returns. One that
// was woken may be in use again at once: it is not touched any more.
func (l *Log) answerLocked(answered func(*waiter) (bool, error)) {
	for at := &l.waiters; *at != nil; {
		w := *at
		ok, err := answered(w)
		if !ok {
			at = &w.next
			continue
		}
		*at, w.next = w.next, nil
		w.done <- err
	}
}

func (l *Log) failWaitersLocked(err error, which func(*waiter) bool) {
	if l.waiters == nil {
		return
	}
	l.answerLocked(func(w *waiter) (bool, error) {
		return which(w), fmt.Errorf("%w: log %s", err, l.uid)
	})
}

// failAll answers everybody who waits on the log.
func (l *Log) failAll(err error) {
	l.mu.Lock()
	l.failWaitersLocked(err, func(*waiter) bool { return true })
	var lost []func(Snapshot, error)
	for i := range l.controls {
		if f := &l.controls[i]; f.more != nil && f.more.done != nil {
			lost = append(lost, f.more.done)
			f.more.done = nil
		}
	}
	l.mu.Unlock()
	for _, done := range lost {
		done(Snapshot{}, fmt.Errorf("%w: log %s", err, l.uid))
	}
}

// AppendSync is Append, and then waits until the entries are durable or ctx ends. When ctx
// ends first its cause is returned and the entries may become durable later. Further errors:
// ErrTruncated when they were cut before they were durable, ErrFailed, ErrClosed.
func (l *Log) AppendSync(ctx context.Context, prev EntryID, entries []Entry) error {
	if ctx.Err() != nil {
		return l.canceled(ctx, "append")
	}
	bytes, err := l.checkEntries(prev, entries)
	if err != nil {
		return err
	}
	if err := l.lockAfter(prev); err != nil {
		return err
	}
	if err := l.appendLocked(prev, entries, bytes); err != nil || len(entries) == 0 {
		l.mu.Unlock()
		return err
	}
	w := l.addWaiterLocked(l.table, l.last.Index, 0)
	l.mu.Unlock()
	return l.await(ctx, w)
}

// SetHardStateSync is SetHardState, and then waits until it is durable or ctx ends. When ctx
// ends first its cause is returned and the state may become durable later.
func (l *Log) SetHardStateSync(ctx context.Context, h HardState) error {
	if ctx.Err() != nil {
		return l.canceled(ctx, "hard state")
	}
	l.mu.Lock()
	if err := l.setHardLocked(h); err != nil {
		l.mu.Unlock()
		return err
	}
	return l.awaitControl(ctx)
}

// awaitControl waits for the control record queued last. It is called with mu held and
// unlocks it.
func (l *Log) awaitControl(ctx context.Context) error {
	w := l.addWaiterLocked(nil, 0, l.controls[len(l.controls)-1].seq)
	l.mu.Unlock()
	return l.await(ctx, w)
}

// queueCreate queues the record that begins the log's life.
func (l *Log) queueCreateLocked() error {
	return l.controlLocked(pendingFact{kind: factCreate}, wal.Control{Kind: wal.KindCreate, Payload: []byte(l.uid)})
}

// waiterPool keeps waiters, and their channels, from being allocated per call.
type waiterPool = sync.Pool
