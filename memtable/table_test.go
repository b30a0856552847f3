package memtable

import (
	"bytes"
	"errors"
	"testing"
	"unsafe"

	"github.com/rawl-db/rawl/internal/raftlog"
)

func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(slot{}); n != slotBytes {
		t.Errorf("a slot has %d bytes, accounted as %d", n, slotBytes)
	}
	if n := unsafe.Sizeof(sparseEntry{}); n != sparseBytes {
		t.Errorf("a sparse entry has %d bytes, accounted as %d", n, sparseBytes)
	}
	if n := unsafe.Sizeof(Table{}); n > 64 {
		t.Errorf("an empty table has %d bytes", n)
	}
}

func TestEmpty(t *testing.T) {
	for _, first := range []raftlog.Index{0, 1, 2, 1000, MaxIndex, MaxIndex + 1} {
		tb := New(first)
		first = max(first, 1)
		if tb.First() != first || tb.Last() != first-1 || !tb.Range().Empty() || tb.Bytes() != 0 || tb.Durable() != 0 {
			t.Fatalf("New(%d): [%d,%d], %d bytes, durable %d", first, tb.First(), tb.Last(), tb.Bytes(), tb.Durable())
		}
		for _, i := range []raftlog.Index{0, 1, first - 1, first, first + 1, MaxIndex} {
			if tb.Contains(i) {
				t.Errorf("New(%d) contains %d", first, i)
			}
		}
		tb.Release(MaxIndex)
		tb.Trim()
		tb.ReleaseSparse(func(raftlog.Index) bool { return true })
		if n, _ := tb.Fill(first, make([]raftlog.Entry, 3), make([]uint32, 3), 1<<20); n != 0 {
			t.Errorf("Fill gives %d entries", n)
		}
		must(t, tb.Append(nil))
		audit(t, tb)
	}
}

func TestAppendRefusesWholeBatch(t *testing.T) {
	huge := make([]byte, MaxPayload+1)
	for name, tc := range map[string]struct {
		batch []raftlog.Entry
		want  error
	}{
		"index 0":         {entries(0, 1), ErrGap},
		"behind":          {entries(10, 1), ErrGap},
		"ahead":           {entries(12, 1), ErrGap},
		"gap in batch":    {append(entries(11, 1, 1), entry(14, 1)), ErrGap},
		"repeat in batch": {append(entries(11, 1, 1), entry(12, 1)), ErrGap},
		"too large":       {append(entries(11, 1), raftlog.Entry{Index: 12, Data: huge}), ErrTooLarge},
	} {
		tb := New(10)
		must(t, tb.Append(entries(10, 5)))
		before := tb.Bytes()
		if err := tb.Append(tc.batch); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		e := tc.batch[len(tc.batch)-1]
		if err := tb.AppendChecked(raftlog.Entry{Index: e.Index + 7}, 0); !errors.Is(err, ErrGap) {
			t.Errorf("%s: AppendChecked: %v", name, err)
		}
		if tb.Last() != 10 || tb.Bytes() != before || tb.Contains(11) {
			t.Errorf("%s: a refused batch changed the table", name)
		}
		must(t, tb.Append(entries(11, 5)))
	}
}

func TestHighestIndex(t *testing.T) {
	tb := New(MaxIndex - 1)
	must(t, tb.Append(entries(MaxIndex-1, 3, 3)))
	if err := tb.Append(entries(MaxIndex+1, 1)); !errors.Is(err, ErrGap) {
		t.Fatalf("index above MaxIndex: %v", err)
	}
	e, crc, ok := tb.Get(MaxIndex)
	if !ok {
		t.Fatal("MaxIndex is not held")
	}
	must(t, same(e, crc, entry(MaxIndex, 3)))
	if next := tb.Each(MaxIndex-1, ^raftlog.Index(0), func(raftlog.Entry, uint32) bool { return true }); next != MaxIndex+1 {
		t.Fatalf("Each ends at %d", next)
	}
	tb.Release(^raftlog.Index(0))
	if tb.First() != MaxIndex+1 || tb.Contains(MaxIndex) || !tb.Range().Empty() {
		t.Fatal("MaxIndex survives its release")
	}
}

func TestPayloadIsCopied(t *testing.T) {
	for _, size := range []int{1, 5000, ownChunk, 3 << 20} {
		tb := New(1)
		e := entry(1, size)
		must(t, tb.Append([]raftlog.Entry{e}))
		clear(e.Data)
		got, crc, _ := tb.Get(1)
		must(t, same(got, crc, entry(1, size)))
	}
}

func TestLargestPayload(t *testing.T) {
	tb := New(1)
	data := bytes.Repeat([]byte("0123456789abcdef"), MaxPayload/16)
	must(t, tb.Append([]raftlog.Entry{entry(1, 10), {Index: 2, Term: ^raftlog.Term(0), Type: 255, Data: data}, entry(3, 10)}))
	e, crc, ok := tb.Get(2)
	if !ok || !bytes.Equal(e.Data, data) || crc != sum(data) || e.Term != ^raftlog.Term(0) || e.Type != 255 {
		t.Fatal("the largest payload came back changed")
	}
	audit(t, tb)
}

func TestDurableOnlyRises(t *testing.T) {
	tb := New(5)
	for _, step := range []struct{ set, want raftlog.Index }{{0, 0}, {7, 7}, {6, 7}, {7, 7}, {MaxIndex, MaxIndex}, {1, MaxIndex}} {
		if tb.SetDurable(step.set); tb.Durable() != step.want {
			t.Fatalf("SetDurable(%d) gives %d, want %d", step.set, tb.Durable(), step.want)
		}
	}
}

func TestEachAndFillBounds(t *testing.T) {
	tb := New(100)
	for i := raftlog.Index(100); i < 400; i++ {
		must(t, tb.Append(entries(i, int(i)%50)))
	}
	tb.Release(149)
	for _, tc := range []struct{ first, last, stop, next raftlog.Index }{
		{150, 399, 0, 400},
		{150, 1000, 0, 400},
		{200, 250, 0, 251},
		{163, 164, 0, 165},
		{150, 150, 0, 151},
		{200, 300, 210, 211},
		{200, 300, 200, 201},
		{149, 300, 0, 149},
		{400, 500, 0, 400},
		{300, 200, 0, 300},
		{0, 10, 0, 0},
	} {
		want := tc.first
		next := tb.Each(tc.first, tc.last, func(e raftlog.Entry, crc uint32) bool {
			must(t, same(e, crc, entry(want, int(want)%50)))
			want++
			return e.Index != tc.stop
		})
		if next != tc.next || want != next {
			t.Errorf("Each(%d, %d): next %d after %d calls, want %d", tc.first, tc.last, next, want-tc.first, tc.next)
		}
		n := 0
		if tc.first <= tc.last {
			n = int(min(tc.last, 5000) - tc.first + 1)
		}
		es, crcs := make([]raftlog.Entry, n+3), make([]uint32, n)
		if got, _ := tb.Fill(tc.first, es, crcs, 1<<20); tc.stop == 0 && got != int(tc.next-tc.first) {
			t.Errorf("Fill(%d) of %d sets %d", tc.first, n, got)
		} else {
			for k := range got {
				i := tc.first + raftlog.Index(k)
				must(t, same(es[k], crcs[k], entry(i, int(i)%50)))
			}
		}
	}
}

func TestSparseRefuses(t *testing.T) {
	tb := New(10)
	must(t, tb.Append(entries(10, 1, 1, 1)))
	must(t, tb.PutSparse(entries(5, 8)))
	other := entry(5, 8)
	other.Term++
	dense := entry(11, 1)
	dense.Term++
	for name, tc := range map[string]struct {
		batch []raftlog.Entry
		want  error
	}{
		"index 0":        {entries(0, 1), ErrGap},
		"above last":     {entries(13, 1), ErrGap},
		"descending":     {[]raftlog.Entry{entry(4, 1), entry(3, 1)}, ErrGap},
		"twice":          {[]raftlog.Entry{entry(4, 1), entry(4, 1)}, ErrGap},
		"too large":      {[]raftlog.Entry{entry(4, 1), {Index: 6, Data: make([]byte, MaxPayload+1)}}, ErrTooLarge},
		"another sparse": {[]raftlog.Entry{entry(4, 1), other}, ErrConflict},
		"another dense":  {[]raftlog.Entry{entry(4, 1), dense}, ErrConflict},
	} {
		before := tb.Bytes()
		if err := tb.PutSparse(tc.batch); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if tb.Bytes() != before || tb.Contains(4) {
			t.Errorf("%s: a refused batch changed the table", name)
		}
	}
}

func TestSparseOutlivesRelease(t *testing.T) {
	tb := New(1)
	for i := raftlog.Index(1); i <= 300; i++ {
		must(t, tb.Append(entries(i, 40)))
	}
	keep := raftlog.SeqOf(3, 64, 65, 200)
	var batch []raftlog.Entry
	for i := range keep.All() {
		e, _, _ := tb.Get(i)
		batch = append(batch, e)
	}
	must(t, tb.PutSparse(batch))
	tb.Release(250)
	for i := raftlog.Index(1); i <= 300; i++ {
		if want := keep.Contains(i) || i > 250; tb.Contains(i) != want {
			t.Fatalf("index %d held: %v", i, !want)
		}
	}
	tb.ReleaseSparse(raftlog.SeqOf(64, 200, 299).Contains)
	if got := tb.Sparse(); !got.Equal(raftlog.SeqOf(3, 65)) || tb.Contains(64) || !tb.Contains(299) {
		t.Fatalf("left: %v", got)
	}
	tb.ReleaseSparse(func(raftlog.Index) bool { return true })
	tb.Release(MaxIndex)
	tb.Trim()
	if tb.Bytes() != 0 {
		t.Fatalf("%d bytes held by an empty table", tb.Bytes())
	}
}
