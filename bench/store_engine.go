package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// benchTerm is the term of every entry that is measured.
const benchTerm = 1

// engineStore drives an engine.
type engineStore struct {
	e         *engine.Engine
	row       row
	logs      []*engine.Log
	rolled    atomic.Uint64
	busy      atomic.Uint64
	holds     []atomic.Uint64             // of log i: what is above is not released, a reader wants it
	delivered atomic.Uint64               // entries that readers got
	onFailure atomic.Pointer[func(error)] // told when the engine fails
}

func openEngineStore(r row) (*engineStore, error) {
	s := &engineStore{row: r}
	o, err := r.options()
	if err != nil {
		return nil, err
	}
	o.OnEvent = s.event
	if s.e, err = engine.Open(r.Dir, o); err != nil {
		return nil, err
	}
	if err := s.openLogs(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *engineStore) event(ev engine.Event) {
	switch fail := s.onFailure.Load(); {
	case ev.Kind == engine.EventRolled:
		s.rolled.Add(1)
	case ev.Kind == engine.EventHealth && ev.Health == engine.HealthFailed && fail != nil:
		(*fail)(fmt.Errorf("engine failed: %w", ev.Err))
	}
}

// openLogs takes the logs that an earlier run left and makes the others.
func (s *engineStore) openLogs() error {
	s.holds = make([]atomic.Uint64, s.row.Logs)
	for i := range s.row.Logs {
		s.holds[i].Store(math.MaxUint64)
		uid := engine.UID(fmt.Sprintf("log-%06d", i))
		l, err := s.e.Log(uid)
		if errors.Is(err, engine.ErrNotFound) {
			l, err = s.e.Create(uid)
		}
		if err != nil {
			return err
		}
		s.logs = append(s.logs, l)
	}
	return nil
}

func (s *engineStore) rolls() uint64 { return s.rolled.Load() }

func (s *engineStore) counters() counters {
	st := s.e.Stats()
	return counters{syncs: st.Syncs, batches: st.Batches, walBytes: st.BatchBytes.Sum, segmentBytes: st.SegmentBytes,
		busy: s.busy.Load(), rolls: st.Rolls, unprepared: st.UnpreparedRolls, delivered: s.delivered.Load()}
}

func (s *engineStore) close() error { return s.e.Close(context.Background()) }

// backend returns the backend in use and why.
func (s *engineStore) backend() engine.BackendChoice { return s.e.Stats().Backend }

func (s *engineStore) stream(i int, written func(engine.Index)) (stream, error) {
	l := s.logs[i]
	t := &engineStream{store: s, log: l, end: l.Last(), written: written, hold: &s.holds[i], ready: make(chan struct{}, 1)}
	if written != nil {
		l.SetHandler(t)
	}
	return t, nil
}

// engineStream is one log. It is its own handler.
type engineStream struct {
	store   *engineStore
	log     *engine.Log
	end     engine.EntryID // owned by the user
	written func(engine.Index)
	hold    *atomic.Uint64
	ready   chan struct{} // capacity 1
}

func (t *engineStream) last() engine.Index { return t.end.Index }

// Written implements engine.Handler.
func (t *engineStream) Written(w engine.Written) {
	if t.written != nil {
		t.written(w.Last.Index)
	}
}

// Ready implements engine.Handler.
func (t *engineStream) Ready(*engine.Log) {
	select {
	case t.ready <- struct{}{}:
	default:
	}
}

func (t *engineStream) append(entries []engine.Entry) error {
	err := t.log.Append(t.end, entries)
	for errors.Is(err, engine.ErrBusy) {
		t.awaitReady()
		err = t.log.Append(t.end, entries)
	}
	if err == nil {
		t.end = entries[len(entries)-1].ID()
	}
	return err
}

func (t *engineStream) appendSync(entries []engine.Entry) error {
	err := t.log.AppendSync(context.Background(), t.end, entries)
	for errors.Is(err, engine.ErrBusy) {
		t.awaitReady()
		err = t.log.AppendSync(context.Background(), t.end, entries)
	}
	if err == nil {
		t.end = entries[len(entries)-1].ID()
	}
	return err
}

// awaitReady waits for room after ErrBusy. The time limit covers the event that came before
// the handler was set.
func (t *engineStream) awaitReady() {
	t.store.busy.Add(1)
	t.log.SetHandler(t)
	limit := time.NewTimer(10 * time.Millisecond)
	defer limit.Stop()
	select {
	case <-t.ready:
	case <-limit.C:
	}
}

func (t *engineStream) release(upTo engine.Index) error {
	return t.log.Release(min(upTo, engine.Index(t.hold.Load())))
}
