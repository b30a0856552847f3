package segment_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

const (
	testID     = raftlog.LogID(7)
	testNumber = 3
	testName   = "x.seg"
)

var testHeader = segment.Header{ID: testID, Number: testNumber, UID: "tenant-1"}

// entry makes an entry whose payload of n bytes says which it is.
func entry(i raftlog.Index, term raftlog.Term, n int) raftlog.Entry {
	data := make([]byte, n)
	for at := range data {
		data[at] = byte(uint64(i)*31 + uint64(term)*7 + uint64(at))
	}
	if n >= 16 {
		binary.LittleEndian.PutUint64(data, uint64(i))
		binary.LittleEndian.PutUint64(data[8:], uint64(term))
	}
	return raftlog.Entry{Index: i, Term: term, Type: uint8(i), Data: data}
}

func dense(first, last raftlog.Index, term raftlog.Term, n int) []raftlog.Entry {
	var entries []raftlog.Entry
	for i := first; i <= last; i++ {
		entries = append(entries, entry(i, term, n))
	}
	return entries
}

// image is a segment file in the making.
type image struct {
	bytes  []byte
	seg    raftlog.Segment
	want   map[raftlog.Index]raftlog.Entry
	starts []int // of the chunks
	bounds []raftlog.Range
}

func newImage() *image {
	m := &image{bytes: make([]byte, segment.BlockSize), want: map[raftlog.Index]raftlog.Entry{}}
	testHeader.Encode(m.bytes)
	m.seg = raftlog.Segment{Number: testNumber, Bytes: segment.BlockSize}
	return m
}

func (m *image) chunk(t testing.TB, entries []raftlog.Entry) *image {
	t.Helper()
	var b segment.Builder
	for _, e := range entries {
		if err := b.Add(e, frame.Checksum(e.Data)); err != nil {
			t.Fatal(err)
		}
	}
	first, last := b.First(), b.Last()
	buf := b.Encode(make([]byte, b.Size()), segment.Place{ID: testID, Number: testNumber,
		Offset: m.seg.Bytes, Before: m.seg.Entries, PrevLast: m.seg.Range.Last})
	m.starts = append(m.starts, len(m.bytes))
	m.bounds = append(m.bounds, raftlog.Range{First: first, Last: last})
	m.bytes = append(m.bytes, buf...)
	for i := range m.want {
		if i >= first {
			delete(m.want, i)
		}
	}
	for _, e := range entries {
		m.want[e.Index] = e
	}
	m.seg.Bytes = int64(len(m.bytes))
	m.seg.Entries += uint32(len(entries))
	if m.seg.Range.Empty() {
		m.seg.Range.First = first
	}
	m.seg.Range = raftlog.Range{First: min(m.seg.Range.First, first), Last: last}
	return m
}

// holding returns a file system with b as the file testName.
func holding(t testing.TB, b []byte) vfs.FS {
	t.Helper()
	fs := memfs.New(1)
	f, err := fs.Create(testName, vfs.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return fs
}

func open(t testing.TB, b []byte, s raftlog.Segment) *segment.Reader {
	t.Helper()
	r, err := segment.Open(holding(t, b), testName, testID, s, segment.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func same(a, b raftlog.Entry) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Type == b.Type && bytes.Equal(a.Data, b.Data)
}

// check reads all indexes of rng in every way. Each must come out as wanted, or be refused
// when hit says so; it returns how many were refused.
func check(t testing.TB, r *segment.Reader, want map[raftlog.Index]raftlog.Entry, rng raftlog.Range,
	hit func(raftlog.Index) bool) (refused int) {
	t.Helper()
	got := map[raftlog.Index]bool{}
	for i := rng.First; i <= rng.Last; i++ {
		w, exists := want[i]
		e, _, err := r.Get(i, nil)
		var damage *segment.CorruptError
		switch {
		case err == nil && exists && same(e, w):
			got[i] = true
		case errors.Is(err, segment.ErrNotFound) && !exists:
		case errors.As(err, &damage) && hit(i):
			if !damage.Range.Contains(i) || !errors.Is(err, frame.ErrCorrupt) {
				t.Fatalf("index %d refused by %v", i, err)
			}
			refused++
		default:
			t.Fatalf("index %d: got %v, %v; exists %t", i, e.ID(), err, exists)
		}
		if term, err := r.Term(i); err == nil && (!exists || term != w.Term) {
			t.Fatalf("index %d: term %d, exists %t, want %d", i, term, exists, w.Term)
		}
	}
	prev := raftlog.Index(0)
	for e, err := range r.Scan(rng) {
		if err != nil {
			continue
		}
		if !got[e.Index] || !same(e, want[e.Index]) || e.Index <= prev {
			t.Fatalf("scan yields %v after %d; Get agrees: %t", e.ID(), prev, got[e.Index])
		}
		prev = e.Index
		delete(got, e.Index)
	}
	if len(got) > 0 {
		t.Fatalf("scan left out %v", got)
	}
	checkNext(t, r, rng)
	checkStretch(t, r, rng)
	return refused
}

func never(raftlog.Index) bool { return false }
func maybe(raftlog.Index) bool { return true }
