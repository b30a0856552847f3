package wal

import (
	"math/rand/v2"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// A flood of one log leaves another log's single entry its share of the next batch.
func TestFairness(t *testing.T) {
	x := newWorld(t, func(o *Options) { o.FileSize = 8 << 20; o.MaxBatchBytes = 64 << 10 })
	must(t, x.w.pool.Fill())
	flood, lone := x.log("flood"), x.log("lone")
	for range 1000 {
		must(t, flood.append(100, 100))
	}
	x.w.Step()
	must(t, lone.append(1, 100))
	x.w.Step()
	x.w.Step()
	if lone.table.durable != 1 {
		t.Errorf("lone entry is not durable after two batches")
	}
	for x.steps() > 0 {
		x.fill()
	}
	x.check()
}

// Logs that all flood get equal shares.
func TestEqualShares(t *testing.T) {
	x := newWorld(t, func(o *Options) { o.FileSize = 4 << 20; o.MaxBatchBytes = 64 << 10 })
	must(t, x.w.pool.Fill())
	var logs []*testLog
	for i := range 10 {
		l := x.log(string(rune('a' + i)))
		must(t, l.append(2000, 50+10*i))
		logs = append(logs, l)
	}
	for range 12 {
		x.w.Step()
	}
	lo, hi := 1<<30, 0
	for i, l := range logs {
		n := int(l.table.durable) * (50 + 10*i + 44)
		lo, hi = min(lo, n), max(hi, n)
	}
	if hi > lo+lo/4 {
		t.Errorf("shares between %d and %d bytes", lo, hi)
	}
}

// Whatever is queued in whatever order, each log's records stand in its order, over rolls.
func TestOrderOverRolls(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		x := newWorld(t, func(o *Options) {
			o.FileSize = int64(64<<10) << rng.IntN(3)
			o.MaxFileEntries = 1 + rng.Int64N(3000)
			o.Prealloc = Prealloc(rng.IntN(3))
			o.Strategy = Strategy(rng.IntN(5))
			o.Direct = rng.IntN(2) == 0
		})
		for range 600 {
			x.random(rng)
		}
		for x.w.Step() || x.w.starving {
			x.fill()
		}
		must(t, x.w.Close())
		x.check()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// random does one random thing.
func (x *world) random(rng *rand.Rand) {
	l := x.log(string(rune('a' + rng.IntN(8))))
	switch rng.IntN(12) {
	case 0:
		l.control(Control{Kind: KindHardState, Term: l.term, Payload: []byte("vote")})
	case 1:
		l.control(Control{Kind: KindApplied, Index: l.last, Lazy: true})
	case 2:
		if l.last > 0 {
			l.truncate(raftlog.Index(rng.Uint64N(uint64(l.last))))
		}
	case 3:
		must(x.t, x.w.Idle())
	case 4:
		x.w.pool.Step()
	case 5:
		x.w.ZeroAhead()
	case 6, 7:
		x.w.Step()
	default:
		size := rng.IntN(300)
		if rng.IntN(20) == 0 {
			size = rng.IntN(MaxEntryBytes(x.w.o.FileSize))
		}
		must(x.t, l.append(1+rng.IntN(20), size))
	}
}

// Producers that append while the committer gathers end in one batch.
func TestGatherMerges(t *testing.T) {
	x := newWorld(t, func(o *Options) { o.FileSize = 1 << 20 })
	must(t, x.w.pool.Fill())
	const producers = 20
	waiting := producers // of the acknowledged cohort that did not append again yet
	x.onYield = func() {
		for range 5 {
			if waiting > 0 {
				waiting--
				must(t, x.log(string(rune('a'+waiting))).append(1, 100))
			}
		}
	}
	// Half of the producers appended before the step, half arrive while it gathers.
	for waiting > producers/2 {
		waiting--
		must(t, x.log(string(rune('a'+waiting))).append(1, 100))
	}
	x.w.count.ewma.Store(100_000)
	x.w.Step()
	if s := x.w.Stats(); s.Entries != producers || s.Batches != 1 {
		t.Errorf("%d entries in %d batches", s.Entries, s.Batches)
	}
}

// A lone write waits one window and no longer, a full one not at all.
func TestGatherEnds(t *testing.T) {
	for _, c := range []struct{ entries, windows int }{{1, 1}, {5000, 0}} {
		x := newWorld(t, func(o *Options) { o.FileSize = 4 << 20 })
		must(t, x.w.pool.Fill())
		must(t, x.log("a").append(c.entries, 100))
		x.w.count.ewma.Store(320_000)
		start, yields := x.now, 0
		x.onYield = func() { yields++ }
		x.w.gather()
		if limit := int64(c.windows)*10_000 + 4000; x.now-start > limit || (yields > 0) != (c.windows > 0) {
			t.Errorf("%d entries: waited %d ns in %d yields", c.entries, x.now-start, yields)
		}
	}
}

// Ranges of one source that continue each other are one operation; others are not.
func TestCoalesce(t *testing.T) {
	x := newWorld(t, nil)
	must(t, x.w.pool.Fill())
	l := x.log("a")
	for range 50 {
		must(t, l.append(2, 10))
	}
	if n := len(x.w.mu.queue); n != 1 {
		t.Errorf("%d operations", n)
	}
	l.truncate(40)
	must(t, l.append(2, 10))
	if n := len(x.w.mu.queue); n != 3 {
		t.Errorf("%d operations", n)
	}
	x.steps()
	x.check()
	if l.tables[0].durable != 100 || l.tables[1].durable != 42 || len(l.written) != 1 {
		t.Error(l.tables[0].durable, l.tables[1].durable, l.written)
	}
}

// Lazy records make no batch, ride in the next one, and are written by the idle frame.
func TestLazy(t *testing.T) {
	x := newWorld(t, nil)
	must(t, x.w.pool.Fill())
	a, b := x.log("a"), x.log("b")
	a.control(Control{Kind: KindApplied, Index: 3, Lazy: true})
	if x.w.Step() {
		t.Error("a lazy record made a batch")
	}
	must(t, b.append(1, 10))
	if x.steps() != 1 || a.controls != 1 {
		t.Error("the lazy record did not ride along")
	}
	a.control(Control{Kind: KindApplied, Index: 4, Lazy: true})
	if x.w.Step() {
		t.Error("a lazy record made a batch")
	}
	must(t, x.w.Idle())
	if a.controls != 2 {
		t.Error("the idle frame did not take the lazy record")
	}
	a.control(Control{Kind: KindApplied, Index: 5, Lazy: true})
	must(t, a.append(1, 10)) // behind a lazy record, in order
	x.steps()
	must(t, x.w.Idle())
	if s := x.w.Stats(); s.Idle != 1 || a.controls != 3 {
		t.Errorf("%+v", s)
	}
	x.check()
}
