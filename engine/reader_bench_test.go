package engine_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// benchReaders runs read over a log of entries of 256 bytes in memory, again and again, and
// reports the cost of an entry.
func benchReaders(b *testing.B, read func(r *engine.Reader) (n int)) {
	const count = 64 << 10
	e, err := engine.OpenParts(nullFS{memfs.New(1)}, "/db", engine.Options{WALFileBytes: 1 << 30, CommitImmediately: true})
	if err != nil {
		b.Fatal(err)
	}
	l, err := e.Create("a")
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 256)
	es := make([]engine.Entry, 64)
	for prev := (engine.EntryID{}); prev.Index < count; prev = l.Last() {
		for k := range es {
			es[k] = engine.Entry{Index: prev.Index + 1 + engine.Index(k), Term: 1, Data: data}
		}
		if err := l.Append(prev, es); err != nil {
			b.Fatal(err)
		}
		for more, _ := e.Parts()[0].Step(); more; more, _ = e.Parts()[0].Step() {
		}
	}
	if err := l.SetCommitted(count); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		r, err := e.OpenReader("a", engine.FromFirst(), engine.ReaderOptions{Range: engine.Range{Last: engine.Index(min(count, b.N-done))}})
		if err != nil {
			b.Fatal(err)
		}
		n := read(r)
		if n == 0 {
			b.Fatal("nothing read")
		}
		done += n
		r.Close()
	}
}

// An operation is one entry.
func BenchmarkReader(b *testing.B) {
	b.Run("entries", func(b *testing.B) {
		benchReaders(b, func(r *engine.Reader) (n int) {
			for _, err := range r.Entries(b.Context()) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			return n
		})
	})
	b.Run("batches", func(b *testing.B) {
		benchReaders(b, func(r *engine.Reader) (n int) {
			for batch, err := range r.Batches(b.Context()) {
				if err != nil {
					b.Fatal(err)
				}
				n += len(batch.Entries)
			}
			return n
		})
	})
}

// BenchmarkSetCommitted is what an owner pays for publishing its commit index.
func BenchmarkSetCommitted(b *testing.B) {
	for _, readers := range []int{0, 1} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			e, err := engine.OpenParts(nullFS{memfs.New(1)}, "/db", engine.Options{WALFileBytes: 1 << 30})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for done := 0; done < b.N; done += committable {
				b.StopTimer()
				l := committableLog(b, e, done)
				if err := l.Release(committable - 1); err != nil {
					b.Fatal(err)
				}
				for range readers {
					r, err := e.OpenReader(l.UID(), engine.FromFirst(), engine.ReaderOptions{})
					if err != nil {
						b.Fatal(err)
					}
					defer r.Close()
				}
				b.StartTimer()
				for i := 1; i <= min(committable, b.N-done); i++ {
					if err := l.SetCommitted(engine.Index(i)); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

const committable = 1 << 12

// committableLog is a log of that many entries.
func committableLog(b *testing.B, e *engine.Engine, n int) *engine.Log {
	l, err := e.Create(engine.UID(fmt.Sprint(n)))
	if err != nil {
		b.Fatal(err)
	}
	es := make([]engine.Entry, committable)
	for k := range es {
		es[k] = engine.Entry{Index: engine.Index(k + 1), Term: 1}
	}
	if err := l.Append(engine.EntryID{}, es); err != nil {
		b.Fatal(err)
	}
	for more, _ := e.Parts()[0].Step(); more; more, _ = e.Parts()[0].Step() {
	}
	return l
}

// BenchmarkTailWake is what an entry costs that wakes a waiting reader, both sides together. An
// operation is one entry in each of 100 logs.
func BenchmarkTailWake(b *testing.B) {
	const logs = 100
	e, err := engine.OpenParts(nullFS{memfs.New(1)}, "/db", engine.Options{WALFileBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all []*engine.Log
	var delivered atomic.Int64
	var tails sync.WaitGroup
	for k := range logs {
		l := committableLog(b, e, k)
		all = append(all, l)
		r, err := e.OpenReader(l.UID(), engine.FromFirst(), engine.ReaderOptions{})
		if err != nil {
			b.Fatal(err)
		}
		tails.Go(func() {
			for batch, err := range r.TailBatches(ctx) {
				if err != nil {
					if ctx.Err() == nil {
						b.Error(err)
						delivered.Store(1 << 62) // nobody waits for the rest
					}
					return
				}
				delivered.Add(int64(len(batch.Entries)))
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	want, next := int64(0), engine.Index(0)
	for range b.N {
		if next++; next > committable {
			b.Fatalf("%d operations are too many", b.N)
		}
		for _, l := range all {
			if err := l.SetCommitted(next); err != nil {
				b.Fatal(err)
			}
		}
		for want += logs; delivered.Load() < want; {
			runtime.Gosched()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/logs, "ns/entry")
	cancel()
	tails.Wait()
}
