package readplan_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/readplan"
)

// write appends a chunk of entries [first, last] to a segment and returns its new description.
func write(t testing.TB, fsys vfs.FS, id raftlog.LogID, s raftlog.Segment, first, last raftlog.Index, term raftlog.Term) raftlog.Segment {
	t.Helper()
	dir := "/logs/" + segment.DirName(id)
	if err := fsys.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, segment.FileName(s.Number))
	f, err := fsys.Open(name, vfs.OpenOptions{Write: true})
	if errors.Is(err, fs.ErrNotExist) {
		f, err = fsys.Create(name, vfs.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if s.Bytes == 0 {
		head := make([]byte, segment.BlockSize)
		segment.Header{ID: id, Number: s.Number, UID: "u"}.Encode(head)
		if _, err := f.WriteAt(head, 0); err != nil {
			t.Fatal(err)
		}
		s.Bytes, s.Range.First = segment.BlockSize, first
	}
	var b segment.Builder
	for i := first; i <= last; i++ {
		data := []byte{byte(i), byte(term)}
		if err := b.Add(raftlog.Entry{Index: i, Term: term, Data: data}, frame.Checksum(data)); err != nil {
			t.Fatal(err)
		}
	}
	chunk := b.Encode(make([]byte, b.Size()), segment.Place{ID: id, Number: s.Number, Offset: s.Bytes,
		Before: s.Entries, PrevLast: s.Range.Last})
	if _, err := f.WriteAt(chunk, s.Bytes); err != nil {
		t.Fatal(err)
	}
	s.Bytes += int64(len(chunk))
	s.Entries += uint32(last - first + 1)
	s.Range.Last = last
	return s
}

func newCache(t testing.TB, fsys vfs.FS, files int) *readplan.Cache {
	t.Helper()
	c, err := readplan.NewCache(readplan.CacheOptions{FS: fsys, Dir: "/logs", Files: files})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if n := c.Len(); n != 0 {
			t.Errorf("%d files stay open", n)
		}
	})
	return c
}

func acquire(t testing.TB, c *readplan.Cache, id raftlog.LogID, s raftlog.Segment) readplan.Ref {
	t.Helper()
	ref, err := c.Acquire(id, s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func wantTerm(t testing.TB, ref readplan.Ref, i raftlog.Index, want raftlog.Term) {
	t.Helper()
	if e, _, err := ref.Reader().Get(i, nil); err != nil || e.Term != want || e.Data[1] != byte(want) {
		t.Fatalf("index %d: %v, %v; want term %d", i, e, err, want)
	}
}

func TestShare(t *testing.T) {
	fsys := memfs.New(1)
	c := newCache(t, fsys, 4)
	s := write(t, fsys, 1, raftlog.Segment{Number: 1}, 1, 9, 1)
	a := acquire(t, c, 1, s)
	higher := s
	higher.Range.First = 4 // a release
	b := acquire(t, c, 1, higher)
	if a.Reader() != b.Reader() || c.Len() != 1 {
		t.Fatal("two readers for one promise")
	}
	a.Release()
	wantTerm(t, b, 9, 1)
	b.Release()
	if again := acquire(t, c, 1, s); c.Len() != 1 {
		t.Fatal("not kept")
	} else {
		again.Release()
	}
}

// A segment grows by an overwrite: old views keep what they were promised, new ones see the new.
func TestGrown(t *testing.T) {
	fsys := memfs.New(1)
	c := newCache(t, fsys, 4)
	old := write(t, fsys, 1, raftlog.Segment{Number: 1}, 1, 9, 1)
	before := acquire(t, c, 1, old)
	now := write(t, fsys, 1, old, 5, 20, 2)
	after := acquire(t, c, 1, now)
	wantTerm(t, before, 7, 1)
	wantTerm(t, after, 7, 2)
	late := acquire(t, c, 1, old) // still an old view
	wantTerm(t, late, 7, 1)
	shared := acquire(t, c, 1, now)
	if shared.Reader() != after.Reader() {
		t.Fatal("an old view displaced the new reader")
	}
	cut := now
	cut.Range.Last = 8
	short := acquire(t, c, 1, cut)
	if _, err := short.Reader().Term(9); !errors.Is(err, segment.ErrNotFound) {
		t.Fatalf("an entry above the cut: %v", err)
	}
	for _, r := range []readplan.Ref{before, after, late, shared, short} {
		r.Release()
	}
	if c.Len() != 1 {
		t.Fatalf("%d files open, want the newest only", c.Len())
	}
}

func TestEviction(t *testing.T) {
	fsys := memfs.New(1)
	c := newCache(t, fsys, 3)
	var segs []raftlog.Segment
	for n := uint64(1); n <= 6; n++ {
		segs = append(segs, write(t, fsys, 1, raftlog.Segment{Number: n}, 1, 9, 1))
	}
	var refs []readplan.Ref
	for _, s := range segs {
		refs = append(refs, acquire(t, c, 1, s))
	}
	if c.Len() != 6 {
		t.Fatalf("%d files open, all are in use", c.Len())
	}
	for _, r := range refs {
		r.Release()
	}
	if c.Len() != 3 {
		t.Fatalf("%d files open, want 3", c.Len())
	}
	kept := acquire(t, c, 1, segs[3]) // the least recently used of 3, now the most
	kept.Release()
	acquire(t, c, 1, segs[0]).Release()
	if again := acquire(t, c, 1, segs[3]); again.Reader() != kept.Reader() {
		t.Fatal("evicted although recently used")
	} else {
		again.Release()
	}
}

func TestDrop(t *testing.T) {
	fsys := memfs.New(1)
	c := newCache(t, fsys, 8)
	s := write(t, fsys, 1, raftlog.Segment{Number: 1}, 1, 9, 1)
	other := write(t, fsys, 2, raftlog.Segment{Number: 1}, 1, 9, 1)
	a, b := acquire(t, c, 1, s), acquire(t, c, 2, other)
	b.Release()
	c.Drop(1)
	if c.Len() != 2 {
		t.Fatalf("%d files open: one in use, one cached", c.Len())
	}
	wantTerm(t, a, 3, 1)
	removed := 0
	c.Retire(1, 1, func() { removed++ })
	if removed != 0 {
		t.Fatal("removed while in use")
	}
	a.Release()
	if removed != 1 || c.Len() != 1 {
		t.Fatalf("removed %d times, %d open", removed, c.Len())
	}
	c.Retire(2, 1, func() { removed++ })
	c.Retire(3, 1, func() { removed++ })
	if removed != 3 || c.Len() != 0 {
		t.Fatalf("removed %d times, %d open", removed, c.Len())
	}
}

func TestErrors(t *testing.T) {
	fsys := memfs.New(1)
	c := newCache(t, fsys, 8)
	s := raftlog.Segment{Number: 1, Bytes: 8192, Range: raftlog.Range{First: 1, Last: 9}}
	for range 3 {
		if _, err := c.Acquire(1, s); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("acquire: %v", err)
		}
	}
	if c.Len() != 0 {
		t.Fatalf("%d files open", c.Len())
	}
	acquire(t, c, 1, write(t, fsys, 1, raftlog.Segment{Number: 1}, 1, 9, 1)).Release()
	c.Close()
	if _, err := c.Acquire(1, s); !errors.Is(err, readplan.ErrClosed) {
		t.Fatalf("acquire: %v", err)
	}
	if _, err := readplan.NewCache(readplan.CacheOptions{Files: -1}); err == nil {
		t.Fatal("bad options taken")
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	fsys := memfs.New(1)
	c := newCache(t, fsys, 8)
	s := write(t, fsys, 1, raftlog.Segment{Number: 1}, 1, 9, 1)
	acquire(t, c, 1, s).Release()
	if n := testing.AllocsPerRun(100, func() { acquire(t, c, 1, s).Release() }); n != 0 {
		t.Errorf("%v allocations per hit", n)
	}
}

func TestConcurrent(t *testing.T) {
	fsys := memfs.New(1)
	c := newCache(t, fsys, 2)
	const logs = 5
	var segs [logs][]raftlog.Segment
	for id := range raftlog.LogID(logs) {
		s := raftlog.Segment{Number: 1}
		for n := range raftlog.Index(4) {
			s = write(t, fsys, id, s, n*5+1, n*5+8, raftlog.Term(n+1))
			segs[id] = append(segs[id], s)
		}
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 300 {
				id, k := raftlog.LogID((n+g)%logs), (n*7+g)%4
				ref, err := c.Acquire(id, segs[id][k])
				if err != nil {
					t.Error(err)
					return
				}
				if term, err := ref.Reader().Term(raftlog.Index(k*5 + 8)); err != nil || term != raftlog.Term(k+1) {
					t.Errorf("term %d, %v", term, err)
				}
				ref.Release()
				if n%50 == 0 {
					c.Drop(id)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkHit(b *testing.B) {
	fsys := memfs.New(1)
	c := newCache(b, fsys, 8)
	s := write(b, fsys, 1, raftlog.Segment{Number: 1}, 1, 9, 1)
	b.ReportAllocs()
	for b.Loop() {
		acquire(b, c, 1, s).Release()
	}
}
