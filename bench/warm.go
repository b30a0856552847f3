package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rawl-db/rawl/engine"
)

const (
	warmLimit = 20 * time.Second
	warmRolls = 4 // the default pool of two spares, and the files around it
)

// warm rolls the WAL through its whole pool, waits until the spares are ready again, and for
// rows with flush gives every log its first segment.
func (s *engineStore) warm() error {
	ctx, cancel := context.WithTimeout(context.Background(), warmLimit)
	defer cancel()
	if s.row.Flush {
		if err := s.firstSegments(ctx); err != nil {
			return err
		}
	}
	if err := rollPool(ctx, s.e, s.row.WALFile); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	return settle(ctx, s.e)
}

// rollPool rolls an engine's WAL through its whole pool; walFile is the size of its files, 0 the default.
func rollPool(ctx context.Context, e *engine.Engine, walFile int64) error {
	const uid = "warm-up"
	l, err := e.Create(uid)
	if err != nil {
		return err
	}
	limit := int(walFile / 8)
	if limit == 0 {
		limit = 1 << 20
	}
	payload := make([]byte, min(192<<10, limit))
	var end engine.EntryID
	for begin := e.Stats().Rolls; e.Stats().Rolls < begin+warmRolls && ctx.Err() == nil; {
		batch := make([]engine.Entry, 4)
		for i := range batch {
			batch[i] = engine.Entry{Index: end.Index + 1 + engine.Index(i), Term: benchTerm, Data: payload}
		}
		err := l.AppendSync(ctx, end, batch)
		if errors.Is(err, engine.ErrBusy) {
			continue
		}
		if err != nil {
			return err
		}
		end = batch[len(batch)-1].ID()
		if err := l.Release(end.Index); err != nil {
			return err
		}
	}
	return e.Delete(context.WithoutCancel(ctx), uid)
}

// firstSegments appends one entry to every log and flushes.
func (s *engineStore) firstSegments(ctx context.Context) error {
	payload := make([]byte, s.row.Size)
	for i, l := range s.logs {
		prev := l.Last()
		e := []engine.Entry{{Index: prev.Index + 1, Term: benchTerm, Data: payload}}
		err := l.Append(prev, e)
		if i == len(s.logs)-1 && err == nil {
			err = s.e.Flush(ctx)
		}
		if err != nil {
			return fmt.Errorf("first segments: %w", err)
		}
	}
	return nil
}

// settle waits until no file waits to be flushed and the spares are ready.
func settle(ctx context.Context, e *engine.Engine) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		st := e.Stats()
		if st.SealedFiles == 0 && st.SparesReady >= 2 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil // a slow disk is measured as it is
		}
	}
}
