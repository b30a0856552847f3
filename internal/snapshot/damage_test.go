package snapshot_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// contained checks that a damaged file gives a typed error and nothing but a prefix of its state.
func contained(t *testing.T, fs *memfs.FS, b, want []byte, what string, at int) {
	t.Helper()
	if err := fs.WriteFile(testName, b); err != nil {
		t.Fatal(err)
	}
	got, err := state(fs, testName)
	if !typed(err) {
		t.Fatalf("%s %d: %v", what, at, err)
	}
	if !bytes.HasPrefix(want, got) {
		t.Fatalf("%s %d: other bytes", what, at)
	}
	r, err := snapshot.Open(fs, testName, testLog)
	if err != nil {
		if !typed(err) {
			t.Fatalf("%s %d: %v", what, at, err)
		}
		return
	}
	defer r.Close()
	if err := r.Verify(t.Context()); !typed(err) {
		t.Fatalf("%s %d: verified: %v", what, at, err)
	}
}

func TestEveryByteFlipped(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 13
	}
	want := pattern(chunk + 300)
	b := plain(t, testMeta(), want)
	fs := holding(t, testName, b)
	for i := 0; i < len(b); i += step {
		b[i] ^= 1 << (i % 8)
		contained(t, fs, b, want, "byte", i)
		b[i] ^= 1 << (i % 8)
	}
}

func TestEveryPrefix(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 13
	}
	want := pattern(chunk + 300)
	b := plain(t, testMeta(), want)
	fs := holding(t, testName, b)
	for n := 0; n < len(b); n += step {
		contained(t, fs, b[:n], want, "length", n)
	}
	for _, more := range []int{1, snapshot.TrailerBytes, 5000} {
		contained(t, fs, append(bytes.Clone(b), make([]byte, more)...), want, "longer by", more)
	}
}

func TestUnfinished(t *testing.T) {
	b := plain(t, testMeta(), pattern(chunk))
	for _, n := range []int{0, 100, snapshot.BlockSize, len(b) - snapshot.TrailerBytes, len(b) - 1} {
		if _, err := state(holding(t, testName, b[:n]), testName); !errors.Is(err, snapshot.ErrUnfinished) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	zeros := make([]byte, len(b))
	if _, err := state(holding(t, testName, zeros), testName); !errors.Is(err, snapshot.ErrCorrupt) {
		t.Errorf("zeros: %v", err)
	}
}

// Parts of sound files, put together to a file that no writer wrote.
func TestMixedParts(t *testing.T) {
	a, b := pattern(3*chunk), pattern(3*chunk)
	for i := range b {
		b[i] ^= 0x55
	}
	m, other := testMeta(), testMeta()
	other.Salt++
	one, two := plain(t, m, a), plain(t, m, b)
	info := open(t, one).Info()
	at := func(n int) int { return int(info.Offset(n)) }
	fs := holding(t, testName, nil)

	swapped := bytes.Clone(one)
	copy(swapped[at(0):at(1)], one[at(1):at(2)])
	copy(swapped[at(1):at(2)], one[at(0):at(1)])
	contained(t, fs, swapped, a, "swapped chunks", 0)

	foreign := bytes.Clone(one)
	copy(foreign[at(1):at(2)], plain(t, other, b)[at(1):at(2)])
	contained(t, fs, foreign, a, "chunk of another snapshot", 1)

	// The same position and salt, which no two files have: the sum of all chunks is left.
	mixed := bytes.Clone(one)
	copy(mixed[at(2):at(3)], two[at(2):at(3)])
	r := open(t, mixed)
	if err := r.Verify(t.Context()); !errors.Is(err, snapshot.ErrCorrupt) {
		t.Errorf("mixed chunks: %v", err)
	}
	if _, err := state(holding(t, testName, mixed), testName); !errors.Is(err, snapshot.ErrCorrupt) {
		t.Errorf("mixed chunks: %v", err)
	}
	headers := append(bytes.Clone(plain(t, other, a)[:at(0)]), one[at(0):]...)
	contained(t, fs, headers, a, "header of another snapshot", 0)
}

// A file that is cut while it is open is damage, not the end of the state.
func TestShrinksWhileOpen(t *testing.T) {
	b := plain(t, testMeta(), pattern(3*chunk))
	fs := holding(t, testName, b)
	r, err := snapshot.Open(fs, testName, testLog)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := fs.WriteFile(testName, b[:len(b)/2]); err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(t.Context()); !errors.Is(err, snapshot.ErrCorrupt) {
		t.Error(err)
	}
}
