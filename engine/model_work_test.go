package engine_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/engine"
)

// canceled is a context that has ended.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// ending is a context that ends right after it was first looked at: a call with it queues its
// record and does not wait.
type ending struct {
	context.Context
	seen bool
}

func (c *ending) Err() error {
	if !c.seen {
		c.seen = true
		return nil
	}
	return c.Context.Err()
}

// work does n random things.
func (w *world) work(n int) {
	w.t.Helper()
	for range n {
		switch d := w.rng.IntN(100); {
		case d < 30:
			w.step("commit")
		case d < 40:
			w.step("pool")
		case d < 55:
			w.step("flush")
		case d < 57:
			w.step("idle")
		case d < 59:
			w.step("monitor")
		case d < 61:
			_ = w.e.Flush(canceled()) // asks for a roll
		case d < 62:
			if !w.reopen() {
				return
			}
		case d < 65:
			w.captured(w.step)
		default:
			w.act(w.uids[w.rng.IntN(len(w.uids))])
		}
	}
}

// reopen closes and opens the engine. It returns false when a fault prevents that.
func (w *world) reopen() bool {
	w.t.Helper()
	w.close()
	if err := w.open(); err != nil && w.open() != nil {
		return false
	}
	if !w.recovered() {
		w.close()
		return false
	}
	return true
}

// act does something to a log.
func (w *world) act(uid engine.UID) {
	w.t.Helper()
	h := w.hist[uid]
	if !h.now.exists {
		w.create(h)
		return
	}
	l, err := w.e.Log(uid)
	if err != nil {
		w.fatalf("log %s, which is %v: %v", uid, h.now, err)
	}
	s := &h.now
	// Some index from the last released one to the last.
	i := s.released.Index + engine.Index(w.rng.IntN(len(s.terms)+1))
	released := i
	i = max(i, w.logs[l].pending.id.Index, l.Committed(), s.acked()) // what is captured is committed
	switch d := w.rng.IntN(118); {
	case d >= 116:
		_ = l.Compact(canceled()) // asks for it
	case d >= 114:
		w.install(l, h)
	case d >= 104:
		w.slot(l, h)
	case d >= 100 && w.rng.IntN(4) == 0:
		w.promote(l, h)
	case d >= 100:
		w.capture(l, h)
	case d < 60:
		w.append(l, h, s.last(), 1+w.rng.IntN(6))
	case d < 63:
		w.append(l, h, s.last(), 40)
	case d < 69:
		w.append(l, h, s.at(i), 1+w.rng.IntN(4))
	case d < 74:
		w.truncate(l, h, s.at(i))
	case d < 82:
		w.release(l, h, s.at(released))
	case d < 89:
		w.setHard(l, h)
	case d < 95:
		if i > s.applied && w.did(l.SetApplied(i)) {
			w.control(l, h, rec{kind: recApplied, id: engine.EntryID{Index: i}})
		}
	case d < 97:
		w.remove(l, h)
	default:
		w.look(l, h)
	}
}

// control notes a control record that was just queued.
func (w *world) control(l *engine.Log, h *history, r rec) {
	r.life = h.now.life
	r.seq, _ = l.Controls()
	h.add(r)
	if w.logs[l].life == 0 {
		w.logs[l].life = r.life
	}
}

func (w *world) create(h *history) {
	w.t.Helper()
	l, err := w.e.Create(h.uid)
	if !w.did(err) {
		return
	}
	h.lives++
	w.logs[l] = &handle{h: h, life: h.lives}
	seq, _ := l.Controls()
	h.add(rec{kind: recCreate, life: h.lives, seq: seq})
}

func (w *world) append(l *engine.Log, h *history, prev engine.EntryID, n int) {
	w.t.Helper()
	cuts := prev != h.now.last()
	if cuts || w.rng.IntN(10) == 0 {
		h.term++
	}
	h.term = max(h.term, 1)
	es := make([]engine.Entry, n)
	for i := range es {
		es[i] = makeEntry(h.uid, h.now.life, engine.EntryID{Term: h.term, Index: prev.Index + 1 + engine.Index(i)}, w.largest())
	}
	if !w.did(l.Append(prev, es)) {
		if got := l.Last(); got != h.now.last() {
			w.fatalf("log %s ends at %v after a refused append, want %v", h.uid, got, h.now.last())
		}
		return
	}
	if cuts {
		w.control(l, h, rec{kind: recTruncate, id: prev})
	}
	w.logs[l].life = h.now.life
	for i := range es {
		h.add(rec{kind: recEntry, life: h.now.life, id: es[i].ID()})
		for j := range es[i].Data {
			es[i].Data[j] = 0xee // they were copied
		}
	}
}

func (w *world) truncate(l *engine.Log, h *history, to engine.EntryID) {
	w.t.Helper()
	if to != h.now.last() && w.did(l.TruncateTo(to.Index)) {
		w.control(l, h, rec{kind: recTruncate, id: to})
	}
}

func (w *world) release(l *engine.Log, h *history, to engine.EntryID) {
	w.t.Helper()
	if to.Index <= h.now.released.Index {
		return
	}
	if err := l.Release(to.Index); !errors.Is(err, engine.ErrSnapshotRunning) && w.did(err) {
		w.control(l, h, rec{kind: recRelease, id: to})
	}
}

func (w *world) setHard(l *engine.Log, h *history) {
	w.t.Helper()
	s := engine.HardState{Term: h.now.hard.Term + engine.Term(w.rng.IntN(2))}
	if s.Term == h.now.hard.Term && h.now.hard.Vote != "" || s.Term == 0 {
		s.Term++
	}
	if s.Term == h.now.hard.Term || w.rng.IntN(2) == 0 {
		s.Vote = fmt.Sprintf("voter-%d", w.rng.IntN(3))
	}
	if s != h.now.hard && w.did(l.SetHardState(s)) {
		w.control(l, h, rec{kind: recHard, hard: s})
	}
}

func (w *world) remove(l *engine.Log, h *history) {
	w.t.Helper()
	queued, _ := l.Controls()
	err := w.e.Delete(&ending{Context: canceled()}, h.uid)
	if n, _ := l.Controls(); n == queued {
		w.did(err)
		return
	}
	w.control(l, h, rec{kind: recDelete})
}
