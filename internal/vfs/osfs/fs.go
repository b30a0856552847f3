package osfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/vfs"
)

// Options says what the file system offers.
type Options struct {
	// Direct allows direct files where the system has them. When false, opening one is
	// refused with vfs.ErrUnsupported.
	Direct bool
}

// FS has the methods of vfs.FS but NewQueue. Its files are *File. It holds no
// resources and is safe for use by any goroutine.
type FS struct {
	options Options
}

// New returns the file system.
func New(o Options) FS { return FS{options: o} }

// Reasons that are wrapped beside a vfs error or instead of one.
var (
	errNotRegular = errors.New("not a regular file")
	errDirectOff  = fmt.Errorf("direct files: %w by this backend", vfs.ErrUnsupported)
	errNegative   = errors.New("negative size or offset")
	errLink       = errors.New("is a symbolic link, which is not followed")
)

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Create implements vfs.FS. A file that could not be made as asked is removed again.
func (s FS) Create(name string, o vfs.CreateOptions) (vfs.File, error) {
	if o.Size < 0 {
		return nil, pathError("create", name, errNegative)
	}
	if o.Direct && !s.options.Direct {
		return nil, pathError("create", name, errDirectOff)
	}
	h, err := createHandle(name, o.Sync)
	if err != nil {
		return nil, pathError("create", name, err)
	}
	f := &File{h: h, name: name, direct: o.Direct, sync: o.Sync}
	if err := f.prepare(o); err != nil {
		h.close()
		os.Remove(name)
		return nil, pathError("create", name, err)
	}
	return f, nil
}

// prepare gives a new file its size and mode of transfer.
func (f *File) prepare(o vfs.CreateOptions) error {
	if o.Size > 0 {
		if err := f.h.reserve(o.Size); err != nil {
			return err
		}
	}
	if o.Direct {
		return f.h.setDirect()
	}
	return nil
}

// Open implements vfs.FS.
func (s FS) Open(name string, o vfs.OpenOptions) (vfs.File, error) {
	if o.Direct && !s.options.Direct {
		return nil, pathError("open", name, errDirectOff)
	}
	h, err := openHandle(name, o.Write, o.Sync)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	if o.Direct {
		if err := h.setDirect(); err != nil {
			h.close()
			return nil, pathError("open", name, err)
		}
	}
	return &File{h: h, name: name, direct: o.Direct, sync: o.Sync}, nil
}

// Rename implements vfs.FS.
func (FS) Rename(oldName, newName string) error { return os.Rename(oldName, newName) }

// Link implements vfs.FS.
func (FS) Link(oldName, newName string) error {
	if err := link(oldName, newName); err != nil {
		return &os.LinkError{Op: "link", Old: oldName, New: newName, Err: err}
	}
	return nil
}

// Remove implements vfs.FS.
func (FS) Remove(name string) error { return os.Remove(name) }

// MkdirAll implements vfs.FS. A directory that exists keeps its permissions; a symbolic
// link in dir's place is refused, wherever it leads.
func (s FS) MkdirAll(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		parent := filepath.Dir(dir)
		if parent == dir {
			return err
		}
		if err := s.MkdirAll(parent); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if err == nil {
		return os.Chmod(dir, 0o700) // the umask may have taken the owner's bits
	}
	info, statErr := os.Lstat(dir)
	switch {
	case statErr != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return pathError("mkdir", dir, errLink)
	case !info.IsDir():
		return err
	}
	return nil
}

// List implements vfs.FS.
func (FS) List(dir string) ([]string, error) {
	d, err := openDir(dir)
	if err != nil {
		return nil, pathError("list", dir, err)
	}
	names, err := d.Readdirnames(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return nil, pathError("list", dir, err)
	}
	slices.Sort(names)
	return names, nil
}

// Stat implements vfs.FS.
func (FS) Stat(name string) (vfs.Info, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return vfs.Info{}, err
	}
	return vfs.Info{Size: info.Size(), Dir: info.IsDir(), Regular: info.Mode().IsRegular()}, nil
}

// SyncDir implements vfs.FS.
func (FS) SyncDir(dir string) error {
	if err := syncDir(dir); err != nil {
		return pathError("syncdir", dir, err)
	}
	return nil
}

// Lock implements vfs.FS. Two locks of one name exclude each other inside a process
// too. The file stays when the lock is released.
func (FS) Lock(name string) (io.Closer, error) {
	h, err := lockHandle(name)
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	return &File{h: h, name: name}, nil
}

// FreeSpace implements vfs.FS.
func (FS) FreeSpace(dir string) (uint64, error) {
	n, err := freeSpace(dir)
	if err != nil {
		return 0, pathError("statfs", dir, err)
	}
	return n, nil
}

// Alloc implements vfs.FS. The memory's length is size rounded up to BlockSize. From
// 1 MiB on it is on Linux aligned to 2 MiB and advised to use huge pages; there it is
// also hidden from child processes, and everywhere every page is present already.
// free may be called more than once.
func (FS) Alloc(size int) (buf []byte, free func(), err error) {
	if size <= 0 || size > maxAlloc {
		return nil, nil, fmt.Errorf("alloc: size %d is not within 1 to %d", size, maxAlloc)
	}
	return alloc((size + vfs.BlockSize - 1) &^ (vfs.BlockSize - 1))
}

// maxAlloc is the largest size that Alloc takes, in bytes.
const maxAlloc = 1 << 30
