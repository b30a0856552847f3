package engine_test

import (
	"errors"
	"iter"

	"github.com/rawl-db/rawl/engine"
)

// promise is a plan of a world's log, and what it must yield whatever becomes of the log (I15).
type promise struct {
	plan *engine.Plan
	uid  engine.UID
	want []planned
}

// promise plans to read those indexes.
func (w *world) promise(l *engine.Log, h *history, indexes iter.Seq[engine.Index], o engine.PlanOptions) (p promise, ok bool) {
	w.t.Helper()
	s := h.seen(l)
	var err error
	if p.plan, err = l.Plan(indexes, o); !w.did(err) {
		return p, false
	}
	p.uid = h.uid
	for i := range indexes {
		p.want = append(p.want, s.planned(i))
	}
	return p, true
}

// seen is what readers of the log are shown now.
func (h *history) seen(l *engine.Log) state {
	_, durable := l.Controls()
	return h.visible(h.now.life, durable)
}

// planned is what a plan must yield for one index.
func (s *state) planned(i engine.Index) planned {
	x := planned{id: engine.EntryID{Index: i}, life: s.life}
	term, live := s.live[i]
	switch {
	case i == 0 || i > s.last().Index:
		x.err = engine.ErrOutOfRange
	case live:
		x.id.Term = term
	case i <= s.released.Index:
		x.err = engine.ErrCompacted
	default:
		x.id = s.at(i)
	}
	return x
}

// keeps executes a plan.
func (w *world) keeps(p promise) {
	w.t.Helper()
	k := 0
	for e, err := range p.plan.Execute(w.t.Context()) {
		if k >= len(p.want) {
			w.fatalf("plan of %s yields %v, %v behind its end", p.uid, e.ID(), err)
		}
		x := p.want[k]
		k++
		if w.saw != nil {
			w.saw(e, err)
		}
		if err != nil && x.err == nil && w.faulty && tolerable(err) {
			continue
		}
		if !errors.Is(err, x.err) || e.ID() != x.id {
			w.fatalf("plan of %s yields %v, %v, want %v, %v", p.uid, e.ID(), err, x.id, x.err)
		}
		if err != nil {
			continue
		}
		if life, err := checkEntry(p.uid, e, w.largest()); err != nil || life > 0 && x.life > 0 && life != x.life {
			w.fatalf("plan of %s yields an entry of life %d, want %d: %v", p.uid, life, x.life, err)
		}
	}
	if k != len(p.want) {
		w.fatalf("plan of %s yields %d of %d", p.uid, k, len(p.want))
	}
}

// from counts indexes up from first to last.
func from(first, last engine.Index) iter.Seq[engine.Index] {
	return func(yield func(engine.Index) bool) {
		for i := first; i <= last && yield(i); i++ {
		}
	}
}

// plansAll plans and reads all that each log has, and what lies around it.
func (w *world) plansAll() {
	w.t.Helper()
	for _, uid := range w.uids {
		h := w.hist[uid]
		l := w.logOf(h)
		if l == nil {
			continue
		}
		if p, ok := w.promise(l, h, from(0, h.now.last().Index+2), engine.PlanOptions{}); ok {
			w.keeps(p)
			p.plan.Close()
		}
	}
}
