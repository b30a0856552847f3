package wal

import (
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
)

func bigWorld(t *testing.T) *world {
	x := newWorld(t, func(o *Options) { o.FileSize = 8 << 20 })
	x.fill()
	return x
}

// Beside other logs' records, one fragment goes into each batch.
func TestFragmentsInterleave(t *testing.T) {
	x := bigWorld(t)
	big, small := x.log("big"), x.log("small")
	must(t, big.append(1, 900<<10))
	for range 4 {
		must(t, small.append(1, 100))
		x.w.Step()
	}
	if s := x.w.Stats(); s.Batches != 4 || big.table.durable != 1 || len(small.written) != 4 || len(big.written) != 4 {
		t.Errorf("batches %d, durable %d, %v %v", s.Batches, big.table.durable, small.written, big.written)
	}
	must(t, big.append(3, 10))
	x.steps()
	x.check()
	for _, f := range x.frames(1) {
		n := 0
		f.Records(func(r *frame.Record) bool {
			if r.Flags&FlagFragment != 0 {
				n++
			}
			return true
		})
		if n > 1 {
			t.Errorf("batch %d holds %d fragments", f.Batch, n)
		}
	}
}

// A lone large entry goes out in one batch, a longer one in as few as the bound allows.
func TestFragmentsAlone(t *testing.T) {
	x := newWorld(t, func(o *Options) { o.FileSize = 64 << 20 })
	must(t, x.w.pool.Fill())
	l := x.log("a")
	for _, c := range []struct{ size, batches int }{{1 << 20, 1}, {FragmentSize + 1, 1}, {4 << 20, 1}, {8 << 20, 2}} {
		before := x.w.Stats().Batches
		must(t, l.append(1, c.size))
		x.steps()
		if n := int(x.w.Stats().Batches - before); n != c.batches {
			t.Errorf("%d bytes: %d batches, want %d", c.size, n, c.batches)
		}
	}
	x.check()
}

// A lazy record among large entries does not part them: nobody waits for it.
func TestFragmentsAroundLazyRecord(t *testing.T) {
	x := newWorld(t, func(o *Options) { o.FileSize = 64 << 20 })
	must(t, x.w.pool.Fill())
	l := x.log("a")
	must(t, l.append(1, 1<<20))
	l.control(Control{Kind: KindRelease, Lazy: true})
	must(t, l.append(2, 1<<20))
	x.steps()
	if n := x.w.Stats().Batches; n != 1 || l.table.durable != 3 || l.controls != 1 {
		t.Errorf("%d batches, entry %d and %d lazy records are durable", n, l.table.durable, l.controls)
	}
	x.check()
}

// Small entries and large ones of many logs mix, over rolls: no chain is split.
func TestChainsOverRolls(t *testing.T) {
	x := bigWorld(t)
	for i := range 120 {
		l := x.log(string(rune('a' + i%7)))
		if i%3 == 0 {
			must(t, l.append(1, MaxEntryBytes(8<<20)-i))
		} else {
			must(t, l.append(1+i%9, 3000))
		}
		x.w.Step()
		x.fill()
		if len(x.w.chains) > maxChains {
			t.Fatal("too many chains")
		}
	}
	for x.w.Step() || x.w.starving {
		x.fill()
	}
	if x.w.chainNeed != 0 || len(x.w.chains) != 0 || x.w.Stats().Rolls < 4 {
		t.Errorf("%d reserved for %d chains, %d rolls", x.w.chainNeed, len(x.w.chains), x.w.Stats().Rolls)
	}
	for _, s := range x.sealed {
		if s.Bytes > 8<<20 {
			t.Errorf("file %d has grown to %d bytes", s.Number, s.Bytes)
		}
	}
	x.check()
}

// A batch fails while chains are open, at each of their fragments: the chains stand in the
// fresh file from their first fragment on.
func TestFailureInChain(t *testing.T) {
	for k, tripped := 1, true; tripped; k++ {
		x := bigWorld(t)
		x.fs.Arm(errorfs.Plan{K: k, Fault: errorfs.SyncTorn, Match: func(op errorfs.Op) bool { return op.Queued }})
		a, b, c := x.log("a"), x.log("b"), x.log("c")
		must(t, a.append(1, 1000<<10))
		must(t, b.append(1, 700<<10))
		for range 5 {
			must(t, c.append(1, 100))
			x.w.Step()
			must(t, b.append(1, 300<<10))
			must(t, a.append(2, 100))
		}
		for x.w.Step() || x.w.starving {
			x.fill()
		}
		tripped = x.fs.Tripped()
		if tripped && len(x.sealed) != 1 {
			t.Errorf("k = %d: %d files sealed", k, len(x.sealed))
		}
		x.check()
		if t.Failed() {
			t.Fatalf("k = %d", k)
		}
	}
}

// Two logs with nothing but large entries, beside small ones, take turns.
func TestChainsTakeTurns(t *testing.T) {
	x := newWorld(t, func(o *Options) { o.FileSize = 64 << 20 })
	must(t, x.w.pool.Fill())
	a, b, c := x.log("a"), x.log("b"), x.log("c")
	must(t, a.append(10, 600<<10))
	must(t, b.append(10, 600<<10))
	for range 40 {
		must(t, c.append(1, 100))
		x.w.Step()
	}
	if d := int(a.table.durable) - int(b.table.durable); d < -1 || d > 1 || len(c.written) != 40 {
		t.Errorf("%d of one log, %d of the other", a.table.durable, b.table.durable)
	}
	x.steps()
	x.check()
}

// Whatever asks for a roll, it waits for open chains.
func TestRollWaitsForChains(t *testing.T) {
	x := newWorld(t, func(o *Options) { o.FileSize = 8 << 20; o.MaxFileEntries = 1 })
	x.fill()
	for i := range 30 {
		if i%5 == 0 {
			must(t, x.log("big").append(1, 900<<10))
		}
		must(t, x.log("small").append(1, 100))
		x.w.Step()
		x.fill()
	}
	for x.steps() > 0 {
		x.fill()
	}
	if n := x.w.Stats().Rolls; n < 5 || n > 20 {
		t.Errorf("%d rolls", n)
	}
	x.check()
}
