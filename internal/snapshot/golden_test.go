package snapshot_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/snapshot"
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
	b, want := golden(t, "snapshot-v1.snap"), pattern(chunk+300)
	if !bytes.Equal(b, plain(t, testMeta(), want)) {
		t.Error("the encoding of version 1 changed")
	}
	got, err := state(holding(t, testName, b), testName)
	if err != nil || !bytes.Equal(got, want) || !sameMeta(open(t, b).Meta(), testMeta()) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestGoldenNewerVersion(t *testing.T) {
	b := golden(t, "snapshot-newer.snap")
	_, err := state(holding(t, testName, b), testName)
	if !errors.Is(err, snapshot.ErrVersion) || errors.Is(err, snapshot.ErrCorrupt) {
		t.Errorf("open: %v", err)
	}
	if _, err := snapshot.ParseHeader(b); !errors.Is(err, frame.ErrVersion) {
		t.Errorf("header: %v", err)
	}
	// A damaged version is damage: the checksum comes first.
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint32(b[8:], 3)
	if _, err := snapshot.ParseHeader(b); !errors.Is(err, snapshot.ErrCorrupt) {
		t.Errorf("flipped version: %v", err)
	}
	b[0]++
	if _, err := snapshot.ParseHeader(b); !errors.Is(err, frame.ErrMagic) {
		t.Errorf("flipped magic: %v", err)
	}
}

// transferOf cuts the chunks out of a sound file.
func transferOf(t testing.TB, b []byte) []byte { return open(t, b).Header() }

func FuzzParseHeader(f *testing.F) {
	for _, reseal := range []bool{false, true} {
		f.Add(transferOf(f, golden(f, "snapshot-v1.snap")), reseal)
		f.Add(golden(f, "snapshot-newer.snap"), reseal)
		m := testMeta()
		m.Codec, m.Context = "s2", nil
		f.Add(transferOf(f, encode(f, m, pattern(9*chunk), 1<<40)), reseal)
	}
	f.Fuzz(func(t *testing.T, b []byte, reseal bool) {
		b = bytes.Clone(b)
		if reseal {
			snapshot.Reseal(b)
		}
		info, err := snapshot.ParseHeader(b)
		if err != nil {
			if !typed(err) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(info.AppendTrailer(info.AppendHeader(nil)), b) {
			t.Fatal("decoding then encoding changed the bytes")
		}
		if n := info.Chunks(); n > 0 && (info.ChunkLen(n-1) < 1 || info.ChunkLen(n-1) > info.ChunkBytes || info.Offset(n) <= info.Offset(n-1)) {
			t.Fatalf("%d chunks, the last of %d bytes", n, info.ChunkLen(n-1))
		}
	})
}

func FuzzReader(f *testing.F) {
	for _, reseal := range []bool{false, true} {
		f.Add(golden(f, "snapshot-v1.snap"), reseal)
		f.Add(golden(f, "snapshot-newer.snap"), reseal)
		m := testMeta()
		m.Codec = "doubling"
		f.Add(encode(f, m, doubled(pattern(chunk)), chunk), reseal)
	}
	f.Fuzz(func(t *testing.T, b []byte, reseal bool) {
		b = bytes.Clone(b)
		if reseal {
			snapshot.Reseal(b)
		}
		r, err := snapshot.Open(holding(t, testName, b), testName, 0)
		if err != nil {
			if !typed(err) {
				t.Fatal(err)
			}
			return
		}
		defer r.Close()
		verified := r.Verify(t.Context())
		if verified != nil && !typed(verified) {
			t.Fatal(verified)
		}
		s, err := r.NewStateReader(doubling{})
		if err != nil {
			if !errors.Is(err, snapshot.ErrCodec) {
				t.Fatal(err)
			}
			return
		}
		n, err := io.Copy(io.Discard, s)
		if err != nil && !typed(err) || err == nil && (verified != nil || n != r.StateBytes()) {
			t.Fatalf("%d bytes of %d, %v, %v", n, r.StateBytes(), err, verified)
		}
	})
}
