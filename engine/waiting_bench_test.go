package engine_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// BenchmarkWaiting is BenchmarkCommit with the engine's goroutines and one waiting producer for each
// log: what is added is the scheduling, and the caches that a thousand producers wash out.
func BenchmarkWaiting(b *testing.B) {
	for _, logs := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("logs=%d", logs), func(b *testing.B) { benchmarkWaiting(b, logs) })
	}
}

func benchmarkWaiting(b *testing.B, logs int) {
	e, err := engine.OpenOn(nullFS{memfs.New(1)}, "/d", engine.Options{WALFileBytes: 1 << 30, Prealloc: engine.PreallocNone, WALSpares: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	var left atomic.Int64
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range logs {
		l, err := e.Create(engine.UID(fmt.Sprintf("log-%d", i)))
		if err != nil {
			b.Fatal(err)
		}
		done.Go(func() {
			payload := make([]byte, 256)
			start.Wait()
			var prev engine.EntryID
			entries := make([]engine.Entry, 1)
			for left.Add(-1) >= 0 {
				entries[0] = engine.Entry{Index: prev.Index + 1, Term: 1, Data: payload}
				if err := l.AppendSync(context.Background(), prev, entries); err != nil {
					b.Error(err)
					return
				}
				prev = entries[0].ID()
				if prev.Index%200 == 0 {
					_ = l.Release(prev.Index)
				}
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	left.Store(int64(b.N))
	start.Done()
	done.Wait()
}
