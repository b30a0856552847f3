package main

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// statePiece is what a state is written in.
const statePiece = 256 << 10

// errEnough ends a state that is not needed any more.
var errEnough = errors.New("enough was written")

// sliceCapturing measures a slice while states of size are written, one after the other.
func (x *contender) sliceCapturing(d time.Duration, size int64) error {
	m, err := newMachine(x.store.e, "machine", size)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { // ends with the slice
		for {
			if _, err := m.capture(engine.KindSnapshot); err != nil {
				ended <- err
				return
			}
		}
	}()
	began := time.Now()
	err = x.slice(x.with, d)
	m.enough.Store(true)
	last := <-ended
	x.captured += m.written.Load()
	x.seconds += time.Since(began).Seconds()
	if !errors.Is(last, engine.ErrSnapshotState) {
		err = errors.Join(err, last)
	}
	return errors.Join(err, x.store.e.Delete(context.Background(), m.log.UID()))
}

// machine has a state of so many bytes, and a log.
type machine struct {
	log     *engine.Log
	size    int64
	piece   []byte
	written atomic.Int64 // of all its states, bytes
	enough  atomic.Bool
	live    engine.Seq // of its next capture
}

func newMachine(e *engine.Engine, uid engine.UID, size int64) (*machine, error) {
	l, err := e.CreateSync(context.Background(), uid)
	if err != nil {
		return nil, err
	}
	return &machine{log: l, size: size, piece: randomPayload(statePiece)}, nil
}

// capture writes a state behind a new entry and waits until it is published.
func (m *machine) capture(kind engine.SnapshotKind) (engine.Snapshot, error) {
	prev := m.log.Last()
	next := []engine.Entry{{Index: prev.Index + 1, Term: benchTerm, Data: m.piece[:64]}}
	if err := m.log.AppendSync(context.Background(), prev, next); err != nil {
		return engine.Snapshot{}, err
	}
	type outcome struct {
		s   engine.Snapshot
		err error
	}
	done := make(chan outcome, 1)
	err := m.log.Capture(engine.Capture{Kind: kind, At: next[0].ID(), Live: m.live, State: m.state,
		Done: func(s engine.Snapshot, err error) { done <- outcome{s, err} }})
	if err != nil {
		return engine.Snapshot{}, err
	}
	o := <-done
	return o.s, o.err
}

func (m *machine) state(w io.Writer) error {
	for left := m.size; left > 0; {
		if m.enough.Load() {
			return errEnough
		}
		n, err := w.Write(m.piece[:min(left, statePiece)])
		left -= int64(n)
		m.written.Add(int64(n))
		if err != nil {
			return err
		}
	}
	return nil
}
