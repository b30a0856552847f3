package wal

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// recSystems are file systems with directory dir, by name.
func recSystems(t *testing.T, dir string) map[string]vfs.FS {
	t.Helper()
	systems := map[string]vfs.FS{"memory": memfs.New(1)}
	plain, err := fallback.Open(fallback.Options{})
	if err != nil {
		t.Fatal(err)
	}
	systems["buffered"] = plain
	if direct, err := fallback.Open(fallback.Options{Direct: true}); err == nil {
		systems["direct"] = direct
	}
	for name, s := range systems {
		if err := s.MkdirAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return systems
}

// TestRecoverSystems: over every file system, direct or not, with files whose end is no
// multiple of a block, the visitor sees the same.
func TestRecoverSystems(t *testing.T) {
	dir := t.TempDir()
	im, _ := recSample()
	clear(im.frames[1].bytes())
	for _, cut := range []int{0, 1, 4095, 4097} {
		data := im.files[2].data
		im.files[2].data = data[:len(data)-cut]
		want := recMust(t, im, nil)
		for name, s := range recSystems(t, dir) {
			at := filepath.Join(dir, name, fmt.Sprint(cut))
			if err := s.MkdirAll(at); err != nil {
				t.Fatal(err)
			}
			for _, f := range im.files {
				recCreate(t, s, FileName(at, f.number), f.data)
			}
			for _, serial := range []bool{false, true} {
				got, err := recRun(s, im.numbers(), func(o *RecoverOptions) { o.Dir, o.Serial, o.Direct = at, serial, name != "buffered" })
				if err != nil || !slices.Equal(got.script, want.script) {
					t.Fatalf("%s, %d bytes cut: %v\n%v\n%v", name, cut, err, got.script, want.script)
				}
			}
		}
		im.files[2].data = data
	}
}

func recCreate(t *testing.T, s vfs.FS, name string, data []byte) {
	t.Helper()
	f, err := s.Create(name, vfs.CreateOptions{})
	if err == nil {
		_, err = f.WriteAt(data, 0)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
