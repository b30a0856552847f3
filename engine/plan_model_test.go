package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// planWorld is logs that change at random, what each of them holds, and plans made at any moment
// with what they must yield.
type planWorld struct {
	t       *testing.T
	d       *driven
	rng     *rand.Rand
	largest int
	logs    []*planLog
	plans   []heldPlan
	checked int
}

type planLog struct {
	uid  engine.UID
	l    *engine.Log // nil while the log is deleted
	term engine.Term
	now  state
}

type heldPlan struct {
	p    *engine.Plan
	log  *planLog
	want []planned
}

// planned is what one index must yield: an entry of that life, or the error.
type planned struct {
	id   engine.EntryID
	life int
	err  error
}

// TestPlanModel makes plans at random moments and executes them at random later ones: each yields
// what the log held when it was made (I15), whatever became of the log. In the end nothing is held.
func TestPlanModel(t *testing.T) {
	for seed := *firstSeed; seed < *firstSeed+uint64(tries(6)); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { planModel(t, seed, 1500) })
	}
}

func planModel(t *testing.T, seed uint64, ops int) {
	o := small()
	o.OpenSegments = 3
	m := memfs.New(seed)
	w := &planWorld{t: t, d: openDriven(t, m, o), rng: rand.New(rand.NewPCG(seed, 5)), largest: 2000}
	for i := range 3 {
		w.logs = append(w.logs, &planLog{uid: engine.UID(fmt.Sprintf("log-%d", i))})
	}
	for range ops {
		w.step(w.logs[w.rng.IntN(len(w.logs))])
	}
	for len(w.plans) > 0 {
		w.execute(0, true)
	}
	w.d.drain(t, "commit", "pool", "flush")
	if s := w.d.Stats().Plans; s.Live != 0 || s.Reclaimed != 0 || w.checked == 0 {
		t.Fatalf("%+v, %d checked", s, w.checked)
	}
	for _, l := range w.logs {
		if l.l != nil {
			w.remove(l)
		}
	}
	w.d.drain(t, "commit", "pool", "flush")
	if names, err := m.List("/db/logs"); len(names) > 0 {
		t.Fatalf("directories left: %v, %v", names, err)
	}
	closeEngine(t, w.d.Engine)
}

// step does one random thing.
func (w *planWorld) step(l *planLog) {
	if l.l == nil {
		h, err := w.d.Create(l.uid)
		w.must(err)
		l.l, l.now = h, state{exists: true, life: l.now.life + 1}
		return
	}
	pick := func() engine.Index {
		return l.now.released.Index + engine.Index(w.rng.IntN(len(l.now.terms)+1))
	}
	switch n := w.rng.IntN(100); {
	case n < 35:
		w.append(l, l.now.last())
	case n < 42:
		w.append(l, l.now.at(pick()))
	case n < 45:
		to := l.now.at(pick())
		w.must(l.l.TruncateTo(to.Index))
		l.now.apply(rec{kind: recTruncate, id: to})
	case n < 50:
		to := l.now.at(pick())
		w.must(l.l.Release(to.Index))
		l.now.apply(rec{kind: recRelease, id: to})
	case n < 60:
		w.d.step("commit", "pool")
	case n < 68:
		w.d.step("flush")
	case n < 70:
		w.d.flush(w.t)
	case n < 71:
		w.remove(l)
	case n < 88:
		w.plan(l)
	case len(w.plans) > 0:
		w.execute(w.rng.IntN(len(w.plans)), w.rng.IntN(2) == 0)
	}
}

func (w *planWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *planWorld) append(l *planLog, prev engine.EntryID) {
	w.t.Helper()
	if prev != l.now.last() || l.term == 0 {
		l.term++
		l.now.apply(rec{kind: recTruncate, id: prev})
	}
	es := make([]engine.Entry, 1+w.rng.IntN(20))
	for k := range es {
		es[k] = makeEntry(l.uid, l.now.life, engine.EntryID{Term: l.term, Index: prev.Index + 1 + engine.Index(k)}, w.largest)
		l.now.terms = append(l.now.terms, l.term)
	}
	w.must(l.l.Append(prev, es))
}

func (w *planWorld) remove(l *planLog) {
	w.t.Helper()
	returned := make(chan error, 1)
	go func() { returned <- w.d.Delete(w.t.Context(), l.uid) }()
	w.must(w.d.until(w.t, returned))
	if _, err := l.l.PlanRange(1, 2, engine.PlanOptions{}); !errors.Is(err, engine.ErrDeleted) {
		w.t.Fatalf("plan of a deleted log: %v", err)
	}
	l.l, l.now = nil, state{life: l.now.life}
}

func (w *planWorld) plan(l *planLog) {
	w.t.Helper()
	o := engine.PlanOptions{Depth: 1 + w.rng.IntN(40), OmitMissing: w.rng.IntN(4) == 0}
	if w.rng.IntN(2) == 0 {
		o.Advice = engine.PlanSequential
	}
	var indexes []engine.Index
	end := int(l.now.last().Index)
	if w.rng.IntN(3) == 0 {
		for i := w.rng.IntN(end + 1); i <= end+1; i++ {
			indexes = append(indexes, engine.Index(i))
		}
	} else {
		for range w.rng.IntN(40) {
			indexes = append(indexes, engine.Index(w.rng.IntN(end+3)))
		}
	}
	if w.rng.IntN(2) == 0 {
		o.Order = engine.PlanRequested
	}
	p, err := l.l.Plan(slices.Values(indexes), o)
	w.must(err)
	if o.Order == engine.PlanSorted {
		slices.Sort(indexes)
	}
	h := heldPlan{p: p, log: l}
	for _, i := range indexes {
		x := planned{id: engine.EntryID{Index: i}, life: l.now.life}
		switch {
		case i == 0 || i > l.now.last().Index:
			x.err = engine.ErrOutOfRange
		case i <= l.now.released.Index:
			x.err = engine.ErrCompacted
		default:
			x.id = l.now.at(i)
		}
		if x.err == nil || !o.OmitMissing {
			h.want = append(h.want, x)
		}
	}
	w.plans = append(w.plans, h)
}

func (w *planWorld) execute(n int, finish bool) {
	w.t.Helper()
	h := w.plans[n]
	k := 0
	check := func(e engine.Entry, err error) {
		w.t.Helper()
		if k >= len(h.want) {
			w.t.Fatalf("plan of %s yields %v, %v behind its end", h.log.uid, e.ID(), err)
		}
		x := h.want[k]
		if !errors.Is(err, x.err) || e.ID() != x.id {
			w.t.Fatalf("plan of %s yields %v, %v, want %v, %v", h.log.uid, e.ID(), err, x.id, x.err)
		}
		if err == nil {
			life, err := checkEntry(h.log.uid, e, w.largest)
			if err != nil || life > 0 && life != x.life {
				w.t.Fatalf("plan of %s yields an entry of life %d, want %d: %v", h.log.uid, life, x.life, err)
			}
			w.checked++
		}
		k++
	}
	if w.rng.IntN(2) == 0 {
		for e, err := range h.p.Execute(w.t.Context()) {
			check(e, err)
		}
	} else {
		for es, err := range h.p.Batches(w.t.Context()) {
			for _, e := range es {
				check(e, err)
			}
		}
	}
	if k != len(h.want) {
		w.t.Fatalf("plan of %s yields %d of %d", h.log.uid, k, len(h.want))
	}
	if finish {
		h.p.Close()
		w.plans = slices.Delete(w.plans, n, n+1)
	}
}
