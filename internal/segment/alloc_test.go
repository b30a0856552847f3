package segment_test

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

func TestBuilderAllocatesNothing(t *testing.T) {
	var b segment.Builder
	entries := dense(1, 100, 1, 256)
	buf := make([]byte, 64<<10)
	n := testing.AllocsPerRun(100, func() {
		for _, e := range entries {
			if err := b.Add(e, 1); err != nil {
				t.Fatal(err)
			}
		}
		b.Encode(buf, segment.Place{ID: 1, Number: 1, Offset: segment.BlockSize})
	})
	if n != 0 {
		t.Errorf("%v allocations per chunk", n)
	}
}

func TestGetAllocatesNothing(t *testing.T) {
	m := newImage().chunk(t, dense(1, 100, 1, 256))
	r := onDisk(t, m)
	buf := make([]byte, 0, 4096)
	i := raftlog.Index(0)
	n := testing.AllocsPerRun(100, func() {
		i = i%100 + 1
		if _, _, err := r.Get(i, buf); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Term(i); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations per read", n)
	}
}

// onDisk opens m on the real file system.
func onDisk(t testing.TB, m *image) *segment.Reader {
	t.Helper()
	fs, err := fallback.Open(fallback.Options{})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), testName)
	f, err := fs.Create(name, vfs.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(m.bytes, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := segment.Open(fs, name, testID, m.seg, segment.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestRealFile(t *testing.T) {
	m := damageable(t)
	check(t, onDisk(t, m), m.want, around(m.seg.Range), never)
}

// Chunks beyond 4 GiB: the file is sparse, its large payloads are never read.
func TestBeyond4GiB(t *testing.T) {
	fs, err := fallback.Open(fallback.Options{})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), testName)
	f, err := fs.Create(name, vfs.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, segment.BlockSize)
	testHeader.Encode(head)
	put(t, f, head, 0)
	at := int64(segment.BlockSize)
	s := raftlog.Segment{Number: testNumber, Range: raftlog.Range{First: 1, Last: 9}}
	for i := raftlog.Index(1); i <= 5; i++ {
		first, last, size := segment.SparseChunk(testID, testNumber, at, i, 1<<30)
		put(t, f, first, at)
		put(t, f, last, at+size-int64(len(last)))
		at, s.Entries = at+size, s.Entries+1
	}
	var b segment.Builder
	for _, e := range dense(6, 9, 1, 100) {
		if err := b.Add(e, frame.Checksum(e.Data)); err != nil {
			t.Fatal(err)
		}
	}
	chunk := b.Encode(make([]byte, b.Size()), segment.Place{ID: testID, Number: testNumber, Offset: at, Before: 5, PrevLast: 5})
	put(t, f, chunk, at)
	s.Bytes, s.Entries = at+int64(len(chunk)), s.Entries+4
	r, err := segment.Open(fs, name, testID, s, segment.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if d := r.Damage(); len(d) != 0 {
		t.Fatalf("damage %v", d)
	}
	for i := raftlog.Index(6); i <= 9; i++ {
		if e, _, err := r.Get(i, nil); err != nil || !same(e, entry(i, 1, 100)) {
			t.Fatalf("index %d: %v", i, err)
		}
		if l, err := r.Locate(i); err != nil || l.Offset <= 5<<30 {
			t.Fatalf("index %d lies at %d, %v", i, l.Offset, err)
		}
	}
}

func put(t testing.TB, f io.WriterAt, b []byte, off int64) {
	t.Helper()
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkGet(b *testing.B) {
	r := onDisk(b, newImage().chunk(b, dense(1, 3000, 1, 256)))
	buf := make([]byte, 0, 4096)
	i := raftlog.Index(0)
	b.ReportAllocs()
	for b.Loop() {
		i = i%3000 + 1
		if _, _, err := r.Get(i, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	m := newImage()
	for c := range raftlog.Index(16) {
		m.chunk(b, dense(1+c*256, 256+c*256, 1, 1024))
	}
	r := onDisk(b, m)
	b.SetBytes(4096 * 1024)
	for b.Loop() {
		for _, err := range r.Scan(m.seg.Range) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	var bl segment.Builder
	entries := dense(1, 3000, 1, 256)
	buf := make([]byte, 2<<20)
	b.SetBytes(3000 * 256)
	for b.Loop() {
		for _, e := range entries {
			_ = bl.Add(e, 1)
		}
		bl.Encode(buf, segment.Place{ID: 1, Number: 1, Offset: segment.BlockSize})
	}
}
