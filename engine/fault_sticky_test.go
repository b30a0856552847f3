package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// stickyRun fails every operation from the k-th on, until the disk is healed.
func stickyRun(t *testing.T, k int, fault errorfs.Fault) bool {
	t.Helper()
	w := newWorld(t, uint64(k)%5, rolls())
	w.what += fmt.Sprintf(", %v from operation %d on", fault, k)
	fs := errorfs.New(w.mem, errorfs.Plan{K: k, Fault: fault, Sticky: true})
	w.fs, w.faulty, w.sticky = fs, true, true
	if w.open() == nil {
		w.work(faultSteps)
	}
	tripped := fs.Tripped()
	w.fork(memfs.CrashOptions{Unsynced: memfs.Random, Seed: uint64(k)}, "torn").check(0)
	fs.Heal()
	w.sticky = false
	if w.e == nil {
		w.faulty = false
		w.open()
		w.recovered()
	}
	w.step("commit") // it may only now come upon what failed beside it
	w.step("monitor")
	switch health, cause := w.e.Health(); {
	case health == engine.HealthFailed && fault == errorfs.NoSpace:
		w.fatalf("failed for lack of space: %v", cause)
	case health == engine.HealthFailed:
		w.checkFailed()
	default:
		if w.settle(3000) {
			w.lookAtAll()
		} else if health, _ := w.e.Health(); health == engine.HealthFailed && fault != errorfs.NoSpace {
			w.checkFailed() // nothing had met the fault before
		} else {
			w.fatalf("does not settle: %s", w.unsettled())
		}
	}
	w.fork(memfs.CrashOptions{Unsynced: memfs.Lost}, "lost").check(10)
	return tripped
}

// checkFailed checks that a failed engine says so and serves reads.
func (w *world) checkFailed() {
	w.t.Helper()
	w.lookAtAll()
	for _, uid := range w.uids {
		h := w.hist[uid]
		if !h.now.exists {
			if _, err := w.e.Create(uid); !errors.Is(err, engine.ErrFailed) {
				w.fatalf("create on a failed engine: %v", err)
			}
			continue
		}
		l, _ := w.e.Log(uid)
		next := engine.Entry{Term: h.now.last().Term, Index: h.now.last().Index + 1}
		for what, err := range map[string]error{
			"append":     l.Append(h.now.last(), []engine.Entry{next}),
			"hard state": l.SetHardState(engine.HardState{Term: h.now.hard.Term + 1}),
			"delete":     w.e.Delete(context.Background(), uid),
		} {
			if !errors.Is(err, engine.ErrFailed) {
				w.fatalf("%s on a failed engine: %v", what, err)
			}
		}
	}
	if err := w.e.Flush(context.Background()); !errors.Is(err, engine.ErrFailed) {
		w.fatalf("flush of a failed engine: %v", err)
	}
	if err := w.e.Close(context.Background()); !errors.Is(err, engine.ErrFailed) {
		w.fatalf("close of a failed engine: %v", err)
	}
}

// TestOperationsFailFrom fails everything from the k-th operation on.
func TestOperationsFailFrom(t *testing.T) {
	for _, fault := range errorfs.Faults() {
		t.Run(fault.String(), func(t *testing.T) {
			n := 0
			step := stride(16)
			for k := 1 + (slowness*int(fault)+int(*firstSeed))%step; stickyRun(t, k, fault); k += step {
				n++
			}
			t.Logf("%d runs", n)
		})
	}
}
