package engine_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// faultSteps is the length of the workload of TestKthOperationFails.
const faultSteps = 220

// rolls makes files roll within a short workload.
func rolls() engine.Options {
	o := small()
	o.WALFileEntries = 60
	return o
}

// faultyRun runs the workload with one operation failing and returns whether it came to that.
// Then the engine must heal by itself, and after a power cut all that was acknowledged is there.
func faultyRun(t *testing.T, seed uint64, p errorfs.Plan, cuts int) bool {
	t.Helper()
	w := newWorld(t, seed, rolls())
	w.what += fmt.Sprintf(", %v of operation %d", p.Fault, p.K)
	fs := errorfs.New(w.mem, p)
	w.fs, w.faulty = fs, true
	if cuts > 0 {
		cutAfter(w, fs, cuts)
	}
	if err := w.open(); err != nil && w.open() != nil {
		w.fatalf("does not open although one operation failed only")
	}
	w.work(faultSteps)
	w.mem.OnOp(nil)
	if !w.settle(3000) {
		w.fatalf("does not settle: %s", w.unsettled())
	}
	w.lookAtAll()
	w.fork(memfs.CrashOptions{Unsynced: memfs.Lost}, "lost").check(10)
	w.fork(memfs.CrashOptions{Unsynced: memfs.Random, Seed: seed}, "torn").check(0)
	return fs.Tripped()
}

// cutAfter cuts the power at some of the operations that follow the failure, n times.
func cutAfter(w *world, fs *errorfs.FS, n int) {
	rng := rand.New(rand.NewPCG(w.rng.Uint64(), 6))
	w.mem.OnOp(func(op memfs.Op) {
		if n == 0 || !fs.Tripped() || rng.IntN(4) > 0 {
			return
		}
		n--
		o := memfs.CrashOptions{Unsynced: memfs.Unsynced(rng.IntN(3)), Seed: rng.Uint64()}
		w.fork(o, fmt.Sprintf("cut %+v at %d %v", o, op.N, op)).check(0)
	})
}

// TestKthOperationFails fails the k-th operation of a workload, for some or all k.
func TestKthOperationFails(t *testing.T) {
	for _, fault := range errorfs.Faults() {
		t.Run(fault.String(), func(t *testing.T) {
			n := 0
			step := stride(16)
			for k := 1 + (slowness*int(fault)+int(*firstSeed))%step; ; k += step {
				n++
				cuts := 0
				if n%4 == 1 {
					cuts = 3
				}
				if !faultyRun(t, uint64(k)%5, errorfs.Plan{K: k, Fault: fault}, cuts) {
					break
				}
			}
			t.Logf("%d runs", n)
		})
	}
}
