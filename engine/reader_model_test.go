package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// readerWorld is a world whose logs are committed and read from outside.
type readerWorld struct {
	*world
	committed map[lifeOf]engine.Index
	truth     map[lifeOf]map[engine.Index]engine.Term // of each life, with what was released
	readers   []*modelReader
	stats     readerCounts
}

// readerCounts say what a run has met.
type readerCounts struct{ delivered, cuts, gaps, diverged, deleted int }

func (c *readerCounts) add(o readerCounts) {
	c.delivered += o.delivered
	c.cuts += o.cuts
	c.gaps += o.gaps
	c.diverged += o.diverged
	c.deleted += o.deleted
}

type lifeOf struct {
	uid  engine.UID
	life int
}

// modelReader is a consumer that remembers what it was given.
type modelReader struct {
	lifeOf
	r    *engine.Reader
	o    engine.ReaderOptions
	from engine.Index                         // of the first entry it wants
	got  map[engine.Index]engine.Term         // delivered and not taken back
	next engine.Index                         // the index that must come
	skip func(i engine.Index, typ uint8) bool // what its filter leaves out
}

func newReaderWorld(t testing.TB, seed uint64) *readerWorld {
	o := engine.Options{WALFileBytes: 64 << 10, SegmentEntries: 40, SegmentBytes: 32 << 10, OpenSegments: 2, MemoryBytes: 16 << 20}
	w := &readerWorld{world: newWorld(t, seed, o), committed: map[lifeOf]engine.Index{}, truth: map[lifeOf]map[engine.Index]engine.Term{}}
	w.uids = w.uids[:2]
	return w
}

// learn takes over what the model of the log says.
func (w *readerWorld) learn(h *history) {
	if !h.now.exists {
		return
	}
	k := lifeOf{h.uid, h.now.life}
	if w.truth[k] == nil {
		w.truth[k] = map[engine.Index]engine.Term{}
	}
	for i := range w.truth[k] {
		if i > h.now.last().Index {
			delete(w.truth[k], i)
		}
	}
	for n, term := range h.now.terms {
		w.truth[k][h.now.released.Index+1+engine.Index(n)] = term
	}
}

// change does something to a log that keeps what is committed.
func (w *readerWorld) change() {
	w.t.Helper()
	uid := w.uids[w.rng.IntN(len(w.uids))]
	h := w.hist[uid]
	defer w.learn(h)
	if !h.now.exists {
		w.create(h)
		return
	}
	k := lifeOf{uid, h.now.life}
	l, err := w.e.Log(uid)
	if err != nil {
		w.fatalf("%v", err)
	}
	s := &h.now
	low := max(w.committed[k], s.released.Index)
	i := low + engine.Index(w.rng.IntN(int(s.last().Index-low)+1))
	switch d := w.rng.IntN(100); {
	case d < 55:
		w.append(l, h, s.last(), 1+w.rng.IntN(12))
	case d < 64:
		w.append(l, h, s.at(i), 1+w.rng.IntN(4))
	case d < 70:
		w.truncate(l, h, s.at(i))
		h.term++ // as no two leaders of one term do: a cursor tells histories apart by their terms
	case d < 86:
		if err := l.SetCommitted(i); err != nil {
			w.fatalf("commit %d: %v", i, err)
		}
		w.committed[k] = max(w.committed[k], i)
		if c := w.committed[k]; c > s.released.Index {
			wantErr(w.t, w.what, l.TruncateTo(c-1), engine.ErrCommitted)
		}
	case d < 88:
		to := s.released.Index + engine.Index(w.rng.IntN(int(low-s.released.Index)+1))
		w.release(l, h, s.at(to))
	case d < 89 && w.rng.IntN(3) == 0:
		w.remove(l, h)
	}
}

// advance lets the engine work.
func (w *readerWorld) advance() {
	w.step([]string{"commit", "pool", "flush", "flush", "idle"}[w.rng.IntN(5)])
	if w.rng.IntN(30) == 0 {
		_ = w.e.Flush(canceled())
	}
}

// attach opens a reader at the log's begin.
func (w *readerWorld) attach(n int) {
	w.t.Helper()
	h := w.hist[w.uids[n%len(w.uids)]]
	if !h.now.exists {
		return
	}
	m := &modelReader{lifeOf: lifeOf{h.uid, h.now.life}}
	m.o = engine.ReaderOptions{Uncommitted: n/2%2 == 1, MaxBatchEntries: 1 + w.rng.IntN(30), MaxBatchBytes: 1 + w.rng.IntN(20_000)}
	m.skip = func(engine.Index, uint8) bool { return false }
	if n%3 == 2 {
		m.skip = func(_ engine.Index, typ uint8) bool { return typ%4 == 1 }
		m.o.Filter = func(i engine.Index, _ engine.Term, typ uint8) bool { return !m.skip(i, typ) }
	}
	s := h.seen(w.logOf(h))
	m.begin(w, engine.FromFirst(), s.released.Index+1)
	w.readers[n] = m
}

func (m *modelReader) begin(w *readerWorld, from engine.From, next engine.Index) {
	w.t.Helper()
	r, err := w.e.OpenReader(m.uid, from, m.o)
	if err != nil {
		w.fatalf("open reader of %s: %v", m.uid, err)
	}
	m.r, m.from, m.next, m.got = r, next, next, map[engine.Index]engine.Term{}
}

// read lets a reader go on, for a while or to the end, with changes between its entries.
func (w *readerWorld) read(n int) {
	w.t.Helper()
	m := w.readers[n]
	if m == nil {
		w.attach(n)
		return
	}
	stop, busy := w.rng.IntN(60), w.rng.IntN(4) == 0
	known := w.committed[m.lifeOf]
	var ended error
	if w.rng.IntN(2) == 0 {
		for b, err := range m.r.Batches(context.Background()) {
			if ended = err; err != nil {
				break
			}
			for _, e := range b.Entries {
				w.deliver(m, e)
			}
			m.next = b.Last.Index + 1
			if stop -= len(b.Entries); stop < 0 {
				return
			}
			if busy {
				w.change()
			}
		}
	} else {
		for e, err := range m.r.Entries(context.Background()) {
			if ended = err; err != nil {
				break
			}
			w.deliver(m, e)
			if stop--; stop < 0 {
				return
			}
			if busy && w.rng.IntN(8) == 0 {
				w.change()
			}
		}
	}
	w.finish(n, m, known, ended)
}

// deliver checks an entry when it comes.
func (w *readerWorld) deliver(m *modelReader, e engine.Entry) {
	w.t.Helper()
	if w.saw != nil {
		w.saw(e, nil)
	}
	if life, err := checkEntry(m.uid, e, w.largest()); err != nil || life > 0 && life != m.life {
		w.fatalf("reader of %v: life %d, %v", m.lifeOf, life, err)
	}
	for ; m.next < e.Index && m.skip(m.next, entryType(engine.EntryID{Term: w.truth[m.lifeOf][m.next], Index: m.next})); m.next++ {
	}
	if e.Index < m.next || e.Index > m.next && !m.o.Uncommitted {
		w.fatalf("reader of %v: entry %v, want %d", m.lifeOf, e.ID(), m.next)
	}
	if term, ok := w.truth[m.lifeOf][e.Index]; !m.o.Uncommitted && (!ok || term != e.Term) {
		w.fatalf("reader of %v: entry %v, the log has term %d", m.lifeOf, e.ID(), term)
	}
	m.got[e.Index], m.next = e.Term, e.Index+1
	w.stats.delivered++
}

// finish checks how an iteration ended.
func (w *readerWorld) finish(n int, m *modelReader, known engine.Index, err error) {
	w.t.Helper()
	h := w.hist[m.uid]
	alive := h.now.exists && h.now.life == m.life
	var gap *engine.GapError
	var cut *engine.TruncatedError
	switch {
	case !alive:
		if !errors.Is(err, engine.ErrDeleted) {
			w.fatalf("reader of %v, which is gone: %v", m.lifeOf, err)
		}
		w.stats.deleted++
		m.r.Close()
		w.readers[n] = nil
	case errors.As(err, &cut):
		w.stats.cuts++
		w.takeBack(m, cut)
	case errors.As(err, &gap):
		w.stats.gaps++
		s := h.seen(w.logOf(h))
		if gap.First != s.released.Index+1 || gap.Want >= gap.First || gap.Want != m.r.Cursor().At.Index+1 {
			w.fatalf("reader of %v: %+v, want first %d", m.lifeOf, gap, s.released.Index+1)
		}
		m.r.Close()
		w.readers[n] = nil
	case err != nil:
		w.fatalf("reader of %v: %v", m.lifeOf, err)
	default:
		w.complete(m, h, known)
	}
}

func (w *readerWorld) takeBack(m *modelReader, cut *engine.TruncatedError) {
	w.t.Helper()
	if !m.o.Uncommitted || cut.From > cut.Delivered.Index || cut.From < m.from {
		w.fatalf("reader of %v: %+v", m.lifeOf, cut)
	}
	for i := range m.got {
		if i >= cut.From {
			delete(m.got, i)
		}
	}
	m.next = cut.From
}

// complete checks a reader that has come to the end: it has all that was known to be committed
// when it began, and nothing that was taken back.
func (w *readerWorld) complete(m *modelReader, h *history, known engine.Index) {
	w.t.Helper()
	at := m.r.Cursor().At
	if at.Index < known {
		w.fatalf("reader of %v ends at %v, committed was %d", m.lifeOf, at, known)
	}
	for i := max(m.from, h.now.released.Index+1); i <= at.Index; i++ {
		id := h.now.at(i)
		term, ok := m.got[i]
		if skipped := m.skip(i, entryType(id)); skipped == ok || ok && term != id.Term {
			w.fatalf("reader of %v at %v has term %d (%v) at %d, the log has %v", m.lifeOf, at, term, ok, i, id)
		}
	}
	m.next = at.Index + 1
}

// restart closes the engine, or cuts its power, and lets readers go on by their cursors.
func (w *readerWorld) restart() {
	w.t.Helper()
	w.restartBy(w.rng.IntN(2) == 0)
}

func (w *readerWorld) restartBy(closing bool) {
	w.t.Helper()
	if closing {
		w.close()
	} else {
		w.world = w.fork(memfs.CrashOptions{Unsynced: memfs.Random, Seed: w.rng.Uint64()}, "crash")
	}
	if w.open() != nil || !w.recovered() {
		w.fatalf("no recovery")
	}
	for _, uid := range w.uids {
		h := w.hist[uid]
		w.learn(h)
		if l, err := w.e.Log(uid); err == nil {
			k := lifeOf{uid, h.now.life}
			w.committed[k] = min(w.committed[k], h.now.last().Index)
			if err := l.SetCommitted(w.committed[k]); err != nil {
				w.fatalf("%v", err)
			}
		}
	}
	for n, m := range w.readers {
		if m != nil {
			w.resume(n, m)
		}
	}
}

// resume opens a reader where its cursor says and checks what comes of it.
func (w *readerWorld) resume(n int, m *modelReader) {
	w.t.Helper()
	c, err := engine.ParseCursor(m.r.Cursor().String())
	if err != nil || c != m.r.Cursor() {
		w.fatalf("cursor %v: %v", m.r.Cursor(), err)
	}
	m.r.Close()
	w.readers[n] = nil
	h := w.hist[m.uid]
	r, err := w.e.OpenReader(m.uid, engine.AtCursor(c), m.o)
	switch s := &h.now; {
	case !s.exists:
		wantErr(w.t, w.what, err, engine.ErrNotFound)
	case s.life != m.life && len(s.terms) > 0 && s.life > 0:
		wantErr(w.t, w.what, err, engine.ErrIncarnation)
	case s.life != m.life:
		if err == nil {
			r.Close()
		}
	case c.At.Index < s.released.Index:
		wantErr(w.t, w.what, err, engine.ErrCompacted)
	case c.At.Term > 0 && (c.At.Index > s.last().Index || s.at(c.At.Index).Term != c.At.Term):
		d := wantAs[*engine.DivergedError](w.t, fmt.Sprintf("%s: cursor %v on %v", w.what, c, s), err)
		for i, term := range m.got {
			if i > d.Common && i > s.released.Index && i <= s.last().Index && s.at(i).Term == term {
				w.fatalf("%v: entry %d of term %d is common", d, i, term)
			}
		}
		w.stats.diverged++
	case len(s.terms) == 0 && errors.Is(err, engine.ErrIncarnation): // an empty log does not tell its life
	case err != nil:
		w.fatalf("cursor %v on %v: %v", c, s, err)
	default:
		m.r, w.readers[n] = r, m
		m.next = c.At.Index + 1
		for i, term := range m.got { // also where an installed snapshot left a cursor without term
			if i >= m.next || i > s.released.Index && (i > s.last().Index || s.at(i).Term != term) {
				w.fatalf("reader of %v stands at %v and was given %d of term %d, the log is %v", m.lifeOf, c.At, i, term, s)
			}
		}
	}
}

// TestReaderModel compares readers of all kinds with a model, under random appends, truncations,
// commits, releases, deletions, flushes, restarts and power cuts.
func TestReaderModel(t *testing.T) {
	var total readerCounts
	for seed := *firstSeed; seed < *firstSeed+uint64(tries(12)); seed++ {
		w := newReaderWorld(t, seed)
		w.readers = make([]*modelReader, 12)
		w.open()
		for range 1500 {
			switch d := w.rng.IntN(100); {
			case d < 45:
				w.change()
			case d < 70:
				w.advance()
			case d < 99:
				w.read(w.rng.IntN(len(w.readers)))
			case w.rng.IntN(4) == 0:
				w.restart()
			}
		}
		for n := range w.readers {
			w.read(n)
		}
		for _, m := range w.readers {
			if m != nil {
				m.r.Close()
			}
		}
		total.add(w.stats)
		w.close()
	}
	if t.Logf("%+v", total); total.delivered == 0 || total.cuts == 0 || total.gaps == 0 || total.deleted == 0 {
		t.Errorf("the model meets too little: %+v", total)
	}
}
