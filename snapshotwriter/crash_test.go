package snapshotwriter_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/snapshotwriter"
)

const stateBytes = 7*chunk + 9 // two syncs on the way

// act is one way in which a snapshot comes into being. It may be done again after a crash.
type act struct {
	name string
	// prepare leaves on the disk what the act needs.
	prepare func(t testing.TB, w *snapshotwriter.Writer)
	do      func(w *snapshotwriter.Writer) (raftlog.Snapshot, error)
	kind    raftlog.SnapshotKind
	// maybe says that the result is not durable.
	maybe bool
}

// The old snapshot is at 1/5, the new one at 2/9.
var oldAt, newAt = id(1, 5), id(2, 9)

func acts(t testing.TB) []act {
	s := send(t, raftlog.KindSnapshot, newAt, 2, stateBytes)
	nothing := func(testing.TB, *snapshotwriter.Writer) {}
	return []act{
		{name: "write snapshot", prepare: nothing, do: writing(raftlog.KindSnapshot), kind: raftlog.KindSnapshot},
		{name: "write checkpoint", prepare: nothing, do: writing(raftlog.KindCheckpoint), kind: raftlog.KindCheckpoint, maybe: true},
		{name: "promote", kind: raftlog.KindSnapshot,
			prepare: func(t testing.TB, w *snapshotwriter.Writer) {
				if _, err := writing(raftlog.KindCheckpoint)(w); err != nil {
					t.Fatal(err)
				}
			},
			do: func(w *snapshotwriter.Writer) (raftlog.Snapshot, error) { return w.Promote(testID, newAt) }},
		{name: "receive", prepare: nothing, kind: raftlog.KindSnapshot,
			do: func(w *snapshotwriter.Writer) (raftlog.Snapshot, error) { return receiving(w, s) }},
	}
}

// writing enqueues and runs a job.
func writing(kind raftlog.SnapshotKind) func(*snapshotwriter.Writer) (raftlog.Snapshot, error) {
	return func(w *snapshotwriter.Writer) (raftlog.Snapshot, error) {
		var res snapshotwriter.Result
		if err := w.Enqueue(job(meta(kind, newAt), state(2, stateBytes), &res)); err != nil {
			return raftlog.Snapshot{}, err
		}
		w.Step()
		return res.Snapshot, res.Err
	}
}

// errBegin is a failure to begin or resume, which may leave what was received before.
var errBegin = errors.New("begin")

// receiving breaks off after half the chunks and goes on.
func receiving(w *snapshotwriter.Writer, s sent) (raftlog.Snapshot, error) {
	for _, to := range []int{len(s.chunks) / 2, len(s.chunks)} {
		r, err := w.NewReceiver(s.header, target)
		if err != nil {
			return raftlog.Snapshot{}, fmt.Errorf("%w: %w", errBegin, err)
		}
		if err := accept(r, s, to); err != nil {
			return raftlog.Snapshot{}, errors.Join(err, r.Abort())
		}
		if to < len(s.chunks) {
			if err := r.Close(); err != nil {
				return raftlog.Snapshot{}, err
			}
			continue
		}
		got, err := r.Finish()
		return got, errors.Join(err, r.Close())
	}
	return raftlog.Snapshot{}, nil
}

// scene is a file system that holds the old snapshot, durably, and what the act needs.
func scene(t testing.TB, a act) *memfs.FS {
	t.Helper()
	fs := newFS(t)
	w := writer(t, fs, nil)
	if res := write(t, w, raftlog.KindSnapshot, oldAt, state(1, 100)); res.Err != nil {
		t.Fatal(res.Err)
	}
	a.prepare(t, w)
	return fs
}

// whole checks that every finished file is what was written, or, when it was not meant to be durable,
// is refused with a typed error; and that the old snapshot is there. It says whether the new one is.
func whole(t testing.TB, fs vfs.FS) (found bool) {
	t.Helper()
	list, err := snapshotwriter.List(fs, dir+"/"+dirName(testID))
	if err != nil {
		t.Fatal(err)
	}
	old := false
	for _, f := range list {
		if f.Stage != snapshot.Finished {
			continue
		}
		_, got, err := read(fs, f.Path)
		if err != nil {
			if f.Kind == raftlog.KindSnapshot || !errors.Is(err, snapshotwriter.ErrCorrupt) && !errors.Is(err, snapshotwriter.ErrUnfinished) {
				t.Fatalf("%s: %v", f.Path, err)
			}
			continue
		}
		want := state(2, stateBytes)
		if f.ID == oldAt {
			want = state(1, 100)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%s: other bytes", f.Path)
		}
		old = old || f.ID == oldAt
		found = found || f.ID == newAt && f.Kind == raftlog.KindSnapshot
	}
	if !old {
		t.Fatalf("the old snapshot is gone: %v", list)
	}
	return found
}

// again cleans up and does the act, or sees that it was done.
func again(t testing.TB, fs *memfs.FS, a act, parts bool) {
	t.Helper()
	found := whole(t, fs)
	finished, err := cleanup(fs, dir+"/"+dirName(testID), parts)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range finished { // a checkpoint that did not survive is for its owner to remove
		if _, _, err := read(fs, f.Path); err != nil {
			if err := fs.Remove(f.Path); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := writer(t, fs, nil)
	if a.name == "promote" && !found {
		if _, err := fs.Stat(pathOf(raftlog.KindCheckpoint, newAt)); err != nil {
			a.prepare(t, w)
		}
	}
	got, err := a.do(w)
	if found {
		if err == nil {
			t.Fatal("it was done twice")
		}
	} else if errors.Is(err, snapshotwriter.ErrExists) && a.maybe {
	} else if err != nil {
		t.Fatal(err)
	} else {
		check(t, fs, got, state(2, stateBytes))
	}
	if !a.maybe && !whole(t, fs.Crash(memfs.CrashOptions{})) {
		t.Fatal("the new snapshot is not durable")
	}
}

// The power is cut at every operation of every act. Nothing is published that is not whole, what was there
// stays, and the act can be done again.
func TestPowerCut(t *testing.T) {
	for _, a := range acts(t) {
		t.Run(a.name, func(t *testing.T) {
			seeds, step := uint64(3), 1
			if testing.Short() {
				seeds, step = 1, 5
			}
			for n, more := 1, true; more; n += step {
				fs := scene(t, a)
				w := writer(t, fs, nil)
				cuts := cutAt(fs, n, seeds)
				got, err := a.do(w)
				fs.OnOp(nil)
				if err != nil {
					t.Fatal(err)
				}
				check(t, fs, got, state(2, stateBytes))
				if after := fs.Crash(memfs.CrashOptions{}); whole(t, after) != !a.maybe {
					t.Fatal("durable:", a.maybe)
				}
				for i, cut := range *cuts {
					again(t, cut, a, i%2 == 0)
				}
				more = len(*cuts) > 0
				if !more && n < 5 {
					t.Errorf("%d operations only", n)
				}
			}
		})
	}
}

// cutAt takes images with several outcomes at the n-th operation.
func cutAt(fs *memfs.FS, n int, seeds uint64) *[]*memfs.FS {
	cuts := new([]*memfs.FS)
	fs.OnOp(func(memfs.Op) {
		if n--; n != 0 {
			return
		}
		*cuts = append(*cuts, fs.Crash(memfs.CrashOptions{}), fs.Crash(memfs.CrashOptions{Unsynced: memfs.Kept}))
		for seed := range seeds {
			*cuts = append(*cuts, fs.Crash(memfs.CrashOptions{Unsynced: memfs.Random, Seed: seed}))
		}
	})
	return cuts
}

// The name of the log's directory is made durable by whoever publishes in it, also when another
// made it.
func TestDirectoryOfAnother(t *testing.T) {
	fs := newFS(t)
	if err := fs.MkdirAll(dir + "/" + dirName(testID)); err != nil {
		t.Fatal(err)
	}
	res := write(t, writer(t, fs, nil), raftlog.KindSnapshot, newAt, state(2, 10))
	check(t, fs.Crash(memfs.CrashOptions{}), res.Snapshot, state(2, 10))
}

func TestPromote(t *testing.T) {
	fs := newFS(t)
	w := writer(t, fs, nil)
	mustWrite(t, fs, w, raftlog.KindCheckpoint, newAt, state(2, 3*chunk))
	res := do(t, w, snapshotwriter.Job{Promote: true, Meta: snapshotwriter.Meta{Log: testID, ID: newAt}, Done: func(snapshotwriter.Result) {}})
	if res.Err != nil || res.Snapshot.Kind != raftlog.KindSnapshot {
		t.Fatalf("%+v", res)
	}
	check(t, fs, res.Snapshot, state(2, 3*chunk))
	check(t, fs.Crash(memfs.CrashOptions{}), res.Snapshot, state(2, 3*chunk))
	if names := fmt.Sprint(files(t, fs)); names != "["+snapshot.FileName(raftlog.KindSnapshot, newAt)+"]" {
		t.Error(names)
	}
	if _, err := w.Promote(testID, newAt); !errors.Is(err, snapshotwriter.ErrExists) {
		t.Error(err)
	}
	if _, err := w.Promote(testID, oldAt); err == nil {
		t.Error("promoted what is not there")
	}
	// A damaged one is refused and stays for whoever looks into it.
	mustWrite(t, fs, w, raftlog.KindCheckpoint, oldAt, state(1, 3*chunk))
	path := w.Path(testID, raftlog.KindCheckpoint, oldAt)
	b, err := fs.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2]++
	if err := fs.WriteFile(path, b); err != nil {
		t.Fatal(err)
	}
	var c *snapshotwriter.CorruptError
	if _, err := w.Promote(testID, oldAt); !errors.As(err, &c) || c.Path != path || c.Chunk != 1 {
		t.Error(err)
	}
	if _, err := fs.Stat(path); err != nil {
		t.Error(err)
	}
	aside, err := snapshotwriter.SetAside(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	finished, err := cleanup(fs, dir+"/"+dirName(testID), true)
	if err != nil || len(finished) != 1 || finished[0].ID != newAt {
		t.Errorf("%+v, %v", finished, err)
	}
	if _, err := fs.Stat(aside); err != nil {
		t.Error(err)
	}
}
