package osfs

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/rawl-db/rawl/internal/vfs"
)

// File is an open file, or the holder of a lock. Its methods are those of vfs.File,
// and some for the queues of the packages that import this one.
type File struct {
	h      handle
	name   string
	direct bool
	sync   vfs.SyncMode
	closed atomic.Bool // set once, by Close
}

// Fd returns the system's descriptor or handle, which is valid until Close. The file
// keeps owning it.
func (f *File) Fd() uintptr { return f.h.fd() }

// Name implements vfs.File.
func (f *File) Name() string { return f.name }

// Direct implements vfs.File.
func (f *File) Direct() bool { return f.direct }

// SyncMode returns the sync that every write implies, here and on the descriptor when
// DescriptorSyncs is true.
func (f *File) SyncMode() vfs.SyncMode { return f.sync }

// DescriptorSyncs says that a file's SyncMode is carried out by the system for every write
// on its descriptor. Where it is false, WriteAt syncs after writing.
const DescriptorSyncs = descriptorSyncs

// Check returns the error that a transfer of p at off would meet before it reaches the
// system, or nil: vfs.ErrClosed, vfs.ErrAlignment on a direct file, a negative offset. op
// names the transfer in the error.
func (f *File) Check(op string, p []byte, off int64) error {
	if f.closed.Load() {
		return pathError(op, f.name, vfs.ErrClosed)
	}
	if off < 0 {
		return pathError(op, f.name, errNegative)
	}
	const mask = vfs.BlockSize - 1
	if f.direct && (off&mask != 0 || len(p)&mask != 0 || len(p) > 0 && uintptr(unsafe.Pointer(unsafe.SliceData(p)))&mask != 0) {
		return pathError(op, f.name, fmt.Errorf("%w: %d bytes at offset %d from address %p",
			vfs.ErrAlignment, len(p), off, unsafe.SliceData(p)))
	}
	return nil
}

// ReadAt implements vfs.File. It returns io.EOF only with less than len(p) bytes.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if err := f.Check("read", p, off); err != nil {
		return 0, err
	}
	n, err := readFull(pread, f.h, p, off, f.direct)
	return n, f.transferError("read", n, len(p), err)
}

// WriteAt implements vfs.File.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if err := f.Check("write", p, off); err != nil {
		return 0, err
	}
	n, err := writeFull(pwrite, f.h, p, off, f.direct)
	if err != nil {
		return n, f.transferError("write", n, len(p), err)
	}
	if !descriptorSyncs {
		return n, f.impliedSync()
	}
	return n, nil
}

// WriteAtDSync is WriteAt that also makes the written bytes as durable as Datasync would:
// one system call where there is one for it (pwritev2 with RWF_DSYNC), else a write and a
// sync. The file's other writes are not covered. ErrUnsupported is wrapped where Linux
// lacks the call (before 4.7, or filtered).
func (f *File) WriteAtDSync(p []byte, off int64) (int, error) {
	if err := f.Check("write", p, off); err != nil {
		return 0, err
	}
	n, err := writeFull(pwriteDSync, f.h, p, off, f.direct)
	return n, f.transferError("write", n, len(p), err)
}

// impliedSync carries out SyncMode where the descriptor does not.
func (f *File) impliedSync() error {
	switch f.sync {
	case vfs.SyncData:
		return f.Datasync()
	case vfs.SyncFull:
		return f.Sync()
	}
	return nil
}

// Datasync implements vfs.File. A file opened for reading may refuse it (Windows).
func (f *File) Datasync() error { return f.do("datasync", handle.datasync) }

// Sync implements vfs.File. A file opened for reading may refuse it (Windows).
func (f *File) Sync() error { return f.do("sync", handle.sync) }

// Truncate implements vfs.File.
func (f *File) Truncate(size int64) error {
	if f.closed.Load() {
		return pathError("truncate", f.name, vfs.ErrClosed)
	}
	if size < 0 {
		return pathError("truncate", f.name, errNegative)
	}
	if err := f.h.truncate(size); err != nil {
		return pathError("truncate", f.name, err)
	}
	return nil
}

// Size implements vfs.File.
func (f *File) Size() (int64, error) {
	if f.closed.Load() {
		return 0, pathError("stat", f.name, vfs.ErrClosed)
	}
	n, err := f.h.size()
	if err != nil {
		return 0, pathError("stat", f.name, err)
	}
	return n, nil
}

// Close implements vfs.File. Only the first call closes; the others return
// vfs.ErrClosed.
func (f *File) Close() error {
	if f.closed.Swap(true) {
		return pathError("close", f.name, vfs.ErrClosed)
	}
	if err := f.h.close(); err != nil {
		return pathError("close", f.name, err)
	}
	return nil
}

func (f *File) do(op string, call func(handle) error) error {
	if f.closed.Load() {
		return pathError(op, f.name, vfs.ErrClosed)
	}
	if err := call(f.h); err != nil {
		return pathError(op, f.name, err)
	}
	return nil
}
