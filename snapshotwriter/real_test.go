package snapshotwriter_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/snapshotwriter"
)

// The same on the system's own files: writing, promoting, receiving, cleaning up.
func TestRealFileSystem(t *testing.T) {
	fs, err := fallback.Open(fallback.Options{})
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	w := writer(t, fs, func(o *snapshotwriter.Options) { o.Dir, o.ChunkBytes, o.SyncBytes = root, 64<<10, 1<<20 })
	data := state(1, 3<<20+5)
	for _, kind := range kinds {
		if res := write(t, w, kind, id(1, 1), data); res.Err != nil {
			t.Fatal(res.Err)
		}
		if kind == raftlog.KindSnapshot {
			continue
		}
		if _, got, err := read(fs, w.Path(testID, kind, id(1, 1))); err != nil || !bytes.Equal(got, data) {
			t.Fatal(kind, err)
		}
	}
	if res := write(t, w, raftlog.KindCheckpoint, id(1, 2), data); res.Err != nil {
		t.Fatal(res.Err)
	}
	if _, err := w.Promote(testID, id(1, 2)); err != nil {
		t.Fatal(err)
	}
	s := send(t, raftlog.KindSnapshot, id(1, 3), 5, 40*chunk)
	r := receiver(t, w, s)
	if err := accept(r, s, 20); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if r = receiver(t, w, s); r.Next() != 20 {
		t.Errorf("resumed at %d", r.Next())
	}
	if err := accept(r, s, len(s.chunks)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	for index, want := range map[raftlog.Index][]byte{1: data, 2: data, 3: s.data} {
		if _, got, err := read(fs, w.Path(testID, raftlog.KindSnapshot, id(1, index))); err != nil || !bytes.Equal(got, want) {
			t.Error(index, err)
		}
	}
	if err := os.WriteFile(filepath.Join(w.LogDir(testID), "snapshot-0000000000000001-0000000000000009.tmp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	finished, err := cleanup(fs, w.LogDir(testID), true)
	if err != nil || len(finished) != 5 {
		t.Errorf("%+v, %v", finished, err)
	}
	if names, err := fs.List(w.LogDir(testID)); err != nil || len(names) != 5 {
		t.Errorf("%v, %v", names, err)
	}
}
