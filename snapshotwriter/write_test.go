package snapshotwriter_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/snapshotwriter"
)

var kinds = []raftlog.SnapshotKind{raftlog.KindSnapshot, raftlog.KindCheckpoint, raftlog.KindRecovery}

func TestSizes(t *testing.T) {
	fs := newFS(t)
	w := writer(t, fs, nil)
	at := id(3, 10)
	for _, n := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 40*chunk + 5} {
		for _, kind := range kinds {
			at.Index++
			data := state(uint64(n), n)
			mustWrite(t, fs, w, kind, at, data)
			if kind == raftlog.KindSnapshot {
				s := write(t, w, kind, id(4, at.Index), data).Snapshot
				check(t, fs.Crash(memfs.CrashOptions{}), s, data)
			}
		}
	}
}

// A large context passes through in portions of a chunk, and chunks may be of another size than the
// Writer's.
func TestLargeContext(t *testing.T) {
	fs := newFS(t)
	w := writer(t, fs, nil)
	m, data := meta(raftlog.KindSnapshot, id(1, 5)), state(1, 9*chunk)
	m.Context, m.ChunkBytes = state(2, 300<<10), 3*chunk
	var res snapshotwriter.Result
	if s := do(t, w, job(m, data, &res)).Snapshot; s.Live != 2 {
		t.Fatalf("%+v", res)
	}
	info, got, err := read(fs, pathOf(m.Kind, m.ID))
	if err != nil || !bytes.Equal(got, data) || !bytes.Equal(info.Context, m.Context) || info.ChunkBytes != 3*chunk {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

// Only snapshots are synced: as they grow, at the end, and then both directories after the rename.
func TestOrder(t *testing.T) {
	want := map[raftlog.SnapshotKind][]memfs.OpKind{
		raftlog.KindSnapshot: {memfs.OpDatasync, memfs.OpDatasync, memfs.OpDatasync, memfs.OpRename,
			memfs.OpSyncDir, memfs.OpSyncDir},
		raftlog.KindCheckpoint: {memfs.OpRename},
		raftlog.KindRecovery:   {memfs.OpRename},
	}
	for _, kind := range kinds {
		fs := newFS(t)
		w := writer(t, fs, nil)
		var ops []memfs.OpKind
		fs.OnOp(func(op memfs.Op) {
			if slices.Contains(want[raftlog.KindSnapshot], op.Kind) || op.Kind == memfs.OpSync {
				ops = append(ops, op.Kind)
			}
		})
		write(t, w, kind, id(1, 1), state(1, 7*chunk)) // twice SyncBytes
		fs.OnOp(nil)
		if !slices.Equal(ops, want[kind]) {
			t.Errorf("%v: %v", kind, ops)
		}
	}
}

// fails runs a job and expects its error, and nothing new in the directory.
func fails(t *testing.T, fs *memfs.FS, w *snapshotwriter.Writer, j snapshotwriter.Job, want error) snapshotwriter.Result {
	t.Helper()
	before := files(t, fs)
	res := do(t, w, j)
	if !errors.Is(res.Err, want) || res.Snapshot != (raftlog.Snapshot{}) {
		t.Fatalf("%+v, want %v", res, want)
	}
	if after := files(t, fs); !slices.Equal(before, after) {
		t.Fatalf("left behind: %v, before: %v", after, before)
	}
	return res
}

func TestStateFails(t *testing.T) {
	own := errors.New("own")
	for _, kind := range kinds {
		for _, written := range []int{0, 1, chunk, 3*chunk + 1} {
			fs := newFS(t)
			w := writer(t, fs, nil)
			mustWrite(t, fs, w, kind, id(1, 1), state(1, 10))
			j := job(meta(kind, id(1, 2)), state(2, written), new(snapshotwriter.Result))
			sound := j.State
			j.State = func(out io.Writer) error { return errors.Join(sound(out), own) }
			var failed *snapshotwriter.StateError
			if res := fails(t, fs, w, j, own); !errors.As(res.Err, &failed) || failed.Log != testID || failed.ID != id(1, 2) {
				t.Error(res.Err)
			}
			for _, value := range []any{own, "text", 7} {
				j.State = func(out io.Writer) error { _ = sound(out); panic(value) }
				res := do(t, w, j)
				var p *snapshotwriter.PanicError
				if !errors.As(res.Err, &p) || p.Value != value || len(p.Stack) == 0 || !errors.As(res.Err, &failed) {
					t.Error(res.Err)
				}
				if _, isError := value.(error); isError != errors.Is(res.Err, own) {
					t.Error(res.Err)
				}
			}
			j.State = sound
			if res := do(t, w, j); res.Err != nil {
				t.Errorf("the next attempt: %v", res.Err)
			}
		}
	}
}

// A context that ends, or Close, ends the job between two chunks.
func TestJobEnds(t *testing.T) {
	var cancel context.CancelFunc
	stopped := map[string]func(*snapshotwriter.Writer){
		"context": func(*snapshotwriter.Writer) { cancel() },
		"close":   func(w *snapshotwriter.Writer) { _ = w.Close() },
	}
	for name, want := range map[string]error{"context": context.Canceled, "close": snapshotwriter.ErrClosed} {
		fs := newFS(t)
		w := writer(t, fs, nil)
		var wrote int
		ctx, c := context.WithCancel(t.Context())
		cancel = c
		j := job(meta(raftlog.KindSnapshot, id(1, 1)), nil, new(snapshotwriter.Result))
		j.Context = ctx
		j.State = func(out io.Writer) error {
			for ; ; wrote++ {
				if wrote == 5 {
					stopped[name](w)
				}
				if _, err := out.Write(make([]byte, chunk)); err != nil {
					return nil // hidden, but known
				}
			}
		}
		fails(t, fs, w, j, want)
		if wrote != 5 {
			t.Errorf("%s: %d chunks", name, wrote)
		}
	}
	// One that ended before it began does not even start.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fs := newFS(t)
	w := writer(t, fs, nil)
	j := job(meta(raftlog.KindSnapshot, id(1, 1)), nil, new(snapshotwriter.Result))
	j.Context = ctx
	j.State = func(io.Writer) error { t.Error("it started"); return nil }
	fails(t, fs, w, j, context.Canceled)
	// One that ends after the last chunk is not published either.
	ctx, cancel = context.WithCancel(t.Context())
	j.Context = ctx
	j.State = func(io.Writer) error { cancel(); return nil }
	fails(t, fs, w, j, context.Canceled)
}

// A writer that State keeps takes nothing once State has returned.
func TestStateKeepsItsWriter(t *testing.T) {
	fs := newFS(t)
	w := writer(t, fs, nil)
	var kept io.Writer
	j := job(meta(raftlog.KindSnapshot, id(1, 1)), nil, new(snapshotwriter.Result))
	j.State = func(out io.Writer) error {
		kept = out
		_, err := out.Write([]byte("state"))
		return err
	}
	check(t, fs, do(t, w, j).Snapshot, []byte("state"))
	if _, err := kept.Write([]byte("more")); !errors.Is(err, snapshotwriter.ErrClosed) {
		t.Error(err)
	}
}

func TestExists(t *testing.T) {
	fs := newFS(t)
	w := writer(t, fs, nil)
	mustWrite(t, fs, w, raftlog.KindSnapshot, id(1, 1), state(1, 10))
	j := job(meta(raftlog.KindSnapshot, id(1, 1)), state(2, 20), new(snapshotwriter.Result))
	fails(t, fs, w, j, snapshotwriter.ErrExists)
	fails(t, fs, w, j, iofs.ErrExist)
	check(t, fs, raftlog.Snapshot{Kind: raftlog.KindSnapshot, ID: id(1, 1), Live: 1,
		Bytes: size(t, fs, raftlog.KindSnapshot, id(1, 1))}, state(1, 10))
	// What a crash left unfinished is replaced.
	path := pathOf(raftlog.KindSnapshot, id(1, 2)) + snapshot.TempSuffix
	if err := fs.WriteFile(path, state(9, 99999)); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, fs, w, raftlog.KindSnapshot, id(1, 2), state(1, 10))
}

func size(t *testing.T, fs *memfs.FS, kind raftlog.SnapshotKind, at raftlog.EntryID) int64 {
	t.Helper()
	info, err := fs.Stat(pathOf(kind, at))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size
}

// Two jobs never work on one file.
func TestBusy(t *testing.T) {
	fs := newFS(t)
	w := writer(t, fs, nil)
	var inner snapshotwriter.Result
	j := job(meta(raftlog.KindCheckpoint, id(1, 1)), nil, new(snapshotwriter.Result))
	j.State = func(out io.Writer) error {
		inner = write(t, w, raftlog.KindCheckpoint, id(1, 1), nil)
		if _, err := w.Promote(testID, id(1, 1)); !errors.Is(err, snapshotwriter.ErrBusy) {
			t.Error(err)
		}
		_, err := out.Write([]byte("outer"))
		return err
	}
	res := do(t, w, j)
	if !errors.Is(inner.Err, snapshotwriter.ErrBusy) {
		t.Error(inner.Err)
	}
	check(t, fs, res.Snapshot, []byte("outer"))
}

func TestQueue(t *testing.T) {
	fs := newFS(t)
	w := writer(t, fs, func(o *snapshotwriter.Options) { o.QueueDepth = 3 })
	var res [4]snapshotwriter.Result
	for i := range 4 {
		err := w.Enqueue(job(meta(raftlog.KindSnapshot, id(1, raftlog.Index(i+1))), nil, &res[i]))
		if full := i == 3; full != errors.Is(err, snapshotwriter.ErrQueueFull) {
			t.Errorf("job %d: %v", i, err)
		}
	}
	if !w.Step() || w.Queued() != 2 || res[0].Err != nil {
		t.Errorf("after one step %d wait, %v", w.Queued(), res[0].Err)
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	for i := 1; i < 3; i++ {
		if !errors.Is(res[i].Err, snapshotwriter.ErrClosed) {
			t.Errorf("job %d: %v", i, res[i].Err)
		}
	}
	if err := w.Enqueue(job(meta(raftlog.KindSnapshot, id(1, 9)), nil, &res[0])); !errors.Is(err, snapshotwriter.ErrClosed) {
		t.Error(err)
	}
	if w.Step() {
		t.Error("jobs wait after Close")
	}
	w.Run(nil) // returns
	if _, err := w.Promote(testID, id(1, 1)); err == nil {
		t.Error("promoted after Close")
	}
}

func TestBadJobs(t *testing.T) {
	w := writer(t, newFS(t), nil)
	good := job(meta(raftlog.KindSnapshot, id(1, 1)), nil, new(snapshotwriter.Result))
	for name, change := range map[string]func(*snapshotwriter.Job){
		"no State": func(j *snapshotwriter.Job) { j.State = nil },
		"no Done":  func(j *snapshotwriter.Job) { j.Done = nil },
		"no kind":  func(j *snapshotwriter.Job) { j.Meta.Kind = 0 },
		"context":  func(j *snapshotwriter.Job) { j.Meta.Context = make([]byte, snapshot.MaxContextBytes+1) },
		"live":     func(j *snapshotwriter.Job) { j.Meta.Live = raftlog.SeqOf(2) },
	} {
		j := good
		change(&j)
		if err := w.Enqueue(j); !errors.Is(err, snapshotwriter.ErrMeta) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptions(t *testing.T) {
	if _, err := snapshotwriter.New(snapshotwriter.Options{ChunkBytes: 1, BytesPerSecond: -1, SyncBytes: 1, QueueDepth: -1, Workers: 99}); err == nil {
		t.Error("bad options are taken")
	}
	w, err := snapshotwriter.New(snapshotwriter.Options{FS: newFS(t), Dir: dir, DirName: dirName})
	if err != nil || w.Workers() != 2 {
		t.Fatal(err)
	}
	if res := write(t, w, raftlog.KindSnapshot, id(1, 1), state(1, 3<<20)); res.Err != nil {
		t.Error(res.Err)
	}
}
