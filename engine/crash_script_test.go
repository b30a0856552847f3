package engine_test

import (
	"fmt"
	"path"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// script is a run in which each kind of file comes and goes, and what it has promised to readers.
// Installed snapshots have a script of their own.
type script struct {
	*world
	promises                []promise
	compactions, promotions int
	held                    *engine.SnapshotReader // nil when none is
	path                    string                 // of its file
}

// newScript makes an engine with two logs, segments of 16 entries and files that roll often.
func newScript(t testing.TB, seed uint64) *script {
	o := rolls()
	o.CompactionBytesPerSecond = -1
	w := newWorld(t, seed, o)
	w.uids = w.uids[:2]
	return &script{world: w}
}

// run runs the script on an open engine. With faults a phase may come to less than it should.
func (s *script) run() {
	s.t.Helper()
	a, b := s.hist[s.uids[0]], s.hist[s.uids[1]]
	s.create(a)
	s.create(b)
	for range 3 {
		s.grow(a, 30)
		s.grow(b, 12)
		s.flushes()
	}
	s.captures(a, engine.KindCheckpoint, 20, 3)
	s.captures(a, engine.KindSnapshot, 40, 4)
	s.plans(a)
	s.flushes() // the minor compaction
	s.captures(a, engine.KindCheckpoint, 35, 5)
	s.grow(a, 10)
	s.promotes(a)
	s.plans(a)
	s.compacts(a)
	s.rewrites(a, 8)
	s.captures(b, engine.KindSnapshot, 30, 3)
	s.flushes()
	s.compacts(b)
	s.releases(a, 5)
	s.keepsAll()
	s.captures(a, engine.KindSnapshot, 10, 9)
	s.compacts(a)
	s.removes(b)
	s.create(b)
	s.grow(b, 20)
	s.flushes()
	s.captures(b, engine.KindSnapshot, 12, 2)
	s.opens(b)
	s.overtakes(b, func() { s.captureAt(b, engine.KindSnapshot, 20, 3); s.captured(s.step) })
	s.overtakes(b, func() { s.captures(b, engine.KindSnapshot, 24, 3) })
	s.grow(b, 40)
	s.captures(b, engine.KindSnapshot, 20, 3)
	s.flushes() // of entries and the snapshot's record in one file
	for steps := range 5 {
		s.overtakes(b, func() {
			for range steps {
				s.step("flush")
			}
			s.releases(b, engine.Index(len(b.now.terms)-2))
		})
	}
	s.readsStill()
	s.removes(a)
	s.keepsAll()
	s.drop()
	s.flushes()
}

// on runs do on a log that exists.
func (s *script) on(h *history, do func(*engine.Log)) {
	s.t.Helper()
	if l := s.logOf(h); l != nil {
		do(l)
	}
}

// commits makes durable what was asked for.
func (s *script) commits() {
	for i := 0; i < 300 && (s.step("commit") || s.step("pool")); i++ {
	}
	s.step("idle")
}

func (s *script) grow(h *history, n int) {
	s.t.Helper()
	s.on(h, func(l *engine.Log) { s.append(l, h, h.now.last(), n) })
	s.commits()
}

// flushes moves everything to segments, and lets the flusher do what is left for it.
func (s *script) flushes() {
	s.t.Helper()
	_ = s.e.Flush(canceled()) // asks for a roll
	for i := 0; i < 300 && (s.step("commit") || s.step("pool") || s.step("flush")); i++ {
	}
}

// captures captures a log n entries behind its first; each every-th entry below stays live.
func (s *script) captures(h *history, kind engine.SnapshotKind, n, every engine.Index) {
	s.t.Helper()
	s.captureAt(h, kind, n, every)
	s.publishes()
}

// overtakes has a file full of entries sealed, and does something before it is flushed.
func (s *script) overtakes(h *history, do func()) {
	s.t.Helper()
	s.grow(h, 40)
	_ = s.e.Flush(canceled()) // asks for a roll
	s.commits()
	do()
	for i := 0; i < 300 && s.step("flush"); i++ {
	}
	s.commits()
	s.flushes()
}

// opens holds the newest snapshot of a log open.
func (s *script) opens(h *history) {
	s.t.Helper()
	s.on(h, func(l *engine.Log) {
		for _, info := range l.Snapshots() {
			if r, err := l.OpenSnapshot(info); s.did(err) {
				s.held, s.path = r, path.Join(l.Dir(), snapshot.FileName(info.Kind, info.ID))
			}
		}
	})
}

// readsStill reads what opens has opened, whose file is there until it is closed.
func (s *script) readsStill() {
	s.t.Helper()
	if s.held == nil {
		return
	}
	if _, err := s.mem.Stat(s.path); err != nil {
		s.fatalf("a snapshot that is being read is gone: %v", err)
	}
	s.did(s.held.Verify(s.t.Context()))
	s.did(s.held.Close())
}

func (s *script) captureAt(h *history, kind engine.SnapshotKind, n, every engine.Index) {
	s.t.Helper()
	s.on(h, func(l *engine.Log) {
		at := h.now.released.Index + n
		if s.logs[l].pending.id.Index != 0 || at > min(l.LastWritten().Index, h.now.last().Index) {
			return
		}
		r := rec{kind: recSnapshot, id: h.now.at(at)}
		if kind == engine.KindCheckpoint {
			r.kind = recCheckpoint
		}
		for i := range h.now.live {
			if i%2 == 0 {
				r.live.Add(i)
			}
		}
		for i := h.now.released.Index + 1; i <= at; i += every {
			r.live.Add(i)
		}
		s.beginCapture(l, h, kind, r)
	})
}

// publishes runs the captures that wait, and makes their records durable.
func (s *script) publishes() {
	s.captured(s.step)
	s.commits()
	s.step("flush")
}

func (s *script) promotes(h *history) {
	s.t.Helper()
	s.on(h, func(l *engine.Log) {
		for range 20 {
			if s.promote(l, h); s.logs[l].pending.id.Index != 0 {
				s.promotions++
				return
			}
		}
	})
	s.publishes()
}

func (s *script) compacts(h *history) {
	s.t.Helper()
	before := s.e.Stats().Compactions
	s.on(h, func(l *engine.Log) { _ = l.Compact(canceled()) }) // asks for it
	s.flushes()
	s.compactions += int(s.e.Stats().Compactions - before)
}

// rewrites replaces the last entries of a log.
func (s *script) rewrites(h *history, n int) {
	s.t.Helper()
	s.on(h, func(l *engine.Log) {
		if len(h.now.terms) > n {
			s.append(l, h, h.now.at(h.now.last().Index-engine.Index(n)), n/2)
		}
	})
	s.commits()
}

func (s *script) releases(h *history, n engine.Index) {
	s.t.Helper()
	s.on(h, func(l *engine.Log) {
		if len(h.now.terms) > int(n) && n > 0 {
			s.release(l, h, h.now.at(h.now.released.Index+n))
		}
	})
	s.commits()
}

func (s *script) removes(h *history) {
	s.t.Helper()
	s.on(h, func(l *engine.Log) { s.remove(l, h) })
	s.commits()
	s.flushes()
}

// plans keeps a plan of the whole log.
func (s *script) plans(h *history) {
	s.t.Helper()
	s.on(h, func(l *engine.Log) {
		if p, ok := s.promise(l, h, from(0, h.now.last().Index+1), engine.PlanOptions{}); ok {
			s.promises = append(s.promises, p)
		}
	})
}

func (s *script) keepsAll() {
	s.t.Helper()
	for _, p := range s.promises {
		s.keeps(p)
	}
}

func (s *script) drop() {
	for _, p := range s.promises {
		p.plan.Close()
	}
	s.promises = nil
}

// survives opens an image: what was acknowledged is there, live entries too, plans read what the
// log says, and once everything is at rest no file is left over. Another cut changes nothing.
func (w *world) survives() {
	w.t.Helper()
	w.open()
	w.recovered()
	w.plansAll()
	w.rest()
	w.lookAtAll()
	w.noneUnnamed()
	again := w.fork(memfs.CrashOptions{Unsynced: memfs.Lost}, "again")
	again.open()
	again.recovered()
}

// TestCutScript cuts the power at every operation of the script.
func TestCutScript(t *testing.T) {
	s := newScript(t, *firstSeed)
	cuts, every := 0, slowness
	s.mem.OnOp(func(op memfs.Op) {
		if op.N%every != 0 {
			return
		}
		for mode := range memfs.Random + 1 {
			if *scale == 1 && int(mode) != (op.N/every)%3 {
				continue
			}
			cuts++
			o := memfs.CrashOptions{Unsynced: mode, Seed: uint64(op.N) + *firstSeed}
			s.fork(o, fmt.Sprintf("cut %+v at %d %v", o, op.N, op)).survives()
		}
	})
	s.open()
	s.run()
	s.mem.OnOp(nil)
	s.rest()
	s.lookAtAll()
	s.noneUnnamed()
	if s.compactions < 3 || s.promotions < 1 {
		t.Errorf("%d compactions, %d promotions only", s.compactions, s.promotions)
	}
	s.close()
	t.Logf("%d cuts in %d operations", cuts, s.mem.Ops())
}

// TestScriptFails fails the k-th operation of the script: it heals, and a power cut after it loses
// nothing and leaves nothing over.
func TestScriptFails(t *testing.T) {
	for _, fault := range []errorfs.Fault{errorfs.EIO, errorfs.NoSpace, errorfs.ShortTransfer} {
		t.Run(fault.String(), func(t *testing.T) {
			n, step := 0, stride(14)
			for k := 1 + int(*firstSeed)%step; scriptFails(t, errorfs.Plan{K: k, Fault: fault}); k += step {
				n++
			}
			t.Logf("%d runs", n)
		})
	}
}

// scriptFails reports whether the script came to that operation.
func scriptFails(t *testing.T, p errorfs.Plan) bool {
	t.Helper()
	s := newScript(t, *firstSeed)
	s.what += fmt.Sprintf(", %v of operation %d", p.Fault, p.K)
	fs := errorfs.New(s.mem, p)
	s.fs, s.faulty = fs, true
	err := s.open()
	if err != nil {
		err = s.open()
	}
	if err != nil {
		s.fatalf("does not open although one operation failed only")
	}
	s.run()
	s.rest()
	s.lookAtAll()
	for _, o := range []memfs.CrashOptions{{Unsynced: memfs.Lost}, {Unsynced: memfs.Random, Seed: uint64(p.K)}} {
		s.fork(o, fmt.Sprintf("cut %+v", o)).survives()
	}
	return fs.Tripped()
}
