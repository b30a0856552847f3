package engine_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// edited calls before ahead of each write to a manifest, and notes when the pool has begun with a file.
type edited struct {
	*memfs.FS
	before func()
	pooled bool
}

func (fs *edited) Create(name string, o vfs.CreateOptions) (vfs.File, error) {
	fs.pooled = fs.pooled || strings.HasSuffix(name, ".wal")
	f, err := fs.FS.Create(name, o)
	return fs.file(f), err
}

func (fs *edited) Open(name string, o vfs.OpenOptions) (vfs.File, error) {
	f, err := fs.FS.Open(name, o)
	return fs.file(f), err
}

func (fs *edited) Rename(from, to string) error {
	fs.pooled = fs.pooled || strings.HasSuffix(to, ".wal")
	return fs.FS.Rename(from, to)
}

func (fs *edited) file(f vfs.File) vfs.File {
	if f == nil || !strings.HasPrefix(filepath.Base(f.Name()), "manifest-") {
		return f
	}
	return &editedFile{f, fs}
}

type editedFile struct {
	vfs.File
	fs *edited
}

func (f *editedFile) WriteAt(b []byte, off int64) (int, error) {
	if f.fs.before != nil {
		f.fs.before()
	}
	return f.File.WriteAt(b, off)
}

// TestFlushOrder proves that until the manifest says where a flush put them, entries are read
// from memory, and their WAL file is not used again.
func TestFlushOrder(t *testing.T) {
	fs := &edited{FS: memfs.New(1)}
	e, err := engine.OpenParts(fs, "/db", engine.Options{WALFileBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]engine.Part{}
	for _, p := range e.Parts() {
		parts[p.Name] = p
	}
	for more := true; more; { // until all spares are ready
		more, _ = parts["pool"].Step()
	}
	l, err := e.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	for i := engine.Index(1); e.Stats().SealedFiles == 0; i++ {
		entry := engine.Entry{Index: i, Term: 1, Data: make([]byte, 1000)}
		if err := l.Append(l.Last(), []engine.Entry{entry}); err != nil {
			t.Fatal(err)
		}
		parts["commit"].Step()
	}
	end := l.LastWritten().Index
	reads := func(l *engine.Log) {
		t.Helper()
		for i := engine.Index(1); i <= end; i++ {
			if _, err := l.Read(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	edits := 0
	fs.before = func() {
		edits++
		reads(l)
		for fs.pooled = false; !fs.pooled; {
			parts["pool"].Step()
		}
		image := fs.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})
		again, err := engine.OpenParts(image, "/db", engine.Options{WALFileBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		found, err := again.Log("a")
		if err != nil {
			t.Fatal(err)
		}
		reads(found)
	}
	for more := true; more && edits == 0; {
		more, _ = parts["flush"].Step()
	}
	if edits != 1 {
		t.Fatalf("%d edits of the manifest, not 1", edits)
	}
	fs.before = nil
	reads(l)
}
