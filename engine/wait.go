package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/rawl-db/rawl/memtable"
	"github.com/rawl-db/rawl/wal"
)

// waiter is one blocked call. It waits for an index of a table, or for a control record. It
// is pooled: done receives exactly one value per use unless the waiter was removed first.
type waiter struct {
	table *memtable.Table // nil when it waits for a control record
	index Index           // 0 when it waits for a control record
	seq   uint64
	done  chan error // capacity 1
}

func (l *Log) addWaiterLocked(table *memtable.Table, index Index, seq uint64) *waiter {
	w, _ := l.e.waiters.Get().(*waiter)
	if w == nil {
		w = &waiter{done: make(chan error, 1)}
	}
	w.table, w.index, w.seq = table, index, seq
	l.waiters = append(l.waiters, w)
	return w
}

// await blocks until the waiter is answered or ctx ends.
func (l *Log) await(ctx context.Context, w *waiter) error {
	var err error
	if ctx.Done() == nil {
		err = <-w.done
	} else {
		select {
		case err = <-w.done:
		case <-ctx.Done():
			if l.removeWaiter(w) {
				err = fmt.Errorf("engine: log %s: waiting for durability: %w", l.uid, context.Cause(ctx))
			} else {
				err = <-w.done
			}
		}
	}
	w.table = nil
	l.e.waiters.Put(w)
	return err
}

// removeWaiter takes the waiter back and reports whether nobody had answered it yet.
func (l *Log) removeWaiter(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiters, w)
	if i < 0 {
		return false
	}
	l.waiters = slices.Delete(l.waiters, i, i+1)
	return true
}

// answerLocked wakes the waiters for which answered says so, with the error it returns.
func (l *Log) answerLocked(answered func(*waiter) (bool, error)) {
	kept := l.waiters[:0]
	for _, w := range l.waiters {
		if ok, err := answered(w); ok {
			w.done <- err
		} else {
			kept = append(kept, w)
		}
	}
	clear(l.waiters[len(kept):])
	l.waiters = kept
}

func (l *Log) failWaitersLocked(err error, which func(*waiter) bool) {
	if len(l.waiters) == 0 {
		return
	}
	l.answerLocked(func(w *waiter) (bool, error) {
		return which(w), fmt.Errorf("%w: log %s", err, l.uid)
	})
}

// failAll answers everybody who waits on the log.
func (l *Log) failAll(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failWaitersLocked(err, func(*waiter) bool { return true })
}

// AppendSync is Append, and then waits until the entries are durable or ctx ends. When ctx
// ends first its cause is returned and the entries may become durable later. Further errors:
// ErrTruncated when they were cut before they were durable, ErrFailed, ErrClosed.
func (l *Log) AppendSync(ctx context.Context, prev EntryID, entries []Entry) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("engine: log %s: append: %w", l.uid, context.Cause(ctx))
	}
	if err := l.checkEntries(prev, entries); err != nil {
		return err
	}
	var w *waiter
	err := l.after(prev, func() error {
		table, err := l.appendLocked(prev, entries)
		if table != nil {
			w = l.addWaiterLocked(table, l.last.Index, 0)
		}
		return err
	})
	if w == nil {
		return err
	}
	return l.await(ctx, w)
}

// SetHardStateSync is SetHardState, and then waits until it is durable or ctx ends. When ctx
// ends first its cause is returned and the state may become durable later.
func (l *Log) SetHardStateSync(ctx context.Context, h HardState) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("engine: log %s: hard state: %w", l.uid, context.Cause(ctx))
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
