package engine_test

import (
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"path/filepath"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/ring"
)

// digest sums up all that can be observed of a history: what calls and readers return, and what
// the logs say of themselves after each operation.
type digest struct {
	sum   hash.Hash64
	after []uint64 // each operation
}

// watch makes d hear what readers of w are given.
func (d *digest) watch(w *longWorld) {
	d.sum = fnv.New64a()
	w.saw = func(e engine.Entry, err error) {
		fmt.Fprintf(d.sum, "%v %d %v;", e.ID(), e.Type, err)
		d.sum.Write(e.Data)
	}
}

// note takes down how things stand after an operation.
func (d *digest) note(w *longWorld) {
	for _, uid := range w.uids {
		l, err := w.e.Log(uid)
		if err != nil {
			fmt.Fprintf(d.sum, "%s %t;", uid, errors.Is(err, engine.ErrNotFound))
			continue
		}
		queued, durable := l.Controls()
		s := l.Stats()
		s.SegmentBytes, s.Segments = 0, 0 // how full a compaction's chunks are depends on how fast the device reads
		fmt.Fprintf(d.sum, "%+v %d %d %v;", s, queued, durable, l.Snapshots())
		for _, slot := range l.Slots() {
			fmt.Fprintf(d.sum, "%s %v %v %t;", slot.Name, slot.Acked, slot.Durable, slot.Invalid)
		}
	}
	s := w.e.Stats()
	fmt.Fprintf(d.sum, "%v %d %d\n", s.Health, s.Entries, s.Controls)
	d.after = append(d.after, d.sum.Sum64())
}

// perform runs a history on a disk and returns its digest.
func perform(t *testing.T, disk vfs.FS, dir string, ops []longOp) *digest {
	t.Helper()
	w := newLongWorld(t, 1)
	w.what = dir
	w.fs, w.dir, w.whole = disk, dir, true
	d := &digest{}
	d.watch(w)
	w.open()
	for _, op := range ops {
		w.do(op)
		d.note(w)
	}
	w.finishAll()
	w.close()
	return d
}

// agrees finds the first operation after which two histories differ.
func (d *digest) agrees(t *testing.T, other *digest, ops []longOp, what string) {
	t.Helper()
	for k := range d.after {
		if d.after[k] != other.after[k] {
			t.Fatalf("%s differs from memory after operation %d, %v", what, k, ops[k])
		}
	}
	if d.sum.Sum64() != other.sum.Sum64() {
		t.Fatalf("%s differs from memory in the end", what)
	}
}

// TestBackendsAgree runs the same histories in memory, on the fallback and on the ring: all that
// can be observed is the same. 20,000 operations need -scale 10.
func TestBackendsAgree(t *testing.T) {
	disks := map[string]vfs.FS{}
	disk, err := fallback.Open(fallback.Options{})
	if err != nil {
		t.Fatal(err)
	}
	disks["fallback"] = disk
	uring, err := ring.Open(ring.Options{})
	switch {
	case errors.Is(err, ring.ErrUnsupported):
		t.Logf("no ring here: %v", err)
	case err != nil:
		t.Fatal(err)
	default:
		disks["ring"] = uring
	}
	for n := range tries(2) {
		ops := longHistory(*firstSeed, uint64(n), 1000)
		want := perform(t, newLongWorld(t, 1).mem, "/db", ops)
		for name, disk := range disks {
			got := perform(t, disk, filepath.Join(t.TempDir(), "db"), ops)
			want.agrees(t, got, ops, name)
		}
	}
}
