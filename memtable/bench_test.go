package memtable

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// fill returns a table with n entries of size bytes.
func fill(b *testing.B, n, size int) *Table {
	b.Helper()
	tb := New(1)
	e := []raftlog.Entry{entry(1, size)}
	for k := range n {
		e[0].Index = raftlog.Index(k + 1)
		must(b, tb.Append(e))
	}
	return tb
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{0, 64, 256, 1 << 10, 16 << 10, 255 << 10, 1 << 20} {
		for _, batch := range []int{1, 64} {
			b.Run(fmt.Sprintf("size=%d/batch=%d", size, batch), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				tb := New(1)
				es := make([]raftlog.Entry, batch)
				for k := range es {
					es[k] = entry(raftlog.Index(k+1), size)
				}
				keep := raftlog.Index(max(batch, min(10_000, 16<<20/max(size, 1))))
				for n := 0; n < b.N; n += batch {
					next := tb.Last() + 1
					for k := range es {
						es[k].Index = next + raftlog.Index(k)
					}
					if err := tb.Append(es); err != nil {
						b.Fatal(err)
					}
					if next > keep {
						tb.Release(next - keep)
					}
				}
			})
		}
	}
}

// BenchmarkAppendAndRelease is a table that is emptied after each entry.
func BenchmarkAppendAndRelease(b *testing.B) {
	b.ReportAllocs()
	tb := New(1)
	es := []raftlog.Entry{entry(1, 256)}
	for b.Loop() {
		es[0].Index = tb.Last() + 1
		if err := tb.Append(es); err != nil {
			b.Fatal(err)
		}
		tb.Release(es[0].Index)
	}
}

func BenchmarkGet(b *testing.B) {
	for _, size := range []int{0, 256} {
		b.Run(fmt.Sprintf("quiet/size=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			tb := fill(b, 100_000, size)
			sink, i := 0, raftlog.Index(1)
			for b.Loop() {
				e, _, _ := tb.Get(i)
				sink += len(e.Data)
				if i += 7919; i > 100_000 {
					i -= 100_000
				}
			}
			runtime.KeepAlive(sink)
		})
	}
	b.Run("beside appends", func(b *testing.B) {
		b.ReportAllocs()
		tb := fill(b, 100_000, 256)
		var stop atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			e := []raftlog.Entry{entry(1, 256)}
			for !stop.Load() {
				e[0].Index = tb.Last() + 1
				if tb.Append(e) != nil {
					return
				}
				tb.Release(e[0].Index - 100_000)
			}
		}()
		sink, i := 0, raftlog.Index(0)
		for b.Loop() {
			i = (i + 7919) % 90_000
			e, _, _ := tb.Get(tb.Last() - i)
			sink += len(e.Data)
		}
		stop.Store(true)
		<-done
		runtime.KeepAlive(sink)
	})
}

func BenchmarkEach(b *testing.B) {
	const n = 10_000
	for _, size := range []int{0, 256} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			tb := fill(b, n, size)
			sink := 0
			visit := func(e raftlog.Entry, crc uint32) bool { sink += len(e.Data); return true }
			for b.Loop() {
				tb.Each(1, n, visit)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
		})
	}
}

func BenchmarkFill(b *testing.B) {
	const n, part = 10_000, 256
	b.ReportAllocs()
	tb := fill(b, n, 256)
	es, crcs := make([]raftlog.Entry, part), make([]uint32, part)
	for b.Loop() {
		for i := raftlog.Index(1); i <= n; i += part {
			tb.Fill(i, es, crcs, 1<<20)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
}
