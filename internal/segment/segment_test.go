package segment_test

import (
	"errors"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

func around(r raftlog.Range) raftlog.Range {
	return raftlog.Range{First: max(r.First, 3) - 2, Last: r.Last + 3}
}

func TestRoundTrip(t *testing.T) {
	sparse := append(dense(5, 9, 2, 40), dense(20, 22, 2, 0)...)
	cases := map[string]*image{
		"one entry":      newImage().chunk(t, dense(1, 1, 1, 100)),
		"chunks":         newImage().chunk(t, dense(1, 50, 1, 100)).chunk(t, dense(51, 60, 1, 5000)),
		"empty payloads": newImage().chunk(t, dense(1, 9, 1, 0)),
		"term changes":   newImage().chunk(t, append(dense(1, 5, 1, 9), dense(6, 7, 3, 9)...)),
		"holes":          newImage().chunk(t, sparse).chunk(t, dense(40, 41, 3, 10)),
		"overwrite":      newImage().chunk(t, dense(1, 50, 1, 100)).chunk(t, dense(20, 30, 2, 77)),
		"overwrite all":  newImage().chunk(t, dense(10, 50, 1, 100)).chunk(t, dense(8, 9, 2, 77)),
		"twice":          newImage().chunk(t, dense(1, 9, 1, 9)).chunk(t, dense(5, 6, 2, 9)).chunk(t, dense(6, 12, 3, 9)),
		"long index":     newImage().chunk(t, dense(1, 4000, 1, 16)),
		"huge entry":     newImage().chunk(t, dense(1, 2, 1, 8)).chunk(t, dense(3, 3, 1, 5<<20)).chunk(t, dense(4, 4, 1, 8)),
	}
	for name, m := range cases {
		t.Run(name, func(t *testing.T) {
			r := open(t, m.bytes, m.seg)
			if len(r.Damage()) != 0 || r.HeaderErr() != nil {
				t.Fatalf("damage %v, header %v", r.Damage(), r.HeaderErr())
			}
			check(t, r, m.want, around(m.seg.Range), never)
			rep, err := segment.Verify(holding(t, m.bytes), testName, testID, m.seg, segment.ReadOptions{})
			if err != nil || len(rep.Damage) > 0 || rep.Entries != len(m.want) || rep.Chunks != len(m.starts) {
				t.Fatalf("verify: %+v, %v", rep, err)
			}
			h, s, err := segment.Survey(holding(t, m.bytes), testName)
			if err != nil || h != testHeader || s.Bytes != m.seg.Bytes || s.Entries != m.seg.Entries ||
				s.Range.Last != m.seg.Range.Last {
				t.Fatalf("survey: %+v %+v, %v", h, s, err)
			}
		})
	}
}

// What the manifest does not count is not there, whatever the file holds.
func TestPromise(t *testing.T) {
	m := newImage().chunk(t, dense(1, 50, 1, 100))
	old := m.seg
	want := map[raftlog.Index]raftlog.Entry{}
	for i, e := range m.want {
		want[i] = e
	}
	m.chunk(t, dense(40, 70, 2, 100))
	check(t, open(t, m.bytes, old), want, raftlog.Range{First: 1, Last: 80}, never)

	cut := m.seg
	cut.Range = raftlog.Range{First: 10, Last: 45}
	for i := range m.want {
		if !cut.Range.Contains(i) {
			delete(m.want, i)
		}
	}
	check(t, open(t, m.bytes, cut), m.want, raftlog.Range{First: 1, Last: 80}, never)

	// Garbage behind the committed length.
	b := append(m.bytes[:len(m.bytes):len(m.bytes)], make([]byte, 5000)...)
	b[len(b)-1] = 1
	check(t, open(t, b, cut), m.want, raftlog.Range{First: 1, Last: 80}, never)
}

func TestDirectReads(t *testing.T) {
	m := newImage().chunk(t, dense(1, 300, 1, 999)).chunk(t, dense(301, 303, 1, 2<<20))
	r, err := segment.Open(holding(t, m.bytes), testName, testID, m.seg, segment.ReadOptions{Direct: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !r.File().Direct() {
		t.Fatal("not direct")
	}
	check(t, r, m.want, around(m.seg.Range), never)
}

func TestOpenRefuses(t *testing.T) {
	m := newImage().chunk(t, dense(1, 5, 1, 10))
	fs := holding(t, m.bytes)
	for name, c := range map[string]struct {
		id  raftlog.LogID
		seg raftlog.Segment
	}{
		"other log":    {8, m.seg},
		"other number": {testID, raftlog.Segment{Number: 4, Bytes: m.seg.Bytes, Range: m.seg.Range}},
		"no bytes":     {testID, raftlog.Segment{Number: testNumber}},
		"odd bytes":    {testID, raftlog.Segment{Number: testNumber, Bytes: 5000}},
	} {
		if _, err := segment.Open(fs, testName, c.id, c.seg, segment.ReadOptions{}); !errors.Is(err, frame.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBuilderRefuses(t *testing.T) {
	var b segment.Builder
	for _, i := range []raftlog.Index{0, ^raftlog.Index(0)} {
		if b.Add(raftlog.Entry{Index: i}, 0) == nil {
			t.Errorf("index %d taken", i)
		}
	}
	if err := b.Add(raftlog.Entry{Index: 5}, 0); err != nil {
		t.Fatal(err)
	}
	if b.Add(raftlog.Entry{Index: 5}, 0) == nil {
		t.Error("the same index taken twice")
	}
	if b.Add(raftlog.Entry{Index: 6, Data: make([]byte, segment.MaxEntryBytes+1)}, 0) == nil {
		t.Error("too long an entry taken")
	}
	if b.Count() != 1 {
		t.Errorf("count %d", b.Count())
	}
}

func TestNames(t *testing.T) {
	for _, n := range []uint64{0, 1, 0xabc, ^uint64(0)} {
		if got, ok := segment.ParseFileName(segment.FileName(n)); !ok || got != n {
			t.Errorf("file name of %d: %d, %t", n, got, ok)
		}
		if got, ok := segment.ParseDirName(segment.DirName(raftlog.LogID(n))); !ok || uint64(got) != n {
			t.Errorf("directory name of %d: %d, %t", n, got, ok)
		}
	}
	for _, s := range []string{"", "1.seg", "00000000000000AB.seg", "+00000000000000a.seg", "00000000000000ab", "00000000000000ab.seg.tmp"} {
		if _, ok := segment.ParseFileName(s); ok {
			t.Errorf("%q taken for a segment", s)
		}
	}
}
