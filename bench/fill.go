package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// filled is logs that a command has filled with entries of one size.
type filled struct {
	e       *engine.Engine
	logs    []*engine.Log
	payload []byte
	batch   []engine.Entry
}

func newFilled(e *engine.Engine, logs, size int) (*filled, error) {
	f := &filled{e: e, payload: randomPayload(size)}
	for i := range logs {
		uid := engine.UID(fmt.Sprintf("log-%06d", i))
		l, err := e.Log(uid)
		if errors.Is(err, engine.ErrNotFound) {
			l, err = e.Create(uid)
		}
		if err != nil {
			return nil, err
		}
		f.logs = append(f.logs, l)
	}
	return f, nil
}

// add appends n entries to every log, in pieces of at most 64, taking turns, and waits for
// nothing but room.
func (f *filled) add(ctx context.Context, n int) error {
	for n > 0 {
		k := min(n, 64)
		for _, l := range f.logs {
			if err := f.append(ctx, l, k); err != nil {
				return err
			}
		}
		n -= k
	}
	return nil
}

func (f *filled) append(ctx context.Context, l *engine.Log, k int) error {
	prev := l.Last()
	f.batch = f.batch[:0]
	for i := range k {
		f.batch = append(f.batch, engine.Entry{Index: prev.Index + 1 + engine.Index(i), Term: benchTerm, Data: f.payload})
	}
	for {
		err := l.Append(prev, f.batch)
		if !errors.Is(err, engine.ErrBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// settle waits until everything that was appended is durable.
func (f *filled) settle(ctx context.Context) error {
	for _, l := range f.logs {
		for l.LastWritten() != l.Last() {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Millisecond):
			}
		}
	}
	return nil
}
