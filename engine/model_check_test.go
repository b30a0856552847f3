package engine_test

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// observe reads all of a log by every way there is.
func observe(e *engine.Engine, l *engine.Log, largest int) (state, error) {
	s := state{exists: true, hard: l.HardState(), applied: l.Applied()}
	first, last := l.First(), l.Last()
	var err error
	s.released.Index = first - 1
	if s.released.Term, err = l.Term(first - 1); err != nil {
		return s, fmt.Errorf("term of the last released entry: %w", err)
	}
	next := first
	for e, err := range l.ReadRange(first, last.Index) {
		if err != nil {
			return s, fmt.Errorf("range [%d,%d] at %d: %w", first, last.Index, next, err)
		}
		life, err := checkEntry(l.UID(), e, largest)
		if err != nil {
			return s, err
		}
		if e.Index != next || s.life > 0 && life > 0 && life != s.life {
			return s, fmt.Errorf("entry %v of life %d at %d, others are of %d", e.ID(), life, next, s.life)
		}
		s.life = max(s.life, life)
		s.terms = append(s.terms, e.Term)
		next++
		if one, err := l.Read(e.Index); err != nil || one.ID() != e.ID() || one.Type != e.Type || string(one.Data) != string(e.Data) {
			return s, fmt.Errorf("read of %v: %v, %w", e.ID(), one.ID(), err)
		}
		if term, err := l.Term(e.Index); err != nil || term != e.Term {
			return s, fmt.Errorf("term of %v: %d, %w", e.ID(), term, err)
		}
	}
	if s.last() != last {
		return s, fmt.Errorf("entries end with %v, the log with %v", s.last(), last)
	}
	if err := observeSnapshots(l, &s, largest); err != nil {
		return s, err
	}
	open := func(from engine.From) (*engine.Reader, error) {
		return e.OpenReader(l.UID(), from, engine.ReaderOptions{})
	}
	if err := observeSlots(l, open, &s, largest); err != nil {
		return s, err
	}
	return s, checkEdges(l, first, last.Index)
}

func checkEdges(l *engine.Log, first, last engine.Index) error {
	want := engine.ErrCompacted
	if first == 1 {
		want = engine.ErrOutOfRange
	}
	if _, err := l.Read(first - 1); !errors.Is(err, want) {
		live, failed := isLive(l, first-1)
		if failed != nil || !live {
			return fmt.Errorf("read before the first entry: %w, want %v", errors.Join(err, failed), want)
		}
	}
	if _, err := l.Read(last + 1); !errors.Is(err, engine.ErrOutOfRange) {
		return fmt.Errorf("read behind the last entry: %w", err)
	}
	if _, err := l.Term(last + 1); !errors.Is(err, engine.ErrOutOfRange) {
		return fmt.Errorf("term behind the last entry: %w", err)
	}
	for _, err := range l.ReadRange(last+1, last+1) {
		if !errors.Is(err, engine.ErrOutOfRange) {
			return fmt.Errorf("range behind the last entry: %w", err)
		}
	}
	return nil
}

// observe is the function of that name, twice when a fault hits the first time.
func (w *world) observe(l *engine.Log) (state, error) {
	s, err := observe(w.e, l, w.largest())
	if err != nil && w.faulty && tolerable(err) {
		s, err = observe(w.e, l, w.largest())
	}
	return s, err
}

// look compares a log that is in use with the model.
func (w *world) look(l *engine.Log, h *history) {
	w.t.Helper()
	if h.installing(l) {
		return // the snapshot is listed when it is durable
	}
	s, err := w.observe(l)
	if err != nil && w.sticky && tolerable(err) {
		return
	}
	_, durable := l.Controls()
	if want := h.visible(h.now.life, durable); err != nil || !want.equal(&s) {
		w.fatalf("log %s: %v, is\n %v, want\n %v\n%s\n%s", h.uid, err, s, want, l.Dump(), h.tail())
	}
}

// lookAtAll compares everything with the model.
func (w *world) lookAtAll() {
	w.t.Helper()
	for _, uid := range w.uids {
		h := w.hist[uid]
		l, err := w.e.Log(uid)
		switch {
		case err == nil && h.now.exists:
			w.look(l, h)
		case h.now.exists || !errors.Is(err, engine.ErrNotFound):
			w.fatalf("log %s: %v, want %v", uid, err, h.now)
		}
	}
}

// recovered checks what an open found: acknowledged ⊆ recovered ⊆ appended, in order (I16). What
// was found becomes the model's truth, as an open acknowledges it. It returns false when a fault
// that does not end kept it from looking.
func (w *world) recovered() bool {
	w.t.Helper()
	if w.full {
		w.step("commit")
		w.step("monitor")
	}
	stats := w.e.Stats()
	if r := stats.Recovery; r.Damage > 0 || len(r.Quarantined) > 0 {
		w.fatalf("recovery: %+v", r)
	}
	durable := !w.full || stats.Health == engine.HealthOK
	for _, uid := range w.uids {
		h := w.hist[uid]
		var got state
		l, err := w.e.Log(uid)
		if err == nil {
			if got, err = w.observe(l); err != nil && w.sticky && tolerable(err) {
				return false
			} else if err != nil {
				w.fatalf("log %s: %v", uid, err)
			}
			if durable && l.LastWritten() != l.Last() {
				w.fatalf("log %s: last written %v, last %v after open", uid, l.LastWritten(), l.Last())
			}
		} else if !errors.Is(err, engine.ErrNotFound) {
			w.fatalf("log %s: %v", uid, err)
		}
		n, ok := h.match(&got)
		if !ok {
			w.fatalf("log %s recovered as\n %v\nacknowledged %d of %d records, all of them are\n %v\n%s",
				uid, got, h.acked, len(h.recs), h.now, h.tail())
		}
		h.cut(n, durable)
		if l != nil {
			w.logs[l].life = h.now.life
		}
	}
	return true
}

// tail lists the records around the end of what was acknowledged.
func (h *history) tail() (s string) {
	for i := max(0, h.acked-12); i < min(len(h.recs), h.acked+12); i++ {
		s += fmt.Sprintf("  %d %v\n", i, h.recs[i])
	}
	return s
}

// check opens an image, checks it, opens it once more after another cut, which must change
// nothing, and goes on working with it.
func (w *world) check(more int) {
	w.t.Helper()
	if w.open() != nil {
		return
	}
	w.recovered()
	again := w.fork(memfs.CrashOptions{Unsynced: memfs.Lost}, "again")
	if w.rng.IntN(2) == 0 {
		w.close()
		again = w.fork(memfs.CrashOptions{Unsynced: memfs.Kept}, "closed")
	}
	again.open()
	again.recovered()
	if more > 0 {
		again.work(more)
		again.settle(2000)
		again.lookAtAll()
		again.close()
	}
}
