package errorfs

import (
	"io"

	"github.com/rawl-db/rawl/internal/vfs"
)

// Create counts as OpCreate.
func (fs *FS) Create(name string, o vfs.CreateOptions) (f vfs.File, err error) {
	err = fs.do(Op{Kind: OpCreate, Name: name, Len: o.Size}, func() error {
		f, err = fs.inner.Create(name, o)
		return err
	}, func() { f.Close() })
	return fs.wrap(f, o.Sync, err)
}

// Open counts as OpOpen.
func (fs *FS) Open(name string, o vfs.OpenOptions) (f vfs.File, err error) {
	err = fs.do(Op{Kind: OpOpen, Name: name}, func() error {
		f, err = fs.inner.Open(name, o)
		return err
	}, func() { f.Close() })
	return fs.wrap(f, o.Sync, err)
}

func (fs *FS) wrap(f vfs.File, mode vfs.SyncMode, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &file{fs: fs, inner: f, durable: mode != vfs.SyncNone}, nil
}

// Rename counts as OpRename.
func (fs *FS) Rename(oldName, newName string) error {
	return fs.do(Op{Kind: OpRename, Name: oldName, To: newName}, func() error {
		return fs.inner.Rename(oldName, newName)
	}, nil)
}

// Link counts as OpLink.
func (fs *FS) Link(oldName, newName string) error {
	return fs.do(Op{Kind: OpLink, Name: oldName, To: newName}, func() error {
		return fs.inner.Link(oldName, newName)
	}, nil)
}

// Remove counts as OpRemove.
func (fs *FS) Remove(name string) error {
	return fs.do(Op{Kind: OpRemove, Name: name}, func() error { return fs.inner.Remove(name) }, nil)
}

// MkdirAll counts as one OpMkdirAll.
func (fs *FS) MkdirAll(dir string) error {
	return fs.do(Op{Kind: OpMkdirAll, Name: dir}, func() error { return fs.inner.MkdirAll(dir) }, nil)
}

// List counts as OpList.
func (fs *FS) List(dir string) (names []string, err error) {
	err = fs.do(Op{Kind: OpList, Name: dir}, func() error {
		names, err = fs.inner.List(dir)
		return err
	}, func() { names = nil })
	return names, err
}

// Stat counts as OpStat.
func (fs *FS) Stat(name string) (info vfs.Info, err error) {
	err = fs.do(Op{Kind: OpStat, Name: name}, func() error {
		info, err = fs.inner.Stat(name)
		return err
	}, func() { info = vfs.Info{} })
	return info, err
}

// SyncDir counts as OpSyncDir.
func (fs *FS) SyncDir(dir string) error {
	return fs.do(Op{Kind: OpSyncDir, Name: dir}, func() error { return fs.inner.SyncDir(dir) }, nil)
}

// Lock counts as OpLock; its release is not counted.
func (fs *FS) Lock(name string) (c io.Closer, err error) {
	err = fs.do(Op{Kind: OpLock, Name: name}, func() error {
		c, err = fs.inner.Lock(name)
		return err
	}, func() {
		c.Close()
		c = nil
	})
	return c, err
}

// FreeSpace counts as OpFreeSpace.
func (fs *FS) FreeSpace(dir string) (n uint64, err error) {
	err = fs.do(Op{Kind: OpFreeSpace, Name: dir}, func() error {
		n, err = fs.inner.FreeSpace(dir)
		return err
	}, func() { n = 0 })
	return n, err
}

// Alloc is not counted and never fails by a fault.
func (fs *FS) Alloc(size int) (buf []byte, free func(), err error) { return fs.inner.Alloc(size) }

// NewQueue is not counted; what is submitted to the queue is.
func (fs *FS) NewQueue(depth int) (vfs.Queue, error) {
	inner, err := fs.inner.NewQueue(depth)
	if err != nil {
		return nil, err
	}
	return &queue{fs: fs, inner: inner, depth: depth, running: map[*vfs.Op]*request{}, reaped: make([]*vfs.Op, depth)}, nil
}
