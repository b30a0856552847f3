package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// The k-th operation of a workload fails, for each k and fault: nothing is acknowledged
// that is not durable, a file is not touched after its failure, and all that was queued is
// committed in order, under the numbers it would have had.
func TestEveryFailure(t *testing.T) {
	for _, fault := range errorfs.Faults() {
		t.Run(fault.String(), func(t *testing.T) {
			step := 1
			if testing.Short() {
				step = 11 // so that each strategy, which k%4 draws, comes its turn
			}
			for k, tripped := 1, true; tripped; k += step {
				tripped = runFailing(t, k, fault)
				if t.Failed() {
					t.Fatalf("k = %d", k)
				}
			}
		})
	}
}

func runFailing(t *testing.T, k int, fault errorfs.Fault) bool {
	x := newWorld(t, func(o *Options) { o.Strategy = Strategy(k % 4) })
	x.guardAcks()
	x.fs.Arm(errorfs.Plan{K: k, Fault: fault})
	rng := rand.New(rand.NewPCG(7, 7))
	for range 120 {
		l := x.log(string(rune('a' + rng.IntN(4))))
		switch rng.IntN(10) {
		case 0:
			l.control(Control{Kind: KindHardState, Term: 3, Payload: []byte("v")})
		case 1:
			if l.last > 2 {
				l.truncate(l.last - 2)
			}
		case 2:
			x.w.ZeroAhead()
		case 3:
			if err := x.w.Idle(); err != nil && x.w.Health() == OK {
				t.Error(err)
			}
		case 4, 5, 6:
			x.w.Step()
		default:
			if x.w.Health() == OK {
				must(t, l.append(1+rng.IntN(9), rng.IntN(900)))
			}
		}
		x.w.pool.Step()
	}
	for range 200 { // a fault in the pool costs it a few steps
		x.w.Retry()
		x.fill()
		if !x.w.Step() && x.w.run.len() == 0 && !x.w.staged {
			break
		}
	}
	if x.w.Health() != OK {
		t.Errorf("health %v: %v", x.w.Health(), x.health)
	}
	x.checkUntouched()
	x.check()
	x.checkSealed()
	return x.fs.Tripped()
}

// checkUntouched checks that nothing happened to a file of which an operation failed: but for
// reads, closing and removing.
func (x *world) checkUntouched() {
	failed := map[string]bool{}
	for _, s := range x.sealed {
		if s.Failed {
			failed[FileName("wal", s.Number)] = true
		}
	}
	dead := map[string]bool{}
	for _, op := range x.ops {
		f := strings.Fields(op)
		if f[0] == "failed" {
			dead[f[1]] = true
			continue
		}
		if dead[f[1]] && f[0] != "remove" {
			x.t.Errorf("%s after its failure", op)
		}
	}
	for name := range failed {
		if !dead[name] {
			x.t.Errorf("%s was sealed as failed, and did not fail", name)
		}
	}
}

// checkSealed compares what was sealed with what the sources hold.
func (x *world) checkSealed() {
	x.t.Helper()
	var next raftlog.Batch = 1
	for _, s := range x.sealed {
		if s.First != next {
			x.t.Errorf("file %d begins with batch %d, not %d", s.Number, s.First, next)
		}
		next = s.Last + 1
		for _, l := range s.Logs {
			var last raftlog.Index
			for _, sp := range l.Spans {
				if sp.First > sp.Last || sp.First <= last || sp.Prev >= sp.First {
					x.t.Errorf("file %d: log %d: span %+v after %d", s.Number, l.Log.ID(), sp, last)
				}
				last = sp.Last
				for i := sp.First; i <= sp.Last; i++ {
					if _, _, ok := sp.Source.Get(i); !ok {
						x.t.Errorf("file %d: log %d: entry %d is not in its source", s.Number, l.Log.ID(), i)
					}
				}
			}
		}
	}
}

func TestCommitsAgainUnderTheSameNumber(t *testing.T) {
	x := newWorld(t, nil)
	x.fill()
	a := x.log("a")
	must(t, a.append(2, 50))
	x.steps()
	x.fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.SyncKept, Match: func(op errorfs.Op) bool { return op.Queued }})
	must(t, a.append(2, 50))
	x.steps()
	if len(x.sealed) != 1 {
		t.Fatal(x.sealed)
	}
	s := x.sealed[0]
	if s.Number != 1 || s.First != 1 || s.Last != 1 || !s.Failed || len(s.Logs) != 1 || s.Logs[0].Spans[0].Last != 2 {
		t.Errorf("%+v", s)
	}
	one, two := x.frames(1), x.frames(2)
	if len(one) != 2 || len(two) != 1 || one[1].Batch != 2 || two[0].Batch != 2 || two[0].FirstBatch != 2 {
		t.Errorf("%v %v", one, two)
	}
	if x.w.Health() != OK || len(x.health) != 0 {
		t.Error(x.health)
	}
	x.w.pool.Return(1)
	x.fill()
	if _, err := x.mem.Stat(FileName("wal", 1)); err == nil || x.w.Stats().SparesRecycled != 0 {
		t.Error("a failed file is still there, or recycled")
	}
}

func TestFailedIsFinal(t *testing.T) {
	x := newWorld(t, nil)
	x.fill()
	a := x.log("a")
	x.fs.Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.EIO, Match: func(op errorfs.Op) bool { return op.Queued }})
	must(t, a.append(2, 50))
	x.steps()
	x.fs.Heal()
	x.w.Retry()
	x.fill()
	if x.w.Health() != Failed || x.steps() != 0 || len(a.written) != 0 || a.table.durable != 0 {
		t.Error(x.w.Health(), a.written, a.table.durable)
	}
	err := a.append(1, 1)
	if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if _, err := x.w.Control(&a.Log, Control{Kind: KindApplied}); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	if err := x.w.CommitAll(); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	if len(x.health) != 1 || !strings.HasPrefix(x.health[0], "failed") {
		t.Error(x.health)
	}
	if err := x.w.Close(); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
}

// Spares that failed while nobody needed one do not fail the WAL when it needs one, if the device has healed.
func TestFailedSparesAreForgotten(t *testing.T) {
	for _, heals := range []bool{true, false} {
		broken := false
		x := newWorld(t, func(o *Options) {
			o.Register = func(uint64) error {
				if broken {
					return syscall.EIO
				}
				return nil
			}
		})
		must(t, x.w.pool.Fill())
		a := x.log("a")
		must(t, a.append(1, 50))
		x.steps()
		broken = true
		for range 2 * brokenAfter {
			x.fill()
		}
		if x.w.pool.broken() == nil || x.w.Health() != OK {
			t.Fatal(x.w.pool.broken(), x.w.Health())
		}
		broken = !heals
		for x.w.Stats().Starved == 0 { // until the file is full
			must(t, a.append(10, 1000))
			x.steps()
		}
		if x.w.Health() != OK {
			t.Fatalf("heals %v: %v at once: %v", heals, x.w.Health(), x.w.Err())
		}
		x.fill()
		x.steps()
		if want := map[bool]Health{true: OK, false: Failed}[heals]; x.w.Health() != want {
			t.Fatalf("heals %v: %v, want %v: %v", heals, x.w.Health(), want, x.w.Err())
		}
		if heals && a.table.durable != a.last {
			t.Errorf("%d of %d are durable", a.table.durable, a.last)
		}
	}
}

// A full device makes the WAL read only, and it goes on where it was when there is space.
func TestNoSpaceOnCommitHeals(t *testing.T) {
	x := newWorld(t, nil)
	x.fill()
	a := x.log("a")
	full := func(op errorfs.Op) bool { return op.Kind == errorfs.OpWrite && op.Queued }
	x.fs.Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.NoSpace, Match: full})
	must(t, a.append(2, 50))
	x.steps()
	if x.w.Health() != ReadOnly || len(a.written) != 0 {
		t.Fatal(x.w.Health(), a.written)
	}
	if err := a.append(1, 1); !errors.Is(err, ErrReadOnly) || !errors.Is(x.w.Err(), ErrReadOnly) {
		t.Error(err)
	}
	a.control(Control{Kind: KindHardState, Term: 9})
	files := x.w.Stats().Rolls
	for range 5 {
		x.fill()
		x.steps()
	}
	if x.w.Stats().Rolls != files {
		t.Error("attempts without Retry")
	}
	x.w.Retry()
	x.fill()
	x.steps()
	if x.w.Health() != ReadOnly {
		t.Error(x.w.Health())
	}
	x.fs.Heal()
	x.fill()
	x.w.Retry()
	x.steps()
	if x.w.Health() != OK || a.controls != 1 || a.table.durable != 2 {
		t.Error(x.w.Health(), a.controls, a.table.durable, x.health)
	}
	must(t, a.append(2, 50))
	x.steps()
	x.check()
}

// A pool that finds no space starves the committer: entries wait, controls use the reserve.
func TestReserve(t *testing.T) {
	x := newWorld(t, func(o *Options) { o.FileSize = 256 << 10; o.ReserveBytes = 32 << 10 })
	must(t, x.w.pool.Fill())
	x.mem.SetCapacity(300 << 10)
	a, b := x.log("a"), x.log("b")
	refused := false
	for range 100 {
		x.fill()
		if err := a.append(10, 1000); err != nil {
			refused = true
		}
		x.steps()
	}
	if !refused || x.w.Health() != ReadOnly {
		t.Fatal(refused, x.w.Health())
	}
	if room := x.w.cur.room(); room < 32<<10 {
		t.Errorf("entries left %d bytes", room)
	}
	for i := range 5 {
		b.control(Control{Kind: KindHardState, Term: raftlog.Term(i)})
		x.steps()
	}
	if b.controls != 5 {
		t.Errorf("%d controls are durable", b.controls)
	}
	x.mem.SetCapacity(1 << 30)
	x.w.Retry()
	x.fill()
	x.steps()
	if x.w.Health() != OK {
		t.Error(x.w.Health(), x.health)
	}
	must(t, a.append(10, 1000))
	x.steps()
	x.check()
}

// An empty queue does not keep a WAL read only.
func TestHealsWithoutWork(t *testing.T) {
	x := newWorld(t, nil)
	must(t, x.w.pool.Fill())
	x.w.setHealth(ReadOnly, syscall.ENOSPC)
	x.w.Step()
	if x.w.Health() != OK {
		t.Error(x.w.Health())
	}
}

func TestMissingEntryFails(t *testing.T) {
	x := newWorld(t, nil)
	must(t, x.w.pool.Fill())
	l := x.log("a")
	must(t, x.w.Append(&l.Log, l.table, 0, 1, 3, 30))
	x.steps()
	var missing *SourceError
	if !errors.As(x.w.Err(), &missing) || missing.Index != 1 {
		t.Error(x.w.Err())
	}
}

// A power cut at every operation leaves all that was acknowledged before it.
func TestAcknowledgedSurvivesAnyCut(t *testing.T) {
	for n := 1; ; n++ {
		x := newWorld(t, func(o *Options) { o.Strategy = Strategy(n % 4); o.FileSize = MinFileSize })
		var image *memfs.FS
		var acked map[string]int
		var registered []uint64
		x.mem.CrashAt(x.mem.Ops()+n, memfs.CrashOptions{Unsynced: memfs.Unsynced(n % 3), Seed: uint64(n)}, func(fs *memfs.FS) {
			image, acked, registered = fs, x.acked(), slices.Clone(x.registered)
		})
		rng := rand.New(rand.NewPCG(3, 3))
		for range 60 {
			x.random(rng)
		}
		if image == nil {
			return
		}
		x.checkImage(image, registered, acked, fmt.Sprintf("cut at %d", n))
		if t.Failed() {
			return
		}
	}
}

// shortQueue reports a write as shorter than it was asked for, and no error.
type shortQueue struct {
	vfs.Queue
	once bool
}

func (q *shortQueue) Reap(least int, done []*vfs.Op) (int, error) {
	n, err := q.Queue.Reap(least, done)
	if !q.once {
		q.once = true
		done[0].N -= 4096
	}
	return n, err
}

func TestShortWriteWithoutError(t *testing.T) {
	x := newWorld(t, nil)
	x.fill()
	x.w.o.Queue = &shortQueue{Queue: x.w.o.Queue}
	must(t, x.log("a").append(1, 100))
	x.steps()
	if len(x.sealed) != 1 || !x.sealed[0].Failed || x.log("a").table.durable != 1 {
		t.Error(x.sealed)
	}
}

// brokenQueue fails as a whole: what became of the operation is unknown.
type brokenQueue struct{ vfs.Queue }

func (q *brokenQueue) Reap(int, []*vfs.Op) (int, error) { return 0, vfs.ErrClosed }

func TestBrokenQueueIsFinal(t *testing.T) {
	x := newWorld(t, nil)
	x.fill()
	x.w.o.Queue = &brokenQueue{Queue: x.w.o.Queue}
	must(t, x.log("a").append(1, 100))
	x.steps()
	if x.w.Health() != Failed || !errors.Is(x.w.Err(), vfs.ErrClosed) || len(x.log("a").written) != 0 {
		t.Error(x.w.Err())
	}
}
