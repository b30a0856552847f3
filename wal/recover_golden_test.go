package wal

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
)

var recGolden = flag.Bool("recover-golden", false, "write golden files that do not exist yet")

// recGoldenFile returns the file, which the flag writes when it is missing and never changes.
func recGoldenFile(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if _, err := os.Stat(path); *recGolden && errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll("testdata", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// recGoldenImage is small and has every kind of record.
func recGoldenImage() *recImage {
	im := newRecImage()
	f := im.file(0x2a, 1, 7, nil)
	chain := recFragments(2, 1, 3, "half of ", "an entry")
	f.put(1, recOp{id: 1, kind: KindCreate, payload: []byte(recUID(1))}, recHardState(1, 2, "me"), recEntry(1, 1, 2, "entry"))
	f.put(2, recOp{id: 2, kind: KindCreate, payload: []byte(recUID(2))}, chain[0], recEntry(1, 2, 2, ""))
	f.put(3, chain[1], recControl(1, KindTruncate, 1), recEntry(1, 2, 4, "newer"), recControl(1, KindRelease, 1))
	f.put(4, recControl(1, KindApplied, 2), recControl(2, KindDelete, 0))
	f.put(5)
	return im
}

// TestRecoverGolden: files of format version 1 are read for ever as they were read first.
func TestRecoverGolden(t *testing.T) {
	im := recGoldenImage()
	im.files[0].data = recGoldenFile(t, "recover-v1.wal", im.files[0].data)
	got := recMust(t, im, nil)
	script := strings.Join(got.script, "\n") + "\n"
	if want := recGoldenFile(t, "recover-v1.txt", []byte(script)); script != string(want) {
		t.Fatalf("got\n%swant\n%s", script, want)
	}
	if r := got.report; r.LastDurable != 4 || r.TailFirst != 5 || r.TailLast != 5 || r.DamageCount != 0 || r.Files[0].HeaderErr != nil {
		t.Fatalf("%+v", r)
	}
	if now := recGoldenImage().files[0].data; !bytes.Equal(im.files[0].data, now) {
		t.Fatal("today's encoder writes other bytes")
	}
}

// TestRecoverNewer: a file of a later version is refused as such, not as damaged.
func TestRecoverNewer(t *testing.T) {
	im := recGoldenImage()
	data := bytes.Clone(im.files[0].data[:2*frame.BlockSize])
	data[8] = 2
	sum := frame.Checksum(data[:frame.BlockSize-4])
	for i := range 4 {
		data[frame.BlockSize-4+i] = byte(sum >> (8 * i))
	}
	im.files[0].data = recGoldenFile(t, "recover-v2.wal", data)
	_, err := recRun(im.fs(), im.numbers(), nil)
	if !errors.Is(err, frame.ErrVersion) || errors.Is(err, frame.ErrCorrupt) || errors.Is(err, ErrMissingWAL) {
		t.Fatal(err)
	}
}
