package engine_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// scale multiplies how much the crash and fault tests try, firstSeed says with which seed those
// begin that draw or skip.
var (
	scale     = flag.Int("scale", 1, "multiplies the seeds of crash and fault tests")
	firstSeed = flag.Uint64("seed", 0, "where the crash and fault tests begin to draw and to count")
)

// tries scales a number of things to try.
func tries(n int) int { return max(1, n**scale/slowness) }

// stride scales the distance between things to try.
func stride(n int) int { return max(1, n*slowness / *scale) }

// world is an engine whose parts are stepped on the test's goroutine, and the model that its
// acknowledgements and its recoveries are compared with.
type world struct {
	t     testing.TB
	what  string
	mem   *memfs.FS
	fs    vfs.FS // mem, or what makes it fail, or a real disk
	dir   string // of the engine
	o     engine.Options
	e     *engine.Engine
	parts []engine.Part
	rng   *rand.Rand
	uids  []engine.UID
	hist  map[engine.UID]*history
	logs  map[*engine.Log]*handle
	// faulty: calls may fail with the errors of tolerable.
	faulty bool
	// sticky: they may fail again and again.
	sticky bool
	// full: the disk may be full. An open succeeds all the same, and may leave its tail uncommitted.
	full bool
	// saw, when it is not nil, is told of each entry that a plan or an external reader yields.
	saw func(engine.Entry, error)
}

// handle is one life of a log in one opening of the engine.
type handle struct {
	h       *history
	life    int
	pending rec // a capture that runs; its index is 0 when none does
}

func newWorld(t testing.TB, seed uint64, o engine.Options) *world {
	w := &world{
		t: t, what: fmt.Sprintf("seed %d", seed), mem: memfs.New(seed), dir: "/db", o: o,
		rng: rand.New(rand.NewPCG(seed, 77)), hist: map[engine.UID]*history{},
	}
	w.fs = w.mem
	for i := range 5 {
		uid := engine.UID(fmt.Sprintf("log-%d", i))
		w.uids = append(w.uids, uid)
		w.hist[uid] = &history{uid: uid}
	}
	return w
}

// fork is the world on an image of its disk.
func (w *world) fork(o memfs.CrashOptions, what string) *world {
	c := &world{
		t: w.t, what: w.what + ", " + what, mem: w.mem.Crash(o), dir: w.dir, o: w.o, uids: w.uids, saw: w.saw,
		rng: rand.New(rand.NewPCG(o.Seed, 78)), hist: map[engine.UID]*history{}, full: w.full,
	}
	c.fs = c.mem
	for uid, h := range w.hist {
		c.hist[uid] = h.clone()
	}
	return c
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s: %s", w.what, fmt.Sprintf(format, args...))
}

func (w *world) largest() int { return int(w.o.WALFileBytes / 8) }

// open opens the engine; the error is only possible in a world with faults.
func (w *world) open() error {
	w.t.Helper()
	o := w.o
	o.Handler = w
	w.logs = map[*engine.Log]*handle{}
	e, err := engine.OpenParts(w.fs, w.dir, o)
	if err != nil {
		if !w.faulty || w.full || !tolerable(err) {
			w.fatalf("open: %v", err)
		}
		return err
	}
	w.e, w.parts = e, e.Parts()
	for l := range e.Logs() {
		h := w.hist[l.UID()]
		if h == nil {
			w.fatalf("invented log %s", l.UID())
		}
		w.logs[l] = &handle{h: h}
	}
	return nil
}

func (w *world) close() {
	w.t.Helper()
	for i := 0; i < 200 && (w.step("commit") || w.step("pool")); i++ {
	}
	if err := w.e.Close(context.Background()); err != nil && !(w.faulty && tolerable(err)) {
		w.fatalf("close: %v", err)
	}
	w.e = nil
}

// tolerable reports whether a call may fail so on a disk with faults.
func tolerable(err error) bool {
	for _, e := range []error{
		syscall.EIO, syscall.ENOSPC, vfs.ErrShortWrite, io.EOF, io.ErrUnexpectedEOF,
		engine.ErrReadOnly, engine.ErrFailed, engine.ErrBusy, engine.ErrClosed,
		engine.ErrCorrupt, // what a read that stays short looks like
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// did reports whether the call succeeded.
func (w *world) did(err error) bool {
	w.t.Helper()
	if err != nil && !(w.faulty && tolerable(err)) && !errors.Is(err, engine.ErrBusy) {
		w.fatalf("%v", err)
	}
	return err == nil
}

// Written implements engine.Handler: it is where the model learns what was acknowledged.
func (w *world) Written(ev engine.Written) {
	at := w.logs[ev.Log]
	if at == nil && w.full {
		at = w.dying(ev.Log)
	}
	if at == nil {
		w.fatalf("written event of an unknown log %s", ev.Log.UID())
	}
	_, controls := ev.Log.Controls()
	at.h.written(at.life, controls, ev.Last)
	if at.h.now.life != at.life || at.life == 0 {
		return
	}
	s := &at.h.now
	if ev.Last.Index > s.last().Index || ev.Last.Index >= s.released.Index && s.at(ev.Last.Index) != ev.Last {
		w.fatalf("log %s: last written %v, log is %v", at.h.uid, ev.Last, s)
	}
}

// dying is the handle of a log whose deletion an open on a full disk found and has still to commit:
// Logs does not list it. Its life is -1 when the deletion was acknowledged before.
func (w *world) dying(l *engine.Log) *handle {
	h := w.hist[l.UID()]
	at := &handle{h: h, life: -1}
	for _, r := range h.recs[h.acked:] {
		if r.kind == recDelete && at.life < 0 {
			at.life = r.life
		}
	}
	w.logs[l] = at
	return at
}

// Ready implements engine.Handler.
func (w *world) Ready(*engine.Log) {}

// step steps a part by its place in engine.Parts.
func (w *world) step(name string) bool {
	for _, p := range w.parts {
		if p.Name == name {
			more, _ := p.Step()
			return more
		}
	}
	panic("no part " + name)
}

// settle steps everything until nothing is left to do, or for that many rounds.
func (w *world) settle(rounds int) bool {
	for range rounds {
		busy := w.step("commit")
		w.step("idle")
		busy = w.step("pool") || busy
		busy = w.step("flush") || busy
		w.step("monitor")
		w.captured(w.step)
		if health, _ := w.e.Health(); !busy && w.allAcked() && health == engine.HealthOK {
			return true
		}
	}
	return false
}

// unsettled says what keeps a world from settling.
func (w *world) unsettled() string {
	health, cause := w.e.Health()
	stats := w.e.Stats()
	s := fmt.Sprintf("health %v %v, flush %v, %d sealed, parts", health, cause, stats.FlushErr, stats.SealedFiles)
	for _, p := range w.parts {
		more, pause := p.Step()
		s += fmt.Sprintf(" %s %v %v", p.Name, more, pause)
	}
	for _, uid := range w.uids {
		if l, err := w.e.Log(uid); err == nil {
			s += fmt.Sprintf("\nlog %s: %+v %+v %+v", uid, l.Stats(), l.Slots(), l.Snapshots())
		}
		if h := w.hist[uid]; h.acked < len(h.recs) {
			s += fmt.Sprintf("\nlog %s: %d of %d acknowledged\n%s", uid, h.acked, len(h.recs), h.tail())
		}
	}
	return s
}

func (w *world) allAcked() bool {
	for _, h := range w.hist {
		if h.acked < len(h.recs) {
			return false
		}
	}
	return true
}
