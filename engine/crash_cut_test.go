package engine_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// small makes files roll and segments fill often.
func small() engine.Options {
	return engine.Options{WALFileBytes: 64 << 10, SegmentEntries: 16, MemoryBytes: 64 << 20}
}

// fragments has room for entries that travel in fragments.
func fragments() engine.Options {
	return engine.Options{WALFileBytes: 4 << 20, SegmentEntries: 16, MemoryBytes: 256 << 20}
}

// cutter takes images of a world's disk at some of its operations and checks each of them.
type cutter struct {
	rng   *rand.Rand
	every int // one in so many operations
	depth int // of cuts within the recovery of an image
	work  int // steps of work after a recovery
	cuts  *int
}

// watch makes the power fail during the world's operations.
func (c cutter) watch(w *world) {
	w.mem.OnOp(func(op memfs.Op) {
		if c.rng.IntN(c.every) != 0 {
			return
		}
		*c.cuts++
		o := memfs.CrashOptions{Unsynced: memfs.Unsynced(c.rng.IntN(3)), Seed: c.rng.Uint64()}
		if o.Unsynced != memfs.Random && c.rng.IntN(2) == 0 {
			o.Unsynced = memfs.Random
		}
		image := w.fork(o, fmt.Sprintf("cut %+v at %d %v", o, op.N, op))
		if c.depth > 0 {
			next := c
			next.depth--
			next.every = 40
			next.watch(image)
		}
		image.check(c.work)
	})
}

// TestPowerCuts cuts the power during a random workload, and again during the recovery.
func TestPowerCuts(t *testing.T) {
	for _, size := range []struct {
		name         string
		o            engine.Options
		seeds, every int
		steps        int
	}{
		{"small", small(), 3, 40, 1500},
		{"fragments", fragments(), 1, 40, 500},
	} {
		t.Run(size.name, func(t *testing.T) {
			cuts := 0
			for n := range uint64(tries(size.seeds)) {
				seed := *firstSeed + n
				o := size.o
				o.Strategy, o.Prealloc = engine.Strategy(seed%4), engine.Prealloc(seed/2%3)
				w := newWorld(t, seed, o)
				c := cutter{rng: rand.New(rand.NewPCG(seed, 5)), every: size.every * slowness, depth: 1, work: 60, cuts: &cuts}
				c.watch(w)
				w.open()
				w.work(size.steps)
				if !w.settle(5000) {
					w.fatalf("does not settle: %s", w.unsettled())
				}
				w.lookAtAll()
				w.close()
			}
			t.Logf("%d cuts", cuts)
		})
	}
}
