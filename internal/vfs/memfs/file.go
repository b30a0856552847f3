package memfs

import (
	"io"
	"syscall"
	"unsafe"

	"github.com/rawl-db/rawl/internal/vfs"
)

// File is an open file of an FS, as vfs.File describes it. The methods beyond that
// contract are for fault injectors.
type File struct {
	fs     *FS
	node   *inode
	name   string
	write  bool
	direct bool
	mode   vfs.SyncMode
	closed bool // guarded by fs.mu
}

var _ vfs.File = (*File)(nil)

// ReadAt reads what the cache holds, durable or not.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.checkLocked(p, off); err != nil {
		return 0, pathError("read", f.name, err)
	}
	n := min(int64(len(p)), max(0, f.node.current.size-off))
	f.node.current.readAt(p[:n], off)
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// WriteAt writes p at off. A full disk takes what fits and reports syscall.ENOSPC.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	return f.writeAt(p, off, f.mode != vfs.SyncNone)
}

func (f *File) writeAt(p []byte, off int64, durable bool) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	err := f.checkLocked(p, off)
	switch {
	case err != nil:
	case !f.write:
		err = syscall.EBADF
	case off > maxFileSize-int64(len(p)):
		err = syscall.EFBIG
	}
	if err != nil {
		return 0, pathError("write", f.name, err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	before := f.node.current.pages
	n := f.node.write(p, off, f.fs.freePagesLocked())
	f.fs.usedPages += f.node.current.pages - before
	if n > 0 {
		f.fs.announceLocked(Op{Kind: OpWrite, Name: f.name, Off: off, Len: int64(n), DSync: durable})
		if durable {
			f.node.syncRange(off, int64(n))
		}
	}
	if n < len(p) {
		return n, pathError("write", f.name, syscall.ENOSPC)
	}
	return n, nil
}

// Datasync makes the file's writes and its size durable.
func (f *File) Datasync() error { return f.sync("fdatasync", OpDatasync) }

// Sync does what Datasync does: there is no other metadata.
func (f *File) Sync() error { return f.sync("fsync", OpSync) }

func (f *File) sync(call string, kind OpKind) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError(call, f.name, vfs.ErrClosed)
	}
	f.fs.announceLocked(Op{Kind: kind, Name: f.name})
	f.node.sync()
	return nil
}

// Truncate sets the size; growth is a hole that takes no space.
func (f *File) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	var err error
	switch {
	case f.closed:
		err = vfs.ErrClosed
	case size < 0 || !f.write:
		err = syscall.EINVAL
	case size > maxFileSize:
		err = syscall.EFBIG
	}
	if err != nil {
		return pathError("truncate", f.name, err)
	}
	before := f.node.current.pages
	f.node.resize(size, false)
	f.fs.usedPages += f.node.current.pages - before
	f.fs.announceLocked(Op{Kind: OpTruncate, Name: f.name, Len: size})
	return nil
}

// Size returns the size in bytes that programs see.
func (f *File) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return 0, pathError("stat", f.name, vfs.ErrClosed)
	}
	return f.node.current.size, nil
}

// Direct reports whether transfers must be aligned.
func (f *File) Direct() bool { return f.direct }

// Name returns the name the file was opened or created with.
func (f *File) Name() string { return f.name }

// Close closes the file; nothing becomes durable by it.
func (f *File) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError("close", f.name, vfs.ErrClosed)
	}
	f.closed = true
	f.node.handles--
	f.fs.releaseLocked(f.node)
	return nil
}

// checkLocked checks what every transfer needs.
func (f *File) checkLocked(p []byte, off int64) error {
	switch {
	case f.closed:
		return vfs.ErrClosed
	case off < 0:
		return syscall.EINVAL
	case f.direct && len(p) > 0 && !aligned(p, off):
		return vfs.ErrAlignment
	}
	return nil
}

func aligned(p []byte, off int64) bool {
	addr := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
	return (uint64(addr)|uint64(len(p))|uint64(off))%vfs.BlockSize == 0
}
