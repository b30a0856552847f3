package snapshotwriter_test

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/snapshotwriter"
)

// Every operation of every act fails once, and from some operation on all do. What has no error is
// durable, what has one is not there, and nothing that was there is lost.
func TestFailure(t *testing.T) {
	for _, a := range acts(t) {
		for _, fault := range errorfs.Faults() {
			t.Run(a.name+"/"+fault.String(), func(t *testing.T) {
				k, step := 1, 1
				if testing.Short() {
					step = 7
				}
				for tripped := true; tripped; k += step {
					one := failAt(t, a, k, fault, false)
					from := failAt(t, a, k, fault, true)
					tripped = one || from
				}
			})
		}
	}
}

func failAt(t *testing.T, a act, k int, fault errorfs.Fault, onwards bool) (tripped bool) {
	t.Helper()
	inner := scene(t, a)
	outer := errorfs.FailAt(inner, k, fault)
	if onwards {
		outer = errorfs.FailFrom(inner, k, fault)
	}
	w := writer(t, outer, nil)
	got, err := a.do(w)
	tripped = outer.Tripped()
	outer.Heal()
	found := whole(t, inner)
	if err == nil {
		check(t, inner, got, state(2, stateBytes))
		if !a.maybe && !whole(t, inner.Crash(memfs.CrashOptions{})) {
			t.Fatalf("k=%d: not durable", k)
		}
		return tripped
	}
	if !tripped {
		t.Fatalf("k=%d: %v without a fault", k, err)
	}
	if got != (raftlog.Snapshot{}) || found && !onwards {
		t.Fatalf("k=%d: %+v, %v, published %t", k, got, err, found)
	}
	if left := files(t, inner); !onwards && a.name != "promote" && len(left) > 1 && !errors.Is(err, errBegin) {
		t.Fatalf("k=%d: %v left behind: %v", k, err, left)
	}
	whole(t, inner.Crash(memfs.CrashOptions{}))
	// The same Writer goes on once the disk does.
	if !found {
		if err := redo(t, inner, w, a); err != nil {
			t.Fatalf("k=%d: after healing: %v, before: %v", k, err, err)
		}
		if !a.maybe && !whole(t, inner.Crash(memfs.CrashOptions{})) {
			t.Fatalf("k=%d: not durable after healing", k)
		}
	}
	again(t, inner.Crash(memfs.CrashOptions{}), a, true)
	return tripped
}

// redo does an act once more. A checkpoint that was given up is written anew, and one whose removal failed
// is refused for as long as it is there.
func redo(t *testing.T, inner *memfs.FS, w *snapshotwriter.Writer, a act) error {
	t.Helper()
	checkpoint := pathOf(raftlog.KindCheckpoint, newAt)
	if a.maybe {
		_ = inner.Remove(checkpoint)
	}
	_, err := a.do(w)
	if a.name != "promote" || err == nil {
		return err
	}
	if errors.Is(err, snapshotwriter.ErrPoisoned) {
		if err := inner.Remove(checkpoint); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	a.prepare(t, w)
	_, err = a.do(w)
	return err
}

// A full disk ends the job; the space is free again.
func TestFullDisk(t *testing.T) {
	fs := newFS(t)
	fs.SetCapacity(10 * chunk)
	w := writer(t, fs, nil)
	for i := range raftlog.Index(3) {
		res := write(t, w, raftlog.KindSnapshot, id(1, i+1), state(1, 20*chunk))
		if res.Err == nil {
			t.Fatal("a snapshot fits a disk that is too small")
		}
	}
	if left := files(t, fs); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	mustWrite(t, fs, w, raftlog.KindSnapshot, id(1, 9), state(1, 5*chunk))
}

// A checkpoint whose sync failed is never synced again, whatever its removal says.
func TestPromoteSyncFails(t *testing.T) {
	inner := newFS(t)
	outer := errorfs.New(inner, errorfs.Plan{})
	w := writer(t, outer, nil)
	mustWrite(t, inner, w, raftlog.KindCheckpoint, newAt, state(2, 10))
	outer.Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.EIO,
		Match: func(op errorfs.Op) bool { return op.Kind == errorfs.OpDatasync || op.Kind == errorfs.OpRemove }})
	if _, err := w.Promote(testID, newAt); !errors.Is(err, snapshotwriter.ErrPoisoned) || !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	outer.Heal()
	if _, err := w.Promote(testID, newAt); !errors.Is(err, snapshotwriter.ErrPoisoned) {
		t.Error(err)
	}
	if _, err := inner.Stat(pathOf(raftlog.KindCheckpoint, newAt)); err != nil {
		t.Error(err)
	}
	if _, err := snapshotwriter.List(inner, "/missing"); err != nil {
		t.Error(err)
	}
	if found, err := cleanup(inner, dir+"/"+dirName(testID), true); err != nil || len(found) != 1 || found[0].Stage != snapshot.Finished {
		t.Error(found, err)
	}
}
