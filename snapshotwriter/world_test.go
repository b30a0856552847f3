package snapshotwriter_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/snapshotwriter"
)

const (
	dir    = "/logs"
	testID = raftlog.LogID(7)
	chunk  = snapshot.MinChunkBytes
)

func dirName(id raftlog.LogID) string { return fmt.Sprintf("%016x", uint64(id)) }

// newFS returns a file system with the directory of the logs.
func newFS(t testing.TB) *memfs.FS {
	t.Helper()
	fs := memfs.New(1)
	if err := errors.Join(fs.MkdirAll(dir), fs.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	return fs
}

// writer returns a Writer over fs. Small chunks make many operations.
func writer(t testing.TB, fs vfs.FS, change func(*snapshotwriter.Options)) *snapshotwriter.Writer {
	t.Helper()
	now := int64(0)
	o := snapshotwriter.Options{FS: fs, Dir: dir, DirName: dirName, ChunkBytes: chunk, SyncBytes: 3 * chunk,
		Sleep: func(time.Duration) { t.Error("it slept") },
		Now:   func() int64 { now++; return now },
	}
	if change != nil {
		change(&o)
	}
	w, err := snapshotwriter.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// state returns n bytes that depend on the seed.
func state(seed uint64, n int) []byte {
	b := make([]byte, 0, n+8)
	for rng := rand.New(rand.NewPCG(seed, 1)); len(b) < n; {
		b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
	}
	return b[:n]
}

func id(term raftlog.Term, index raftlog.Index) raftlog.EntryID {
	return raftlog.EntryID{Term: term, Index: index}
}

// meta describes a state at id with live indexes and a context.
func meta(kind raftlog.SnapshotKind, at raftlog.EntryID) snapshotwriter.Meta {
	m := snapshotwriter.Meta{Kind: kind, UID: "u", Log: testID, ID: at, Context: []byte("configuration of " + at.String())}
	m.Live.Add(1)
	m.Live.Add(at.Index)
	return m
}

// job writes data in uneven portions and stores its result.
func job(m snapshotwriter.Meta, data []byte, res *snapshotwriter.Result) snapshotwriter.Job {
	return snapshotwriter.Job{
		Meta: m,
		State: func(out io.Writer) error {
			for b, n := data, 1; len(b) > 0; n = n*3 + 1 {
				k := min(n, len(b))
				if _, err := out.Write(b[:k]); err != nil {
					return err
				}
				b = b[k:]
			}
			return nil
		},
		Done: func(r snapshotwriter.Result) { *res = r },
	}
}

// do runs a job.
func do(t testing.TB, w *snapshotwriter.Writer, j snapshotwriter.Job) snapshotwriter.Result {
	t.Helper()
	var res *snapshotwriter.Result
	done := j.Done
	j.Done = func(r snapshotwriter.Result) {
		if res != nil {
			t.Error("Done was called twice")
		}
		res = &r
		if done != nil {
			done(r)
		}
	}
	if err := w.Enqueue(j); err != nil {
		t.Fatal(err)
	}
	if w.Step() || res == nil {
		t.Fatal("the job did not run, or another one waits")
	}
	return *res
}

// write writes a file.
func write(t testing.TB, w *snapshotwriter.Writer, kind raftlog.SnapshotKind, at raftlog.EntryID, data []byte) snapshotwriter.Result {
	t.Helper()
	var res snapshotwriter.Result
	return do(t, w, job(meta(kind, at), data, &res))
}

// mustWrite writes a file and checks it.
func mustWrite(t testing.TB, fs vfs.FS, w *snapshotwriter.Writer, kind raftlog.SnapshotKind, at raftlog.EntryID, data []byte) {
	t.Helper()
	res := write(t, w, kind, at, data)
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	check(t, fs, res.Snapshot, data)
}

// read returns the state of a file, or why it cannot be had.
func read(fs vfs.FS, path string, codecs ...snapshotwriter.Codec) (snapshot.Info, []byte, error) {
	r, err := snapshot.Open(fs, path, testID)
	if err != nil {
		return snapshot.Info{}, nil, err
	}
	defer r.Close()
	s, err := r.NewStateReader(codecs...)
	if err != nil {
		return snapshot.Info{}, nil, err
	}
	b, err := io.ReadAll(s)
	return r.Info(), b, errors.Join(err, s.Close())
}

func pathOf(kind raftlog.SnapshotKind, at raftlog.EntryID) string {
	return dir + "/" + dirName(testID) + "/" + snapshot.FileName(kind, at)
}

// check reads a file that must be whole.
func check(t testing.TB, fs vfs.FS, s raftlog.Snapshot, data []byte) {
	t.Helper()
	info, got, err := read(fs, pathOf(s.Kind, s.ID))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("%v: %d bytes of state, want %d", s, len(got), len(data))
	}
	want := meta(s.Kind, s.ID)
	if info.Snapshot() != s || !info.Live.Equal(want.Live) || !bytes.Equal(info.Context, want.Context) || info.UID != want.UID {
		t.Fatalf("meta %+v, result %+v", info, s)
	}
}

// files returns the base names in the log's directory.
func files(t testing.TB, fs vfs.FS) []string {
	t.Helper()
	found, err := snapshotwriter.List(fs, dir+"/"+dirName(testID))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.Path[len(dir)+18:])
	}
	return names
}

// cleanup removes what was being written, and when parts is set what was being received, as an engine does after an
// open, and returns the finished files.
func cleanup(fsys vfs.FS, dir string, parts bool) ([]snapshotwriter.Found, error) {
	found, err := snapshotwriter.List(fsys, dir)
	errs := []error{err}
	found = slices.DeleteFunc(found, func(f snapshotwriter.Found) bool {
		if f.Stage == snapshot.Writing || f.Stage == snapshot.Receiving && parts {
			errs = append(errs, fsys.Remove(f.Path))
		}
		return f.Stage != snapshot.Finished
	})
	return found, errors.Join(errs...)
}
