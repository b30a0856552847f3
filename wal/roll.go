package wal

import (
	"context"
	"fmt"

	"github.com/rawl-db/rawl/internal/sched"
)

// Roll asks for the current file to be sealed although it is not full, so that its entries
// can be flushed. It does not wait; any goroutine. A file without records is not sealed.
func (w *WAL) Roll() { _ = w.askRoll(nil) }

// RollSync is Roll, and waits until it is done or ctx ends. It returns the number up to which
// all files are sealed. Errors: ctx's cause, ErrClosed, that of Err.
func (w *WAL) RollSync(ctx context.Context) (upTo uint64, err error) {
	done := make(chan uint64, 1)
	if err := w.askRoll(done); err != nil {
		return 0, err
	}
	upTo, end := sched.Wait(w.o.World, done, ctx.Done(), nil)
	switch end {
	case sched.Closed:
		return 0, w.refusal()
	case sched.Stopped:
		return 0, fmt.Errorf("wal: waiting for a file to be sealed: %w", context.Cause(ctx))
	}
	return upTo, nil
}

// askRoll looks at the state under the lock under which refuseRolls answers, so that nobody is
// left waiting.
func (w *WAL) askRoll(done chan uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.state.Load(); s != 0 && s != uint32(ReadOnly) {
		return w.refusal()
	}
	if done != nil {
		w.mu.rolls = append(w.mu.rolls, done)
	}
	w.rollAsked.Store(true)
	w.Wake()
	return nil
}

// rollAsIsAsked seals the current file if Roll was called and a spare is there to go on with.
// An open chain of fragments is let finish first.
func (w *WAL) rollAsIsAsked() {
	if !w.rollAsked.Load() || len(w.chains) > 0 || w.Health() == Failed {
		return
	}
	if w.cur != nil && w.cur.frames > 0 {
		s, ok := w.pool.take()
		if !ok {
			w.pool.hurryUp()
			return
		}
		w.seal(false)
		w.open(s)
	}
	w.rollAsked.Store(false)
	upTo := ^uint64(0)
	if w.cur != nil {
		upTo = w.cur.number - 1
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, done := range w.mu.rolls {
		done <- upTo
	}
	w.mu.rolls = nil
}

// refuseRolls answers those that wait for a file that will not be sealed any more.
func (w *WAL) refuseRolls() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, done := range w.mu.rolls {
		close(done)
	}
	w.mu.rolls = nil
}
