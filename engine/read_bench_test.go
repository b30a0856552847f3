package engine_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

const benchEntries = 10_000

// readable returns a log with entries of 256 bytes in memory.
func readable(b *testing.B) *engine.Log {
	e, err := engine.OpenParts(nullFS{memfs.New(1)}, "/db", engine.Options{WALFileBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	l, err := e.Create("a")
	if err != nil {
		b.Fatal(err)
	}
	es := make([]engine.Entry, 100)
	for l.Last().Index < benchEntries {
		for k := range es {
			es[k] = engine.Entry{Index: l.Last().Index + 1 + engine.Index(k), Term: 1, Data: make([]byte, 256)}
		}
		if err := l.Append(l.Last(), es); err != nil {
			b.Fatal(err)
		}
	}
	return l
}

// BenchmarkReadMemory reads entries of 256 bytes that are in memory.
func BenchmarkReadMemory(b *testing.B) {
	l := readable(b)
	perEntry := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEntries, "ns/entry")
	}
	sink := 0
	b.Run("Read", func(b *testing.B) {
		b.ReportAllocs()
		for i := engine.Index(0); b.Loop(); i = (i + 7919) % benchEntries {
			e, err := l.Read(i + 1)
			if err != nil {
				b.Fatal(err)
			}
			sink += len(e.Data)
		}
	})
	b.Run("ReadRange", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for e := range l.ReadRange(1, benchEntries) {
				sink += len(e.Data)
			}
		}
		perEntry(b)
	})
	b.Run("ReadBatches", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for es := range l.ReadBatches(1, benchEntries) {
				sink += len(es)
			}
		}
		perEntry(b)
	})
	b.Run("Plan", func(b *testing.B) {
		b.ReportAllocs()
		indexes := make([]engine.Index, benchEntries)
		for k := range indexes {
			indexes[k] = engine.Index(k) + 1
		}
		for b.Loop() {
			p, err := l.Plan(slices.Values(indexes), engine.PlanOptions{})
			if err != nil {
				b.Fatal(err)
			}
			for es := range p.Batches(b.Context()) {
				sink += len(es)
			}
			p.Close()
		}
		perEntry(b)
	})
	runtime.KeepAlive(sink)
}
