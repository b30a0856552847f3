package segment_test

import (
	"errors"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

// checkStretch holds the stretches of every index of rng against Get of each.
func checkStretch(t testing.TB, r *segment.Reader, rng raftlog.Range) {
	t.Helper()
	near := 0
	for i := max(rng.First, 1); i <= rng.Last; {
		s, err := r.Stretch(i, 3, 200, &near)
		loc, want := r.Locate(i)
		if (err == nil) != (want == nil) || errors.Is(err, segment.ErrNotFound) != errors.Is(want, segment.ErrNotFound) {
			t.Fatalf("stretch of %d: %v, want %v", i, err, want)
		}
		if err != nil {
			i++
			continue
		}
		if s.First != i || s.Len() < 1 || s.Len() > 3 || s.Len() > 1 && s.Bytes > 200 || s.Head() != loc {
			t.Fatalf("stretch of %d: %+v at %+v", i, s, loc)
		}
		skip := int(s.Offset % segment.BlockSize)
		data := segment.AlignedBuffer((skip + s.Bytes + segment.BlockSize - 1) / segment.BlockSize * segment.BlockSize)
		n, _ := r.File().ReadAt(data, s.Offset-int64(skip)) // where the file ends early, Get does, too
		checkTake(t, r, s, data[min(skip, n):min(skip+s.Bytes, n)])
		i += raftlog.Index(s.Len())
	}
}

// checkTake takes a stretch, whose bytes are data, entry by entry.
func checkTake(t testing.TB, r *segment.Reader, s segment.Stretch, data []byte) {
	t.Helper()
	var whole [3]raftlog.Entry
	all := s
	n := all.Take(data, whole[:])
	for k := 0; s.Len() > 0; k++ {
		i := s.First
		want, _, err := r.Get(i, nil)
		if (err == nil) != (k < n) && k <= n {
			t.Fatalf("take gives %d entries from %d on; %d: %v", n, i-raftlog.Index(k), i, err)
		}
		if k < n && !same(whole[k], want) {
			t.Fatalf("took %v, want %v", whole[k], want)
		}
		skip := s.Head().Length
		s.Skip()
		data = data[min(skip, len(data)):]
	}
}

// A stretch is cut by its bounds, by gaps and by terms, and a bad payload stops Take at its place.
func TestStretch(t *testing.T) {
	m := newImage().chunk(t, append(dense(5, 9, 2, 40), dense(10, 14, 3, 0)...)).chunk(t, dense(20, 29, 3, 100))
	r := open(t, m.bytes, m.seg)
	near := 0
	for _, c := range []struct {
		i            raftlog.Index
		count, bytes int
		want         int
	}{{5, 99, 1 << 20, 5}, {6, 2, 1 << 20, 2}, {6, 99, 80, 2}, {6, 99, 79, 1}, {6, 99, 0, 1}, {10, 99, 0, 5}, {22, 99, 1 << 20, 8}, {5, 99, 200, 5}} {
		s, err := r.Stretch(c.i, c.count, c.bytes, &near)
		if err != nil || s.Len() != c.want || s.First != c.i {
			t.Errorf("%+v: %d entries from %d on, %v", c, s.Len(), s.First, err)
		}
	}
	s, err := r.Stretch(20, 10, 1<<20, &near)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, s.Bytes)
	if _, err := r.File().ReadAt(data, s.Offset); err != nil {
		t.Fatal(err)
	}
	data[350]++ // of entry 23
	var out [10]raftlog.Entry
	if n := s.Take(data, out[:2]); n != 2 || s.First != 22 || s.Bytes != 800 {
		t.Fatalf("took %d, %+v is left", n, s)
	}
	if n := s.Take(data[200:], out[:]); n != 1 || s.First != 23 {
		t.Fatalf("took %d up to the bad one, %+v is left", n, s)
	}
	if n := s.Take(data[300:], out[:]); n != 0 {
		t.Fatalf("took %d that do not verify", n)
	}
	s.Skip()
	if n := s.Take(data[400:550], out[:]); n != 1 || s.First != 25 || s.Len() != 5 {
		t.Fatalf("took %d of one and a half, %+v is left", n, s)
	}
}
