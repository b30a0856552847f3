package segment_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

// checkNext holds Next against Locate of every index of rng.
func checkNext(t testing.TB, r *segment.Reader, rng raftlog.Range) {
	t.Helper()
	var want raftlog.Index // the next that is there or refused, 0 for none in rng
	var at segment.Location
	var refusal error
	for i := rng.Last; i >= max(rng.First, 1); i-- {
		if loc, err := r.Locate(i); !errors.Is(err, segment.ErrNotFound) {
			want, at, refusal = i, loc, err
		}
		got, loc, err := r.Next(i)
		switch {
		case want == 0 && errors.Is(err, segment.ErrNotFound):
		case want == 0 && got > rng.Last:
		case want != 0 && got == want && loc == at && (err == nil) == (refusal == nil):
		default:
			t.Fatalf("Next(%d) is %d at %+v, %v; want %d at %+v, %v", i, got, loc, err, want, at, refusal)
		}
	}
}

func TestNextSkipsWideHoles(t *testing.T) {
	far := raftlog.Index(1) << 60
	m := newImage().chunk(t, append(dense(5, 9, 2, 40), dense(far, far+3, 2, 7)...))
	s := m.seg
	s.Range.Last = ^raftlog.Index(0)
	r := open(t, m.bytes, s)
	for _, c := range [][2]raftlog.Index{{0, 5}, {1, 5}, {9, 9}, {10, far}, {far + 3, far + 3}, {far + 4, 0}, {^raftlog.Index(0), 0}} {
		if got, _, err := r.Next(c[0]); got != c[1] || (err == nil) != (c[1] != 0) {
			t.Errorf("Next(%d) is %d, %v", c[0], got, err)
		}
	}
	s.Range = raftlog.Range{First: 7, Last: far - 1}
	r = open(t, m.bytes, s)
	if got, _, err := r.Next(1); got != 7 || err != nil {
		t.Errorf("the range begins with 7, not %d, %v", got, err)
	}
	if got, _, err := r.Next(10); !errors.Is(err, segment.ErrNotFound) {
		t.Errorf("index %d lies behind the range: %v", got, err)
	}
}

// Payloads that lie in their places already make the same chunk.
func TestEncodeInPlace(t *testing.T) {
	entries := dense(3, 40, 2, 100)
	var b segment.Builder
	p := segment.Place{ID: testID, Number: testNumber, Offset: segment.BlockSize}
	add := func(e raftlog.Entry) {
		if err := b.Add(e, frame.Checksum(e.Data)); err != nil {
			t.Fatal(err)
		}
	}
	payload := 0
	for _, e := range entries {
		add(e)
		payload += len(e.Data)
	}
	size := segment.ChunkSize(len(entries), payload)
	if size != b.Size() {
		t.Fatalf("size %d, want %d", size, b.Size())
	}
	want := bytes.Clone(b.Encode(make([]byte, size), p))
	buf := bytes.Repeat([]byte{0xA5}, size)
	at := segment.PayloadOffset(len(entries))
	for _, e := range entries {
		n := copy(buf[at:], e.Data)
		e.Data = buf[at : at+n]
		at += n
		add(e)
	}
	if !bytes.Equal(b.Encode(buf, p), want) {
		t.Fatal("another chunk")
	}
}
