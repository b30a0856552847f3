package memtable

import (
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// charges lists the sizes of the chunks present, by number.
func charges(tb *Table) []int64 {
	var out []int64
	if tl := tb.tail.Load(); tl != nil {
		for _, c := range tl.chunks.present() {
			out = append(out, c.charge)
		}
	}
	return out
}

func TestChunkSizes(t *testing.T) {
	const kib = 1 << 10
	for name, tc := range map[string]struct {
		sizes []int
		want  []int64
	}{
		"nothing":              {nil, nil},
		"empty payloads":       {[]int{0, 0, 0}, nil},
		"one byte":             {[]int{1}, []int64{firstChunk}},
		"a second chunk":       {[]int{100, 100}, []int64{firstChunk, 4 * kib}},
		"exactly full":         {[]int{4 * kib}, []int64{4 * kib}},
		"half of what is held": {[]int{3 * kib, 3 * kib, 3 * kib, 3 * kib, 9 * kib}, []int64{4 * kib, 4 * kib, 8 * kib, 16 * kib}},
		"fits the payload":     {[]int{50, 70 * kib}, []int64{firstChunk, 128 * kib}},
		"up to the largest":    {slices.Repeat([]int{255 * kib}, 17), []int64{256 * kib, 256 * kib, 512 * kib, 1024 * kib, 1024 * kib, 1024 * kib, 1024 * kib}},
		"own chunk first":      {[]int{ownChunk}, []int64{ownChunk}},
		"own chunk exact":      {[]int{ownChunk + 77, 1}, []int64{ownChunk + 77, 256 * kib}},
		"remainder continues":  {[]int{5 * kib, ownChunk, 100}, []int64{0, ownChunk, 8 * kib}},
		"remainder moves once": {[]int{5 * kib, ownChunk, ownChunk, ownChunk, 100}, []int64{0, ownChunk, ownChunk, ownChunk, 8 * kib}},
		"remainder too little": {[]int{4*kib - 100, ownChunk, 50}, []int64{4 * kib, ownChunk, 256 * kib}},
		"long one finds room":  {[]int{255 * kib, 255 * kib, 200 * kib, ownChunk}, []int64{256 * kib, 256 * kib, 512 * kib}},
	} {
		tb := New(1)
		must(t, tb.Append(entries(1, tc.sizes...)))
		audit(t, tb)
		got := charges(tb)
		if len(got) != len(tc.want) {
			t.Errorf("%s: chunks %v, want %v", name, got, tc.want)
			continue
		}
		for k := range got {
			if got[k] != tc.want[k] {
				t.Errorf("%s: chunks %v, want %v", name, got, tc.want)
				break
			}
		}
		for k, size := range tc.sizes {
			e, crc, ok := tb.Get(raftlog.Index(k + 1))
			if !ok {
				t.Fatalf("%s: entry %d is missing", name, k+1)
			}
			must(t, same(e, crc, entry(raftlog.Index(k+1), size)))
		}
	}
}

func TestReleaseDropsFromTheFront(t *testing.T) {
	tb := New(1)
	var peak int64
	for i := raftlog.Index(1); i <= 3000; i++ {
		size := 700
		if i%100 == 0 {
			size = ownChunk + int(i)
		}
		must(t, tb.Append(entries(i, size)))
		if i > 50 {
			tb.Release(i - 50)
		}
		audit(t, tb)
		peak = max(peak, tb.Bytes())
	}
	if limit := int64(4 << 20); peak > limit {
		t.Fatalf("50 entries of 700 bytes and one of 256 KiB took up to %d bytes, want at most %d", peak, limit)
	}
}

func TestEmptiedTableKeepsLittle(t *testing.T) {
	tb := New(1)
	for i := raftlog.Index(1); i <= 20_000; i++ {
		must(t, tb.Append(entries(i, 200)))
	}
	tb.Release(20_000)
	if tb.Bytes() != 0 {
		t.Fatalf("%d bytes kept of a large tail", tb.Bytes())
	}
	must(t, tb.Append(entries(20_001, 50, 50)))
	if want := int64(firstBlockSlots*slotBytes + firstChunk); tb.Bytes() != want {
		t.Fatalf("a fresh tail takes %d bytes, want %d", tb.Bytes(), want)
	}
	small := tb.Bytes()
	tb.Release(20_002)
	if tb.Bytes() != small {
		t.Fatalf("%d bytes kept of a small tail, want %d", tb.Bytes(), small)
	}
	tb.Trim()
	if tb.Bytes() != 0 || tb.First() != 20_003 || tb.Last() != 20_002 {
		t.Fatalf("after Trim: %d bytes, [%d,%d]", tb.Bytes(), tb.First(), tb.Last())
	}
	must(t, tb.Append(entries(20_003, 1)))
	tb.Trim() // not empty: nothing happens
	if !tb.Contains(20_003) || tb.Contains(20_002) {
		t.Fatal("Trim touched an entry")
	}
}

func TestChunkNumbersWrap(t *testing.T) {
	tb := New(1)
	tl, _ := tb.writable()
	tl.chunks.push(&chunk{})
	tl.chunks.dropOldest()
	tl.chunks.view.Load().base = 1<<32 - 4 // as if that many chunks had come and gone
	for i := raftlog.Index(1); i <= 12; i++ {
		must(t, tb.Append(entries(i, ownChunk)))
	}
	stale := *tl.find(1)
	for i := raftlog.Index(1); i <= 12; i++ {
		e, crc, ok := tb.Get(i)
		if !ok {
			t.Fatalf("entry %d is missing", i)
		}
		must(t, same(e, crc, entry(i, ownChunk)))
	}
	tb.Release(11)
	if _, ok := tl.payload(&stale); ok {
		t.Fatal("a released chunk number finds a chunk")
	}
	if e, crc, ok := tb.Get(12); !ok || same(e, crc, entry(12, ownChunk)) != nil {
		t.Fatal("entry 12 is lost")
	}
}

func TestDirectory(t *testing.T) {
	var d directory[int]
	if d.get(0) != nil || !d.empty() || d.next() != 0 {
		t.Fatal("an empty directory is not empty")
	}
	var oldest, next int
	for step := range 5000 {
		if step%3 != 2 || d.empty() {
			v := next
			d.push(&v)
			next++
		} else {
			if *d.oldest() != oldest {
				t.Fatalf("oldest is %d, want %d", *d.oldest(), oldest)
			}
			d.dropOldest()
			oldest++
		}
		if step%7 == 0 && !d.empty() {
			v := next - 1
			d.replaceNewest(&v)
		}
		if int(d.next()) != next || len(d.present()) != next-oldest {
			t.Fatalf("next %d of %d present, want %d of %d", d.next(), len(d.present()), next, next-oldest)
		}
		for n := max(0, oldest-5); n < next+5; n++ {
			if p := d.get(uint64(n)); (p != nil) != (oldest <= n && n < next) || p != nil && *p != n {
				t.Fatalf("number %d: %v with [%d,%d) present", n, p, oldest, next)
			}
		}
		if step > 3000 && step%2 == 0 { // then let it run almost dry
			for !d.empty() && next-oldest > 2 {
				d.dropOldest()
				oldest++
			}
		}
	}
	if n := d.len(); n > keptView {
		t.Fatalf("two pointers lie in a view of %d", n)
	}
}
