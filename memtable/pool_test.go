package memtable

import (
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// pooled empties the pool and returns how many chunks it had.
func pooled(p *Pool) (n int) {
	for k := range p.classes {
		for p.classes[k].Get() != nil {
			n++
		}
	}
	return n
}

// TestLentChunkIsNotPooled releases tables that were read in every way there is: none of their
// memory may be written again.
func TestLentChunkIsNotPooled(t *testing.T) {
	for name, read := range map[string]func(*Table){
		"Get":  func(tb *Table) { tb.Get(3) },
		"Each": func(tb *Table) { tb.Each(1, 3, func(raftlog.Entry, uint32) bool { return true }) },
		"Fill": func(tb *Table) { tb.Fill(1, make([]raftlog.Entry, 3), nil, 1<<20) },
	} {
		for range 20 { // a build with the race detector pools some chunks only
			p := &Pool{}
			tb := p.New(1)
			must(t, tb.Append(entries(1, 5000, 5000, 5000)))
			read(tb)
			e, _, _ := tb.Get(1)
			tb.Get(2)
			tb.Release(MaxIndex)
			if n := pooled(p); n != 0 || tb.Bytes() > keepBytes {
				t.Fatalf("%s: %d chunks that were read are in the pool, %d bytes in the table", name, n, tb.Bytes())
			}
			must(t, same(e, sum(e.Data), entry(1, 5000)))
		}
	}
}

// TestChunkReleasedUnderReader lets a reader find a chunk and the writer release it before it is
// marked: it may be in the pool, and is not the reader's.
func TestChunkReleasedUnderReader(t *testing.T) {
	tb := (&Pool{}).New(1)
	must(t, tb.Append(entries(1, 5000)))
	tl, s := tb.find(1)
	c := tl.chunk(s.chunk)
	tb.Release(MaxIndex)
	if tl.mark(c, s.chunk) {
		t.Fatal("a released chunk was lent")
	}
}

// TestSplitChunkIsNotPooled releases a chunk whose end became another's: both share their memory.
func TestSplitChunkIsNotPooled(t *testing.T) {
	for range 20 {
		p := &Pool{}
		tb := p.New(1)
		must(t, tb.Append(entries(1, 5000, ownChunk, 1000)))
		tb.Release(1)
		if n := pooled(p); n != 0 {
			t.Fatalf("%d chunks are in the pool", n)
		}
		must(t, holds(tb, 2, ownChunk)) // which lends the chunk that is not split
		must(t, holds(tb, 3, 1000))
		tb.Release(MaxIndex)
		if n := pooled(p); n != 0 {
			t.Fatalf("%d chunks are in the pool", n)
		}
	}
}

func holds(tb *Table, i raftlog.Index, size int) error {
	e, crc, _ := tb.Get(i)
	return same(e, crc, entry(i, size))
}

// Every length of the pool's has a class of its own, and none is more than an eighth longer than asked for.
func TestChunkClasses(t *testing.T) {
	size := map[int]int{} // by class
	for n := firstChunk; n <= MaxPayload; n += 1 + n/1000 {
		got := roundChunk(n)
		if got < n || got > n+n/8 || roundChunk(got) != got {
			t.Fatalf("%d bytes get %d", n, got)
		}
		class := chunkClass(got)
		if class < 0 || class >= chunkClasses || size[class] != 0 && size[class] != got {
			t.Fatalf("%d bytes are in class %d with %d", got, class, size[class])
		}
		size[class] = got
	}
	if chunkClass(roundChunk(MaxPayload)) != chunkClasses-1 {
		t.Error("there are classes without use")
	}
}

// A long payload's chunk is used again, by one that is as long or a little shorter.
func TestLongChunkIsPooled(t *testing.T) {
	for range 20 { // a build with the race detector pools some chunks only
		p := &Pool{}
		tb := p.New(1)
		must(t, tb.Append(entries(1, ownChunk+100)))
		mem := &tb.tail.Load().chunks.oldest().mem[0]
		must(t, tb.Append(entries(2, 100)))
		tb.Release(1)
		must(t, tb.Append(entries(3, ownChunk+50)))
		must(t, holds(tb, 3, ownChunk+50))
		e, _, _ := tb.Get(3)
		if &e.Data[0] == mem {
			return
		}
	}
	t.Error("a released chunk was never used again")
}

// What was only peeked at is used again: who peeked is done with it.
func TestPeekLendsNothing(t *testing.T) {
	for range 20 { // a build with the race detector pools some chunks only
		p := &Pool{}
		tb := p.New(1)
		must(t, tb.Append(entries(1, 5000, 0)))
		for i := raftlog.Index(1); i <= 2; i++ {
			e, crc, ok := tb.Peek(i)
			want, _, _ := tb.Get(2)
			if i == 1 {
				want = entry(1, 5000)
			}
			if !ok {
				t.Fatalf("entry %d is not there", i)
			}
			must(t, same(e, crc, want))
		}
		tb.Release(MaxIndex)
		if _, _, ok := tb.Peek(1); ok {
			t.Fatal("a released entry is there")
		}
		if pooled(p) > 0 {
			return
		}
	}
	t.Error("no chunk that was peeked at came to the pool")
}
