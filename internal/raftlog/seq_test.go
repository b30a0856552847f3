package raftlog

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

const maxIndex = ^Index(0)

// model is the obvious set that a Seq must agree with.
type model map[Index]bool

func (m model) sorted() []Index { return slices.Sorted(maps.Keys(m)) }

func (m model) where(keep func(Index) bool) model {
	out := model{}
	for i := range m {
		if keep(i) {
			out[i] = true
		}
	}
	return out
}

func checkSeq(t *testing.T, what string, s Seq, m model) {
	t.Helper()
	want := m.sorted()
	if got := slices.Collect(s.All()); !slices.Equal(got, want) {
		t.Fatalf("%s: members %v, want %v", what, got, want)
	}
	if s.Len() != uint64(len(want)) || s.Empty() != (len(want) == 0) {
		t.Fatalf("%s: Len %d, Empty %v, want %d members", what, s.Len(), s.Empty(), len(want))
	}
	var first, last Index
	if len(want) > 0 {
		first, last = want[0], want[len(want)-1]
	}
	if s.First() != first || s.Last() != last {
		t.Fatalf("%s: bounds %d..%d, want %d..%d", what, s.First(), s.Last(), first, last)
	}
	for i := range Index(70) {
		if s.Contains(i) != m[i] {
			t.Fatalf("%s: Contains(%d) = %v", what, i, !m[i])
		}
	}
	checkShape(t, what, s)
}

// checkShape checks what the representation promises and that it survives encoding.
func checkShape(t *testing.T, what string, s Seq) {
	t.Helper()
	var prev Range
	for r := range s.Ranges() {
		if r.Empty() || !prev.Empty() && (r.First <= prev.Last || r.First-prev.Last < 2) {
			t.Fatalf("%s: ranges %v not ascending, apart and maximal", what, s)
		}
		prev = r
	}
	b := s.AppendBinary([]byte("x"))
	back, n, err := ParseSeq(append(b, "tail"...)[1:])
	if err != nil || n != len(b)-1 || !back.Equal(s) {
		t.Fatalf("%s: %v decoded as %v, %d bytes of %d, %v", what, s, back, n, len(b)-1, err)
	}
}

func randomSeq(r *rand.Rand) (Seq, model) {
	var s Seq
	m := model{}
	for range r.IntN(20) {
		if r.IntN(2) == 0 {
			i := Index(r.IntN(64))
			s.Add(i)
			if i > 0 {
				m[i] = true
			}
			continue
		}
		x := Range{First: Index(r.IntN(64)), Last: Index(r.IntN(64))}
		s.AddRange(x)
		if !x.Empty() {
			for i := x.First; i <= x.Last; i++ {
				m[i] = true
			}
		}
	}
	return s, m
}

func TestSeqAgreesWithModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		a, ma := randomSeq(r)
		b, mb := randomSeq(r)
		checkSeq(t, "a", a, ma)
		i := Index(r.IntN(66))
		checkSeq(t, "floor", a.Floor(i), ma.where(func(x Index) bool { return x >= i }))
		checkSeq(t, "limit", a.Limit(i), ma.where(func(x Index) bool { return x <= i }))
		both := maps.Clone(ma)
		maps.Copy(both, mb)
		checkSeq(t, "union", a.Union(b), both)
		if a.Equal(b) != maps.Equal(ma, mb) {
			t.Fatalf("%v equal %v: %v", a, b, a.Equal(b))
		}
		if of := SeqOf(ma.sorted()...); !of.Equal(a) {
			t.Fatalf("SeqOf gives %v, want %v", of, a)
		}
	}
}

func TestSeqResultsShareNoMemory(t *testing.T) {
	s := SeqOf(1, 3, 5, 7)
	for what, other := range map[string]Seq{
		"clone": s.Clone(), "floor": s.Floor(0), "limit": s.Limit(maxIndex), "union": s.Union(Seq{}),
	} {
		other.AddRange(Range{First: 1, Last: 100})
		if !s.Equal(SeqOf(1, 3, 5, 7)) {
			t.Fatalf("%s: changing the result changed its origin to %v", what, s)
		}
	}
}

func TestSeqAtTheHighestIndex(t *testing.T) {
	var s Seq
	s.Add(maxIndex)
	s.AddRange(Range{First: maxIndex - 2, Last: maxIndex - 1})
	s.AddRange(Range{First: 1, Last: 2})
	if s.Len() != 5 || s.Last() != maxIndex || !s.Contains(maxIndex) || s.Contains(maxIndex-3) {
		t.Fatalf("unexpected set %v", s)
	}
	checkShape(t, "high", s)
	if got := slices.Collect(s.Floor(maxIndex - 1).All()); !slices.Equal(got, []Index{maxIndex - 1, maxIndex}) {
		t.Fatalf("Floor gives %v", got)
	}
	if got := s.Limit(0); !got.Empty() {
		t.Fatalf("Limit(0) gives %v", got)
	}
	s.AddRange(Range{First: 1, Last: maxIndex})
	if s.Len() != uint64(maxIndex) || s.String() != "{[1,18446744073709551615]}" {
		t.Fatalf("full set is %v of %d", s, s.Len())
	}
	checkShape(t, "full", s)
	for range s.All() { // leaving early must not run to the end
		break
	}
}

func TestSeqString(t *testing.T) {
	if got := SeqOf(7, 1, 2, 3).String(); got != "{[1,3] [7,7]}" {
		t.Fatal(got)
	}
	if got := (Seq{}).String(); got != "{}" {
		t.Fatal(got)
	}
}

func TestParseSeqRefuses(t *testing.T) {
	ff := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01} // 2^64 - 1
	fe := []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01} // 2^64 - 2
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, b := range map[string][]byte{
		"nothing":             {},
		"no ranges":           {1},
		"half a range":        {1, 0},
		"second range absent": {2, 0, 0},
		"count beyond input":  cat(ff, []byte{0, 0}),
		"padded count":        {0x80, 0},
		"padded number":       {1, 0x80, 0, 0},
		"oversized number":    cat([]byte{1}, ff[:9], []byte{0x02, 0, 0}),
		"first wraps":         cat([]byte{1}, ff, []byte{0, 0}),
		"last wraps":          cat([]byte{1, 1}, ff),
		"second wraps":        cat([]byte{2, 0, 0}, ff, []byte{0}),
		"none after the last": cat([]byte{2}, fe, []byte{0, 0, 0, 0, 0}),
		"none after all":      cat([]byte{2, 0}, fe, []byte{0, 0}),
	} {
		s, n, err := ParseSeq(b)
		if !errors.Is(err, ErrBadSeq) || n != 0 || !s.Empty() {
			t.Errorf("%s: got %v, %d bytes, %v", name, s, n, err)
		}
	}
}

func FuzzParseSeq(f *testing.F) {
	for _, s := range []Seq{{}, SeqOf(1), SeqOf(1, 3, 4, 5, 900, 1<<40), SeqOf(maxIndex-2, maxIndex)} {
		f.Add(s.AppendBinary(nil))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, n, err := ParseSeq(b)
		if err != nil {
			if !errors.Is(err, ErrBadSeq) || n != 0 {
				t.Fatalf("n %d, error %v", n, err)
			}
			return
		}
		if !bytes.Equal(s.AppendBinary(nil), b[:n]) {
			t.Fatal("decoding then encoding changed the bytes")
		}
		var rebuilt Seq
		for r := range s.Ranges() {
			rebuilt.AddRange(r)
		}
		if !rebuilt.Equal(s) {
			t.Fatalf("decoded %v is not of the canonical shape %v", s, rebuilt)
		}
	})
}

func BenchmarkSeqAddAscending(b *testing.B) {
	b.ReportAllocs()
	var s Seq
	i := Index(1)
	for b.Loop() {
		s.Add(i)
		if i += 2; i > 1<<20 {
			s, i = Seq{}, 1
		}
	}
}

func TestSeqNext(t *testing.T) {
	s := SeqOf(3, 4, 9, ^Index(0))
	for _, c := range [][2]Index{{0, 3}, {1, 3}, {3, 3}, {4, 4}, {5, 9}, {9, 9}, {10, ^Index(0)}, {^Index(0), ^Index(0)}} {
		if got := s.Next(c[0]); got != c[1] {
			t.Errorf("Next(%d) = %d, want %d", c[0], got, c[1])
		}
	}
	if got := SeqOf(3).Next(4); got != 0 {
		t.Errorf("Next behind the last is %d", got)
	}
}
