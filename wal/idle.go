package wal

import (
	"errors"
	"fmt"
)

// Idle writes one frame with the lazy control records that wait, or one without records
// when no watermark covers the last frame yet. It does nothing when neither is so, when there
// is work for Step, or when the frame would use the reserve. The error is that of Err
// after a write that failed. Owner goroutine.
func (w *WAL) Idle() error {
	if w.staged || w.Health() != OK || w.ended() {
		return nil
	}
	w.collect()
	if w.run.len() > 0 || w.lazyRun.len() == 0 && !w.uncovered || !w.ensureFile() {
		return nil
	}
	w.enc.begin(w.buf, w.cur)
	if err := w.fill(); err != nil {
		w.setHealth(Failed, err)
		return w.Err()
	}
	if len(w.items) == 0 && (!w.uncovered || w.enc.end(0) > w.limit(w.round.reserve)) {
		return nil
	}
	w.frame = w.enc.finish(w.next)
	w.commit()
	return w.Err()
}

// idle reports whether Idle has something to do; it may be wrong about lazy records that
// were queued a moment ago.
func (w *WAL) idle() bool {
	_, lazy := w.listed()
	return w.uncovered || lazy || w.lazyRun.len() > 0
}

// CommitAll commits all that is queued as one batch, whatever its size, with entries in one
// piece; nothing queued is nothing to commit. It serves recovery: what was found above the
// watermark goes through it before anything else. A spare must be ready (Pool.Fill) or a
// file in use. An error means that nothing of it is acknowledged: ErrNoSpare (Step
// will commit it), ErrTooLarge (the WAL has failed), or that of Err. Owner goroutine.
func (w *WAL) CommitAll() error {
	if w.ended() {
		return w.refusal()
	}
	w.collect()
	w.stageAll(&w.run)
	w.stageAll(&w.lazyRun)
	if len(w.items) == 0 {
		return nil
	}
	clear(w.chains) // their entries are in the batch, whole
	w.chains, w.chainNeed = w.chains[:0], 0
	w.staged = true
	w.retry.Store(true)
	if w.cur != nil && w.cur.frames > 0 {
		if s, ok := w.pool.take(); ok {
			w.seal(false)
			w.open(s)
		}
	}
	err := w.attempt()
	if err != nil && err != ErrNoSpare && !isQueueError(err) && !errors.Is(err, ErrTooLarge) {
		err = w.attempt()
	}
	if err != nil && err != ErrNoSpare {
		w.retry.Store(false)
		w.degrade(err)
		return w.Err()
	}
	return err
}

// stageAll moves the queues of all logs into the staged batch.
func (w *WAL) stageAll(logs *fifo[*Log]) {
	for logs.len() > 0 {
		l := logs.pop()
		l.inRun, l.inLazy = l.inRun && logs != &w.run, l.inLazy && logs != &w.lazyRun
		l.fragment = 0
		for l.pop() {
			w.items = append(w.items, item{log: l, op: l.cur})
			w.countTaken(&l.cur)
			l.finish()
		}
	}
}

func (w *WAL) countTaken(o *op) {
	if o.src == nil {
		if !o.lazy {
			w.count.takenEntries.Add(1)
		}
		return
	}
	w.count.takenEntries.Add(uint64(o.last-o.first) + 1)
	for i := o.first; i <= o.last; i++ {
		x, _, _ := o.src.Peek(i) // a missing one fails the encoding
		w.count.takenBytes.Add(uint64(len(x.Data)))
	}
}

// Close refuses what is queued from now on, commits what was queued before, covers it by a
// watermark, and releases all files and memory; the queue is not closed. The goroutines of
// Run and Pool.Run must have ended. The error says that something queued could not be made
// durable. Owner goroutine.
func (w *WAL) Close() error {
	w.refuse()
	for w.Step() {
	}
	w.settle()
	w.refuseRolls()
	var err error
	if e, _ := w.pending(); e > 0 || w.staged {
		err = fmt.Errorf("wal: closed with %d records unwritten: %w", e, errors.Join(ErrNoSpare, w.pool.failure()))
	}
	if w.Err() != nil {
		err = w.Err()
	}
	if w.cur != nil {
		w.pool.retire(w.cur.file, w.cur.number, false)
		w.cur = nil
	}
	w.pool.close()
	for _, free := range w.frees {
		free()
	}
	w.frees, w.buf, w.zeros = nil, nil, nil
	return err
}

func (w *WAL) refuse() { w.state.Store(w.state.Load() | stateClosed) }

// settle writes the idle frames that are due: one for lazy records, one to cover it.
func (w *WAL) settle() {
	for range 2 {
		if w.idle() && w.Idle() != nil {
			return
		}
	}
}
