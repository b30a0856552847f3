package segment_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The file was written once; today's program reads it and writes the same bytes.
func TestGoldenV1(t *testing.T) {
	b := golden(t, "segment-v1.seg")
	m := damageable(t)
	if !bytes.Equal(b, m.bytes) {
		t.Error("the encoding of version 1 changed")
	}
	check(t, open(t, b, m.seg), m.want, around(m.seg.Range), never)
}

func TestGoldenNewerVersion(t *testing.T) {
	b := golden(t, "segment-newer.seg")
	fs := holding(t, b)
	s := raftlog.Segment{Number: testNumber, Bytes: int64(len(b))}
	_, err := segment.Open(fs, testName, testID, s, segment.ReadOptions{})
	if !errors.Is(err, frame.ErrVersion) || errors.Is(err, frame.ErrCorrupt) {
		t.Errorf("open: %v", err)
	}
	if _, err := segment.ReadHeader(fs, testName); !errors.Is(err, frame.ErrVersion) {
		t.Errorf("header: %v", err)
	}
	// A damaged version is damage: the checksum comes first.
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint32(b[8:], 3)
	if _, err := segment.DecodeHeader(b); !errors.Is(err, frame.ErrCorrupt) {
		t.Errorf("flipped version: %v", err)
	}
	b[0]++
	if _, err := segment.DecodeHeader(b); !errors.Is(err, frame.ErrMagic) {
		t.Errorf("flipped magic: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(golden(f, "segment-v1.seg"), uint32(51), uint64(1), uint64(60), false)
	f.Add(golden(f, "segment-v1.seg"), uint32(51), uint64(1), uint64(60), true)
	f.Add(golden(f, "segment-newer.seg"), uint32(1), uint64(1), uint64(9), true)
	f.Fuzz(func(t *testing.T, b []byte, entries uint32, first, last uint64, reseal bool) {
		if reseal {
			b = bytes.Clone(b)
			segment.Reseal(b, testID, testNumber)
		}
		s := raftlog.Segment{Number: testNumber, Bytes: int64(len(b)) &^ (segment.BlockSize - 1), Entries: entries,
			Range: raftlog.Range{First: raftlog.Index(first), Last: raftlog.Index(last)}}
		fs := holding(t, b)
		_, _, _ = segment.Survey(fs, testName)
		r, err := segment.Open(fs, testName, testID, s, segment.ReadOptions{})
		if err != nil {
			return
		}
		defer r.Close()
		prev := raftlog.Index(0)
		for e, err := range r.Scan(s.Range) {
			if err != nil {
				continue
			}
			got, crc, err := r.Get(e.Index, nil)
			if err != nil || !same(got, e) || crc != frame.Checksum(e.Data) || e.Index <= prev || !s.Range.Contains(e.Index) {
				t.Fatalf("scan yields %v, get %v %v", e.ID(), got.ID(), err)
			}
			prev = e.Index
		}
		for i := raftlog.Index(1); i != 0; i++ {
			next, at, err := r.Next(i)
			var damage *segment.CorruptError
			if errors.As(err, &damage) && damage.Range.Contains(next) && next >= i {
				i = damage.Range.Last
				continue
			}
			if err != nil {
				break
			}
			if loc, err := r.Locate(next); err != nil || loc != at || next < i {
				t.Fatalf("next to %d comes %d at %+v, which is at %+v, %v", i, next, at, loc, err)
			}
			i = next
		}
	})
}
