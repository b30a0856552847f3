package memfs_test

import (
	"bytes"
	"errors"
	iofs "io/fs"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

const page = vfs.BlockSize

func wantFree(t *testing.T, fs *memfs.FS, want uint64) {
	t.Helper()
	if got, err := fs.FreeSpace("/"); err != nil || got != want {
		t.Errorf("FreeSpace = %d, %v, want %d", got, err, want)
	}
}

func wantNoSpace(t *testing.T, what, name string, err error) {
	t.Helper()
	var pe *iofs.PathError
	if !errors.Is(err, syscall.ENOSPC) || !errors.As(err, &pe) || pe.Path != name {
		t.Errorf("%s: error %v, want ENOSPC of %s", what, err, name)
	}
}

func TestCapacity(t *testing.T) {
	fs := memfs.New(1)
	fs.SetCapacity(10*page + 100)
	wantFree(t, fs, 10*page)
	a, err := fs.Create("/a", vfs.CreateOptions{Size: 4 * page})
	if err != nil {
		t.Fatal(err)
	}
	wantFree(t, fs, 6*page)
	_, err = fs.Create("/b", vfs.CreateOptions{Size: 7 * page})
	wantNoSpace(t, "Create beyond the capacity", "/b", err)
	if _, err := fs.Stat("/b"); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("a refused Create left the file behind: %v", err)
	}
	b, err := fs.Create("/b", vfs.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := b.WriteAt(bytes.Repeat([]byte{1}, 8*page), 100)
	wantNoSpace(t, "WriteAt beyond the capacity", "/b", err)
	if size, _ := b.Size(); n != 6*page-100 || size != 6*page {
		t.Errorf("a write to a full disk stored %d bytes, size %d", n, size)
	}
	wantFree(t, fs, 0)
	if n, err := b.WriteAt([]byte{2}, 6*page); n != 0 {
		t.Errorf("WriteAt on a full disk = %d, %v", n, err)
	} else {
		wantNoSpace(t, "WriteAt on a full disk", "/b", err)
	}
	if _, err := a.WriteAt(bytes.Repeat([]byte{3}, 4*page), 0); err != nil {
		t.Errorf("overwriting reserved space on a full disk: %v", err)
	}
	if err := a.Truncate(100 * page); err != nil {
		t.Errorf("a hole on a full disk: %v", err)
	}
	if err := a.Truncate(page + 1); err != nil {
		t.Fatal(err)
	}
	wantFree(t, fs, 2*page)
	if err := b.Datasync(); err != nil {
		t.Fatal(err)
	}
	if err := fs.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	image := fs.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})
	wantFree(t, image, 2*page)
	wantFree(t, fs.Crash(memfs.CrashOptions{}), 4*page) // the size of a is lost

	// An open file keeps its space; so does a linked one.
	if err := fs.Link("/b", "/c"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/b", "/c"} {
		if err := fs.Remove(name); err != nil {
			t.Fatal(err)
		}
		wantFree(t, fs, 2*page)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	wantFree(t, fs, 8*page)
	fs.SetCapacity(page)
	wantFree(t, fs, 0)
	fs.SetCapacity(-1)
	if _, err := a.WriteAt(make([]byte, 64*page), 0); err != nil {
		t.Errorf("without a capacity: %v", err)
	}
	wantFree(t, image, 2*page)
}

// TestReservedInImages checks that reserved space stays taken after a power cut that its
// size survives.
func TestReservedInImages(t *testing.T) {
	fs := memfs.New(1)
	fs.SetCapacity(10 * page)
	f, err := fs.Create("/f", vfs.CreateOptions{Size: 4 * page})
	if err != nil {
		t.Fatal(err)
	}
	wantFree(t, fs.Crash(memfs.CrashOptions{Unsynced: memfs.Kept}), 6*page)
	wantFree(t, fs.Crash(memfs.CrashOptions{}), 10*page)
	if err := fs.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	if err := f.Datasync(); err != nil {
		t.Fatal(err)
	}
	wantFree(t, fs.Crash(memfs.CrashOptions{}), 6*page)
}

func TestRenameKeepsSpace(t *testing.T) {
	fs := memfs.New(1)
	fs.SetCapacity(10 * page)
	for _, name := range []string{"/a", "/b"} {
		f, err := fs.Create(name, vfs.CreateOptions{Size: 3 * page})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wantFree(t, fs, 4*page)
	if err := fs.Rename("/a", "/b"); err != nil {
		t.Fatal(err)
	}
	wantFree(t, fs, 7*page)
	if err := fs.Rename("/b", "/c"); err != nil {
		t.Fatal(err)
	}
	wantFree(t, fs, 7*page)
}
