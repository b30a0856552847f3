package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// stressLog is what a log's owner knows, for readers on other goroutines.
type stressLog struct {
	uid  engine.UID
	term engine.Term // the owner's
	mu   sync.RWMutex
	// changes counts the beginnings and ends of what takes entries away: it is odd meanwhile.
	changes uint64
	now     state
}

type stress struct {
	t       *testing.T
	e       *engine.Engine
	largest int
	logs    []*stressLog
	done    atomic.Bool
	checked atomic.Int64 // reads that were compared with the model
}

// take runs do, which takes entries away, and then update on the model.
func (l *stressLog) take(do func() error, update func(*state)) error {
	l.mu.Lock()
	l.changes++
	l.mu.Unlock()
	err := do()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes++
	if err == nil {
		update(&l.now)
	}
	return err
}

func (l *stressLog) add(es []engine.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range es {
		l.now.terms = append(l.now.terms, es[i].Term)
	}
}

// own is a log's owner.
func (s *stress) own(l *stressLog, rng *rand.Rand, ops int) {
	var h *engine.Log
	for range ops {
		var err error
		switch d := rng.IntN(100); {
		case h == nil:
			err = l.take(func() (err error) {
				h, err = s.e.Create(l.uid)
				return err
			}, func(m *state) { *m = state{exists: true, life: m.life + 1} })
		case d < 70:
			err = s.grow(l, h, rng, l.now.last())
		case d < 78:
			err = s.grow(l, h, rng, l.now.at(s.pick(l, rng)))
		case d < 84:
			to := l.now.at(s.pick(l, rng))
			err = l.take(func() error { return h.TruncateTo(to.Index) }, func(m *state) { m.apply(rec{kind: recTruncate, id: to}) })
		case d < 92:
			to := l.now.at(s.pick(l, rng))
			err = l.take(func() error { return h.Release(to.Index) }, func(m *state) { m.apply(rec{kind: recRelease, id: to}) })
		case d < 97:
			l.now.hard.Term++
			err = h.SetHardStateSync(context.Background(), l.now.hard)
		case d < 98:
			life := l.now.life
			err = l.take(func() error { return s.e.Delete(context.Background(), l.uid) }, func(m *state) { *m = state{life: life} })
			h = nil
		default:
			_ = h.Stats()
		}
		if err != nil && !errors.Is(err, engine.ErrBusy) {
			s.t.Errorf("log %s: %v", l.uid, err)
			return
		}
	}
}

// pick returns an index from the last released one to the last.
func (s *stress) pick(l *stressLog, rng *rand.Rand) engine.Index {
	return l.now.released.Index + engine.Index(rng.IntN(len(l.now.terms)+1))
}

func (s *stress) grow(l *stressLog, h *engine.Log, rng *rand.Rand, prev engine.EntryID) error {
	cuts := prev != l.now.last()
	if cuts || l.term == 0 {
		l.term++
	}
	es := make([]engine.Entry, 1+rng.IntN(8))
	for i := range es {
		es[i] = makeEntry(l.uid, l.now.life, engine.EntryID{Term: l.term, Index: prev.Index + 1 + engine.Index(i)}, s.largest)
	}
	do := func() error {
		if rng.IntN(4) == 0 {
			return h.AppendSync(context.Background(), prev, es)
		}
		return h.Append(prev, es)
	}
	if cuts {
		return l.take(do, func(m *state) {
			m.apply(rec{kind: recTruncate, id: prev})
			for i := range es {
				m.terms = append(m.terms, es[i].Term)
			}
		})
	}
	err := do()
	if err == nil {
		l.add(es)
	}
	return err
}

// read reads a random index by a random way until the owners are done.
func (s *stress) read(rng *rand.Rand) {
	for !s.done.Load() {
		l := s.logs[rng.IntN(len(s.logs))]
		l.mu.RLock()
		before, exists := l.changes, l.now.exists
		i, last := l.now.released.Index, l.now.last().Index
		if n := len(l.now.terms); n > 0 {
			i += 1 + engine.Index(rng.IntN(n))
		}
		want := engine.EntryID{}
		if i > l.now.released.Index {
			want = l.now.at(i)
		}
		l.mu.RUnlock()
		got, err := s.readOne(l, i, last, rng)
		l.mu.RLock()
		still := l.changes == before && before%2 == 0
		l.mu.RUnlock()
		switch {
		case still && exists && want.Index > 0:
			if err != nil || got != want {
				s.t.Errorf("log %s: read %v, %v, want %v", l.uid, got, err, want)
				return
			}
			s.checked.Add(1)
		case err != nil && !errors.Is(err, engine.ErrCompacted) && !errors.Is(err, engine.ErrOutOfRange) &&
			!errors.Is(err, engine.ErrDeleted) && !errors.Is(err, engine.ErrNotFound):
			s.t.Errorf("log %s: read %d: %v", l.uid, i, err)
			return
		}
	}
}

// readOne returns the identity that is found at i; of a range it checks the rest, too.
func (s *stress) readOne(l *stressLog, i, last engine.Index, rng *rand.Rand) (id engine.EntryID, err error) {
	h, err := s.e.Log(l.uid)
	if err != nil {
		return id, err
	}
	switch rng.IntN(5) {
	case 4:
		return s.readPlan(h, i, last, rng)
	case 0:
		term, err := h.Term(i)
		return engine.EntryID{Term: term, Index: i}, err
	case 1:
		next := i
		for e, err := range h.ReadRange(i, last) {
			if err != nil {
				return id, err
			}
			if _, err := checkEntry(l.uid, e, s.largest); err != nil || e.Index != next {
				return id, fmt.Errorf("entry %v at %d: %w", e.ID(), next, err)
			}
			if next++; e.Index == i {
				id = e.ID()
			}
		}
		return id, nil
	default:
		e, err := h.Read(i)
		if err == nil {
			_, err = checkEntry(l.uid, e, s.largest)
		}
		return e.ID(), err
	}
}

// readPlan returns the identity that a plan found at i, and checks that the plan is of one time:
// behind what was released, entries without a gap and with terms that never fall, then nothing.
func (s *stress) readPlan(h *engine.Log, i, last engine.Index, rng *rand.Rand) (id engine.EntryID, err error) {
	p, err := h.PlanRange(i, last, engine.PlanOptions{Depth: 1 + rng.IntN(32)})
	if err != nil {
		return id, err
	}
	if rng.IntN(8) > 0 { // else it is forgotten
		defer p.Close()
	}
	next, term, first := i, engine.Term(0), error(nil)
	beyond := false
	for e, err := range p.Execute(s.t.Context()) {
		if e.Index != next {
			return id, fmt.Errorf("plan yields %v at %d: %w", e.ID(), next, err)
		}
		if next++; e.Index == i {
			id, first = e.ID(), err
		}
		switch {
		case errors.Is(err, engine.ErrOutOfRange):
			beyond = true
			continue
		case errors.Is(err, engine.ErrCompacted) && term == 0:
			continue
		case err != nil || beyond || e.Term < term:
			return id, fmt.Errorf("plan yields %v after term %d, beyond %v: %w", e.ID(), term, beyond, errors.Join(err, errors.New("not of one time")))
		}
		term = e.Term
		if _, err := checkEntry(h.UID(), e, s.largest); err != nil {
			return id, err
		}
	}
	return id, first
}

// TestConcurrentUse runs owners, readers and flushes at once. What a reader gets is the right
// entry or a typed error (I7, I15), and after a close everything is there.
func TestConcurrentUse(t *testing.T) {
	const logs, readers = 4, 3
	m := memfs.New(1)
	o := small()
	o.OpenSegments = 4
	s := &stress{t: t, e: openMem(t, m, o), largest: int(o.WALFileBytes / 8)}
	for i := range logs {
		s.logs = append(s.logs, &stressLog{uid: engine.UID(fmt.Sprintf("log-%d", i))})
	}
	var owners, others sync.WaitGroup
	for i, l := range s.logs {
		owners.Go(func() { s.own(l, rand.New(rand.NewPCG(1, uint64(i))), 1500**scale) })
	}
	for i := range readers {
		others.Go(func() { s.read(rand.New(rand.NewPCG(2, uint64(i)))) })
	}
	others.Go(func() {
		for !s.done.Load() {
			if err := s.e.Flush(t.Context()); err != nil {
				t.Error(err)
			}
			_ = s.e.Stats()
		}
	})
	owners.Wait()
	s.done.Store(true)
	others.Wait()
	if s.checked.Load() == 0 {
		t.Error("no read was compared")
	}
	stats := s.e.Stats()
	t.Logf("%d reads compared, %d flushes, %d rolls", s.checked.Load(), stats.Flushes, stats.Rolls)
	closeEngine(t, s.e)
	s.e = openMem(t, m, o)
	defer closeEngine(t, s.e)
	for _, l := range s.logs {
		h, err := s.e.Log(l.uid)
		if !l.now.exists {
			wantErr(t, "log", err, engine.ErrNotFound)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := observe(s.e, h, s.largest); err != nil || !l.now.equal(&got) {
			t.Errorf("log %s: %v, is\n %v, want\n %v", l.uid, err, got, l.now)
		}
	}
}
