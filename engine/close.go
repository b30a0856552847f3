package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/sched"
)

// Flush moves everything that is durable now out of the write-ahead log into segments and the
// manifest, and waits for it or for the end of ctx. Normal operation needs no call of it: files
// are flushed when they are full. Errors: ErrFailed, ErrClosed, ErrReadOnly, ctx's cause.
func (e *Engine) Flush(ctx context.Context) error {
	if err := errors.Join(e.usable(), e.writable()); err != nil {
		return err
	}
	sealed, err := e.wal.RollSync(ctx)
	if err != nil {
		return fmt.Errorf("engine: flush: %w", e.writeError(err))
	}
	err, end := sched.Wait(e.world, e.flusher.await(sealed), ctx.Done(), nil)
	if end != sched.Stopped {
		return err
	}
	if err := e.flusher.failing(); err != nil {
		return fmt.Errorf("engine: flush: %w: %w", context.Cause(ctx), err)
	}
	return fmt.Errorf("engine: flush: %w", context.Cause(ctx))
}

// Close makes everything that was appended durable, stops the engine's goroutines and releases
// the directory. Calls that come later return ErrClosed. When the device does not answer
// before ctx ends, Close returns ErrStalled and the directory stays locked: nothing is pulled
// from under a running operation; Close may be called again. What was sealed and not flushed is
// flushed after the next Open.
func (e *Engine) Close(ctx context.Context) error {
	e.ending.Lock()
	defer e.ending.Unlock()
	if e.state.Load() == stateClosed {
		return ErrClosed
	}
	e.state.Store(stateClosing)
	if err := e.held.wait(ctx, e.world); err != nil {
		return err
	}
	_ = e.snapshots.Close() // it never fails
	e.happenedEverywhere(happenedEnd)
	if err := e.stopLoops(ctx); err != nil {
		return err
	}
	err := e.wal.Close()
	e.state.Store(stateClosed)
	e.failWaiters(ErrClosed)
	return errors.Join(e.writeError(err), e.release())
}

// stopLoops ends the goroutines, the committer last but for those it feeds.
func (e *Engine) stopLoops(ctx context.Context) error {
	if e.loops == nil {
		return nil
	}
	l := e.loops
	for i := range l.snapshots {
		if err := e.waitLoop(ctx, l.snapshots[i].end()); err != nil {
			return err
		}
	}
	for _, each := range []*loop{&l.committer, &l.flusher, &l.pool, &l.monitor} {
		if err := e.waitLoop(ctx, each.end()); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) waitLoop(ctx context.Context, ended <-chan struct{}) error {
	if _, end := sched.Wait(e.world, ended, ctx.Done(), nil); end == sched.Stopped {
		return fmt.Errorf("%w: close: %w", ErrStalled, context.Cause(ctx))
	}
	return nil
}

// release gives back what open took, as far as it came.
func (e *Engine) release() error {
	var errs []error
	if e.executor != nil {
		errs = append(errs, e.executor.Close())
	}
	if e.cache != nil {
		errs = append(errs, e.cache.Close())
	}
	if e.manifest != nil {
		errs = append(errs, e.manifest.Close())
	}
	errs = append(errs, e.device.close())
	if e.flusher != nil {
		errs = append(errs, e.flusher.close())
	}
	if e.lock != nil {
		errs = append(errs, e.lock.Close())
	}
	return errors.Join(errs...)
}
