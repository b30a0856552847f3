package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestTailBesideOwner lets readers of all kinds tail a log while its owner appends, truncates,
// commits and flushes: each gets everything, once and in order.
func TestTailBesideOwner(t *testing.T) {
	last := engine.Index(tries(6000))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	e := openMem(t, memfs.New(1), engine.Options{WALFileBytes: 64 << 10})
	l, err := e.CreateSync(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	whole := engine.Range{Last: last}
	var all sync.WaitGroup
	for n := range 3 {
		committed := openReader(t, e, engine.FromFirst(), engine.ReaderOptions{Range: whole, MaxBatchEntries: 1 + 20*n})
		durable := openReader(t, e, engine.FromFirst(), engine.ReaderOptions{Range: whole, Uncommitted: true, MaxBatchEntries: 1 + 50*n})
		batches := openReader(t, e, engine.FromFirst(), engine.ReaderOptions{Checksums: true, Range: whole, MaxBatchBytes: 10 + 1000*n})
		all.Go(func() { tailExactly(ctx, t, committed, last) })
		all.Go(func() { tailBatchesExactly(ctx, t, batches, last) })
		all.Go(func() { tailRewritten(ctx, t, durable, last) })
	}
	all.Go(func() { watchUntil(ctx, t, l, last) })
	own(ctx, t, e, l, last)
	all.Wait()
	closeEngine(t, e)
}

// own is the owner of the log: it appends under rising terms, now and then over what is not
// committed, and commits behind or ahead of the device.
func own(ctx context.Context, t *testing.T, e *engine.Engine, l *engine.Log, last engine.Index) {
	rng := rand.New(rand.NewPCG(*firstSeed, 3))
	term := engine.Term(1)
	for l.Committed() < last {
		prev := l.Last()
		if span := int(prev.Index - l.Committed()); rng.IntN(6) == 0 && span > 0 {
			prev.Index -= engine.Index(rng.IntN(span + 1))
			var err error
			if prev.Term, err = l.Term(prev.Index); err != nil {
				t.Error(err)
				return
			}
			term++
		}
		es := entries(prev, term, 1+rng.IntN(9))
		var err error
		if rng.IntN(40) == 0 {
			err = l.AppendSync(ctx, prev, es)
		} else {
			err = l.Append(prev, es)
		}
		if err != nil {
			t.Errorf("append: %v", err)
			return
		}
		if rng.IntN(3) == 0 {
			if err := l.SetCommitted(l.Committed() + engine.Index(rng.IntN(int(l.Last().Index-l.Committed())+1))); err != nil {
				t.Errorf("commit: %v", err)
				return
			}
		}
		if rng.IntN(500) == 0 {
			if err := e.Flush(ctx); err != nil {
				t.Errorf("flush: %v", err)
				return
			}
		}
	}
}

// expect checks one entry of a log that entries wrote.
func expect(t *testing.T, e engine.Entry, next engine.Index) bool {
	if e.Index != next || string(e.Data) != fmt.Sprintf("%d/%d", e.Term, e.Index) || e.Type != uint8(e.Index) {
		t.Errorf("entry %v %q, want index %d", e.ID(), e.Data, next)
		return false
	}
	return true
}

func tailExactly(ctx context.Context, t *testing.T, r *engine.Reader, last engine.Index) {
	next := engine.Index(1)
	for e, err := range r.Tail(ctx) {
		if err != nil {
			t.Errorf("reader at %d: %v", next, err)
			return
		}
		if !expect(t, e, next) {
			return
		}
		next++
	}
	if next != last+1 {
		t.Errorf("reader ended at %d", next)
	}
}

func tailBatchesExactly(ctx context.Context, t *testing.T, r *engine.Reader, last engine.Index) {
	next, sum := engine.Index(1), uint64(0)
	for b, err := range r.TailBatches(ctx) {
		if err != nil {
			t.Errorf("batches at %d: %v", next, err)
			return
		}
		for _, e := range b.Entries {
			if !expect(t, e, next) {
				return
			}
			next++
		}
		if sum = engine.RunningChecksum(sum, b.Entries); sum != b.Checksum {
			t.Errorf("checksum differs at %d", next)
			return
		}
	}
	if next != last+1 {
		t.Errorf("batches ended at %d", next)
	}
}

// tailRewritten goes back where it is told to, and ends with what the log has.
func tailRewritten(ctx context.Context, t *testing.T, r *engine.Reader, last engine.Index) {
	got := []engine.Term{0}
	for engine.Index(len(got)) <= last {
		for e, err := range r.Tail(ctx) {
			if cut, ok := err.(*engine.TruncatedError); ok && int(cut.From) < len(got) {
				got = got[:cut.From]
				break
			}
			if err != nil {
				t.Errorf("uncommitted reader at %d: %v", len(got), err)
				return
			}
			if !expect(t, e, engine.Index(len(got))) {
				return
			}
			if e.Term < got[len(got)-1] {
				t.Errorf("entry %v behind term %d", e.ID(), got[len(got)-1])
				return
			}
			got = append(got, e.Term)
		}
	}
}

func watchUntil(ctx context.Context, t *testing.T, l *engine.Log, last engine.Index) {
	var seen engine.Index
	for ev, err := range l.Watch(ctx, engine.ChangeCommitted) {
		if err != nil {
			t.Errorf("watch at %d: %v", seen, err)
			return
		}
		if ev.Committed < seen || ev.Committed == seen && seen > 0 {
			t.Errorf("commit index %d after %d", ev.Committed, seen)
		}
		if seen = ev.Committed; seen >= last {
			return
		}
	}
}

// TestNoLostWakeUp makes the owner wait for its readers after each commit: a wake-up that is
// lost would stop them all. There is no device that could wake anybody in passing.
func TestNoLostWakeUp(t *testing.T) {
	const readers = 3
	rounds := engine.Index(tries(20_000))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	d := openDriven(t, memfs.New(1), engine.Options{WALFileBytes: 1 << 20})
	l, err := d.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	reached := make(chan engine.Index, readers)
	var all sync.WaitGroup
	for n := range readers {
		r := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{Range: engine.Range{Last: rounds}, Uncommitted: n == 1})
		all.Go(func() {
			for e, err := range r.Tail(ctx) {
				if err != nil {
					t.Errorf("reader %d: %v", n, err)
					return
				}
				reached <- e.Index
			}
		})
	}
	for i := engine.Index(1); i <= rounds && ctx.Err() == nil; i++ {
		if err := l.Append(l.Last(), entries(l.Last(), 1, 1)); err != nil {
			t.Fatal(err)
		}
		if err := l.SetCommitted(i); err != nil {
			t.Fatal(err)
		}
		for range readers {
			select {
			case got := <-reached:
				if got != i {
					t.Fatalf("a reader has %d after the commit of %d", got, i)
				}
			case <-ctx.Done():
				t.Fatalf("no reader moves after the commit of %d", i)
			}
		}
		if i%1000 == 0 {
			d.drain(t, "commit", "pool", "flush")
		}
	}
	all.Wait()
	closeEngine(t, d.Engine)
}
