package osfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/rawl-db/rawl/internal/vfs"
	"golang.org/x/sys/unix"
)

// openDirect makes a direct file of size bytes, or skips where the directory for
// temporary files has none.
func openDirect(t *testing.T, mode vfs.SyncMode, size int64) *File {
	t.Helper()
	dir := t.TempDir()
	if err := ProbeDirect(dir); errors.Is(err, vfs.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Fatalf("ProbeDirect left %v, %v", entries, err)
	}
	f, err := New(Options{Direct: true}).Create(filepath.Join(dir, "f"), vfs.CreateOptions{Direct: true, Sync: mode, Size: size})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f.(*File)
}

// TestDescriptorFlags checks that a file is opened the way its options say, and without
// O_NONBLOCK.
func TestDescriptorFlags(t *testing.T) {
	for mode, want := range map[vfs.SyncMode]int{vfs.SyncNone: 0, vfs.SyncData: unix.O_DSYNC, vfs.SyncFull: unix.O_SYNC} {
		created := openDirect(t, mode, block)
		opened, err := New(Options{Direct: true}).Open(created.Name(), vfs.OpenOptions{Write: true, Direct: true, Sync: mode})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []*File{created, opened.(*File)} {
			flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
			if err != nil {
				t.Fatal(err)
			}
			const mask = unix.O_ACCMODE | unix.O_DIRECT | unix.O_SYNC | unix.O_DSYNC | unix.O_NONBLOCK
			if flags&mask != unix.O_RDWR|unix.O_DIRECT|want {
				t.Errorf("sync mode %d: flags %#x", mode, flags)
			}
			if f.SyncMode() != mode {
				t.Errorf("SyncMode = %d, want %d", f.SyncMode(), mode)
			}
		}
		if err := opened.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReserved checks that a created file owns its blocks.
func TestReserved(t *testing.T) {
	const size = 1 << 20
	f := openDirect(t, vfs.SyncNone, size)
	st, err := f.h.stat()
	if err != nil {
		t.Fatal(err)
	}
	if st.Blocks*512 < size {
		if err := unix.Fallocate(int(f.Fd()), 0, 0, size); err == unix.EOPNOTSUPP {
			t.Skip("this file system does not reserve")
		}
		t.Errorf("%d bytes are reserved, want %d", st.Blocks*512, size)
	}
}

func TestUmaskHasNoSay(t *testing.T) {
	dir := t.TempDir()
	old := unix.Umask(0o777)
	defer unix.Umask(old)
	s := New(Options{})
	f, err := s.Create(filepath.Join(dir, "f"), vfs.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := s.MkdirAll(filepath.Join(dir, "a", "b")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"f": 0o600, "a": 0o700, "a/b": 0o700} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has permissions %o, want %o", name, info.Mode().Perm(), want)
		}
	}
}

// TestFIFO checks that a FIFO in a file's place is refused, and not waited for.
func TestFIFO(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(Options{})
	for _, write := range []bool{false, true} {
		if _, err := s.Open(name, vfs.OpenOptions{Write: write}); !errors.Is(err, errNotRegular) {
			t.Errorf("Open with Write %v: %v", write, err)
		}
	}
	if _, err := s.Lock(name); !errors.Is(err, errNotRegular) {
		t.Errorf("Lock: %v", err)
	}
}

// TestSystemErrors checks that the errno and its meaning can both be found.
func TestSystemErrors(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{})
	// More than any file system holds.
	name := filepath.Join(dir, "f")
	_, err := s.Create(name, vfs.CreateOptions{Size: 1<<63 - 1})
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EFBIG) {
		t.Errorf("Create: %v", err)
	}
	if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that could not be made was left behind: %v", err)
	}
	if err := os.Symlink(dir, name); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(name, vfs.OpenOptions{}); !errors.Is(err, unix.ELOOP) {
		t.Errorf("Open of a symbolic link: %v", err)
	}
	if _, err := s.List(name); err == nil {
		t.Error("List followed a symbolic link")
	}
	if err := s.SyncDir(name); err == nil {
		t.Error("SyncDir followed a symbolic link")
	}
	if err := s.MkdirAll(name); !errors.Is(err, errLink) {
		t.Errorf("MkdirAll over a symbolic link: %v", err)
	}
}

func TestWriteAtDSync(t *testing.T) {
	f := openDirect(t, vfs.SyncNone, 4*block)
	mem, free, err := New(Options{}).Alloc(2 * block)
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	mem[0], mem[2*block-1] = 1, 2
	if n, err := f.WriteAtDSync(mem, block); n != 2*block || err != nil {
		t.Fatalf("WriteAtDSync = %d, %v", n, err)
	}
	got, free, err := New(Options{}).Alloc(2 * block)
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	if n, err := f.ReadAt(got, block); n != 2*block || err != nil || string(got) != string(mem) {
		t.Errorf("read back %d, %v", n, err)
	}
	if _, err := f.WriteAtDSync(mem[1:], 0); !errors.Is(err, vfs.ErrAlignment) {
		t.Errorf("unaligned: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAtDSync(mem, 0); !errors.Is(err, vfs.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestCheckAlignment(t *testing.T) {
	for _, c := range []struct {
		mem, off uint32
		ok       bool
	}{{4, 512, true}, {512, 4096, true}, {4096, 4096, true}, {0, 0, false}, {4, 8192, false}, {16384, 512, false}, {4, 3000, false}} {
		err := checkAlignment(c.mem, c.off)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, vfs.ErrUnsupported) {
			t.Errorf("memory %d, offset %d: %v", c.mem, c.off, err)
		}
	}
}

func TestHugeAlloc(t *testing.T) {
	for _, size := range []int{hugeFrom, hugePage, 3*hugePage + 1} {
		buf, free, err := New(Options{}).Alloc(size)
		if err != nil {
			t.Fatal(err)
		}
		if uintptr(unsafe.Pointer(&buf[0]))%hugePage != 0 {
			t.Errorf("%d bytes are not aligned to a huge page", size)
		}
		free()
		free()
	}
	for _, size := range []int{-1, 0, maxAlloc + 1} {
		if _, _, err := New(Options{}).Alloc(size); err == nil {
			t.Errorf("Alloc(%d) succeeded", size)
		}
	}
}

func TestDirectOff(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	s := New(Options{})
	if _, err := s.Create(name, vfs.CreateOptions{Direct: true}); !errors.Is(err, vfs.ErrUnsupported) {
		t.Errorf("Create: %v", err)
	}
	if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused file was left behind: %v", err)
	}
}
