package memtable

import (
	"runtime"
	"testing"
	"weak"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// heap returns the bytes of live objects.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// perTable returns the heap bytes of one table made by build, averaged over many.
func perTable(build func() *Table) int64 {
	const n = 2000
	tables := make([]*Table, n)
	before := heap()
	for k := range tables {
		tables[k] = build()
	}
	after := heap()
	runtime.KeepAlive(tables)
	return (after - before) / n
}

func TestIdleTableIsSmall(t *testing.T) {
	if n := perTable(func() *Table { return New(7) }); n > 100 {
		t.Errorf("an empty table takes %d bytes", n)
	}
	one := entries(7, 100)
	full := func() *Table {
		tb := New(7)
		must(t, tb.Append(one))
		return tb
	}
	if n := perTable(full); n > firstChunk+1024 {
		t.Errorf("a table of one entry takes %d bytes", n)
	}
	if n := perTable(func() *Table { tb := full(); tb.Release(7); tb.Trim(); return tb }); n > 100 {
		t.Errorf("a trimmed table takes %d bytes", n)
	}
}

func TestBytesMatchesHeap(t *testing.T) {
	tb := New(1)
	var batch []raftlog.Entry
	for i := raftlog.Index(1); i <= 40_000; i++ {
		batch = append(batch, entry(i, 250))
	}
	before := heap()
	must(t, tb.Append(batch))
	grew := heap() - before
	if held := tb.Bytes(); held < grew*95/100 || held > grew*105/100 {
		t.Errorf("%d bytes accounted, heap grew by %d", held, grew)
	}
	runtime.KeepAlive(batch)
	runtime.KeepAlive(tb)
}

func TestReleasedMemoryIsCollected(t *testing.T) {
	tb := New(1)
	marks := make([]weak.Pointer[byte], 1, 20_001) // by index
	for i := raftlog.Index(1); i <= 20_000; i++ {
		must(t, tb.Append(entries(i, 250+int(i%500/499)*ownChunk)))
		e, _, _ := tb.Get(i)
		marks = append(marks, weak.Make(&e.Data[0]))
	}
	held, _, _ := tb.Get(5000)
	tb.Release(12_000)
	runtime.GC()
	for i, m := range marks[1:] {
		// The chunks of ordinary payloads hold at most 1 MiB: about 4,000 of these entries.
		i := raftlog.Index(i + 1)
		alive := m.Value() != nil
		if i > 12_000 && !alive {
			t.Fatalf("entry %d is held but its memory was collected", i)
		}
		if i < 12_000-5000 && alive && (i < 500 || i > 10_000) {
			t.Fatalf("entry %d is released but its memory is alive", i)
		}
	}
	must(t, same(held, sum(held.Data), entry(5000, 250)))
	runtime.KeepAlive(held)
	tb.Release(MaxIndex)
	runtime.GC()
	for i, m := range marks[1:] {
		if m.Value() != nil {
			t.Fatalf("entry %d is alive in an empty table", i+1)
		}
	}
	runtime.KeepAlive(tb)
}

func TestReadsAllocateNothing(t *testing.T) {
	tb := New(1)
	must(t, tb.PutSparse(nil))
	for i := raftlog.Index(1); i <= 1000; i++ {
		must(t, tb.Append(entries(i, 100)))
	}
	must(t, tb.PutSparse(entries(50, 100)))
	tb.Release(100)
	var sink int
	visit := func(e raftlog.Entry, crc uint32) bool { sink += len(e.Data); return true }
	es, crcs := make([]raftlog.Entry, 500), make([]uint32, 500)
	i := raftlog.Index(1)
	for name, read := range map[string]func(){
		"Get":        func() { e, _, _ := tb.Get(i); sink += len(e.Data) },
		"Get sparse": func() { e, _, _ := tb.Get(50); sink += len(e.Data) },
		"Term":       func() { term, _ := tb.Term(i); sink += int(term) },
		"Each":       func() { tb.Each(101, 1000, visit) },
		"Fill":       func() { n, _ := tb.Fill(200, es, crcs, 1<<20); sink += n },
		"positions":  func() { tb.SetDurable(i); sink += int(tb.Range().Last + tb.Durable()) },
	} {
		if n := testing.AllocsPerRun(1000, func() { i = i%1100 + 1; read() }); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func TestAppendAllocatesRarely(t *testing.T) {
	for _, size := range []int{0, 64, 256, 4096, 16 << 10} {
		tb := New(1)
		e := make([]raftlog.Entry, 1)
		e[0] = entry(1, size)
		n := testing.AllocsPerRun(20, func() {
			for range 2000 {
				e[0].Index = tb.Last() + 1
				if tb.Append(e) != nil {
					t.Fatal("refused")
				}
				if e[0].Index > 500 {
					tb.Release(e[0].Index - 500)
				}
			}
		}) / 2000
		if n > 0.1 {
			t.Errorf("%d bytes: %.3f allocations per entry", size, n)
		}
	}
}
