package osfs

import (
	"fmt"
	"io"
	"os"
	"unsafe"

	"github.com/rawl-db/rawl/internal/vfs"
	"golang.org/x/sys/windows"
)

const descriptorSyncs = false

// handle is an open file. The os package's calls return errors with the name in them,
// of which the caller needs the innermost only.
type handle struct{ file *os.File }

// bare strips the name that package os puts into its errors.
func bare(err error) error {
	if e, ok := err.(*os.PathError); ok {
		return e.Err
	}
	return err
}

// openRegular opens a reparse point itself, never what it leads to, and then refuses it.
func openRegular(name string, flags int) (handle, error) {
	f, err := os.OpenFile(name, flags|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0o600)
	if err != nil {
		return handle{}, bare(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		f.Close()
		return handle{}, bare(err)
	}
	return handle{f}, nil
}

func createHandle(name string, _ vfs.SyncMode) (handle, error) {
	return openRegular(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func openHandle(name string, write bool, _ vfs.SyncMode) (handle, error) {
	if write {
		return openRegular(name, os.O_RDWR)
	}
	return openRegular(name, os.O_RDONLY)
}

func lockHandle(name string) (handle, error) {
	h, err := openRegular(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return h, err
	}
	// The locked byte lies beyond every size, since a lock here bars reading too.
	at := windows.Overlapped{OffsetHigh: 1 << 30}
	err = windows.LockFileEx(windows.Handle(h.file.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if err == windows.ERROR_LOCK_VIOLATION || err == windows.ERROR_IO_PENDING {
		err = fmt.Errorf("%w: %w", vfs.ErrLocked, err)
	}
	if err != nil {
		h.close()
	}
	return h, err
}

func (h handle) fd() uintptr { return h.file.Fd() }

func (h handle) close() error { return bare(h.file.Close()) }

func (h handle) datasync() error { return bare(h.file.Sync()) }

func (h handle) sync() error { return h.datasync() }

func (h handle) truncate(size int64) error { return bare(h.file.Truncate(size)) }

// reserve sets the size, with which NTFS allocates the clusters.
func (h handle) reserve(size int64) error { return h.truncate(size) }

func (h handle) size() (int64, error) {
	info, err := h.file.Stat()
	if err != nil {
		return 0, bare(err)
	}
	return info.Size(), nil
}

func again(error) bool { return false }

func pread(h handle, p []byte, off int64) (int, error) {
	n, err := h.file.ReadAt(p, off)
	if err == io.EOF {
		return n, nil
	}
	return n, bare(err)
}

func pwrite(h handle, p []byte, off int64) (int, error) {
	n, err := h.file.WriteAt(p, off)
	return n, bare(err)
}

// alloc returns aligned memory of the Go heap, which needs no freeing.
func alloc(size int) ([]byte, func(), error) {
	b := make([]byte, size+vfs.BlockSize)
	start := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (vfs.BlockSize - 1))
	return b[start : start+size : start+size], func() {}, nil
}
