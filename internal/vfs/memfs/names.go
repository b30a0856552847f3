package memfs

import (
	"io"
	iofs "io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/rawl-db/rawl/internal/vfs"
)

// Create makes a file; with a Size that the capacity cannot hold it makes none.
func (fs *FS) Create(name string, o vfs.CreateOptions) (vfs.File, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.createLocked(name, o.Size)
	if err != nil {
		return nil, pathError("create", name, err)
	}
	n.handles++
	fs.announceLocked(Op{Kind: OpCreate, Name: name, Len: o.Size})
	return &File{fs: fs, node: n, name: name, write: true, direct: o.Direct, mode: o.Sync}, nil
}

func (fs *FS) createLocked(name string, size int64) (*inode, error) {
	d, base, err := fs.parentLocked(name)
	if err != nil {
		return nil, err
	}
	if d.entries[base] != nil {
		return nil, iofs.ErrExist
	}
	if size < 0 {
		return nil, syscall.EINVAL
	}
	if size > maxFileSize {
		return nil, syscall.EFBIG
	}
	if (size+pageSize-1)/pageSize > fs.freePagesLocked() {
		return nil, syscall.ENOSPC
	}
	n := newInode()
	if size > 0 {
		n.resize(size, true)
		fs.usedPages += n.current.pages
	}
	fs.applyLocked(step{dir: d, name: base, node: &node{file: n}})
	return n, nil
}

// Open opens a file.
func (fs *FS) Open(name string, o vfs.OpenOptions) (vfs.File, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.walkLocked(name)
	if err == nil && n.file == nil {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	n.file.handles++
	return &File{fs: fs, node: n.file, name: name, write: o.Write, direct: o.Direct, mode: o.Sync}, nil
}

// Rename does nothing when both names are the same file, as POSIX has it. A directory
// replaces an empty directory only.
func (fs *FS) Rename(oldName, newName string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.renameLocked(oldName, newName); err != nil {
		return pathError("rename", oldName, err)
	}
	return nil
}

func (fs *FS) renameLocked(oldName, newName string) error {
	from, oldBase, err := fs.parentLocked(oldName)
	if err != nil {
		return err
	}
	n := from.entries[oldBase]
	if n == nil {
		return iofs.ErrNotExist
	}
	to, newBase, err := fs.parentLocked(newName)
	if err != nil {
		return err
	}
	switch target := to.entries[newBase]; {
	case target == nil:
	case target == n || n.file != nil && target.file == n.file:
		return nil
	case n.file != nil && target.file == nil:
		return syscall.EISDIR
	case n.dir != nil && target.dir == nil:
		return syscall.ENOTDIR
	case target.dir != nil && len(target.dir.entries) > 0:
		return syscall.ENOTEMPTY
	}
	if n.dir != nil && below(elements(newName), elements(oldName)) {
		return syscall.EINVAL
	}
	fs.applyLocked(step{dir: from, name: oldBase}, step{dir: to, name: newBase, node: n})
	fs.announceLocked(Op{Kind: OpRename, Name: oldName, To: newName})
	return nil
}

// below says whether name lies inside dir.
func below(name, dir []string) bool {
	return len(name) > len(dir) && slices.Equal(name[:len(dir)], dir)
}

// Link adds a name to a file.
func (fs *FS) Link(oldName, newName string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.walkLocked(oldName)
	if err == nil && n.dir != nil {
		err = syscall.EPERM
	}
	if err != nil {
		return pathError("link", oldName, err)
	}
	d, base, err := fs.parentLocked(newName)
	if err == nil && d.entries[base] != nil {
		err = iofs.ErrExist
	}
	if err != nil {
		return pathError("link", newName, err)
	}
	fs.applyLocked(step{dir: d, name: base, node: n})
	fs.announceLocked(Op{Kind: OpLink, Name: oldName, To: newName})
	return nil
}

// Remove removes a name. The space of a file returns when its last name and its last
// handle are gone.
func (fs *FS) Remove(name string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	d, base, err := fs.parentLocked(name)
	if err != nil {
		return pathError("remove", name, err)
	}
	n := d.entries[base]
	if n == nil {
		return pathError("remove", name, iofs.ErrNotExist)
	}
	if n.dir != nil && len(n.dir.entries) > 0 {
		return pathError("remove", name, syscall.ENOTEMPTY)
	}
	fs.applyLocked(step{dir: d, name: base})
	fs.announceLocked(Op{Kind: OpRemove, Name: name})
	return nil
}

// MkdirAll makes a directory and its missing parents, each an operation of its own.
func (fs *FS) MkdirAll(dir string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := fs.root
	elems := elements(dir)
	for i, elem := range elems {
		child := n.dir.entries[elem]
		if child == nil {
			child = newDirectory()
			fs.applyLocked(step{dir: n.dir, name: elem, node: child})
			fs.announceLocked(Op{Kind: OpMkdir, Name: "/" + strings.Join(elems[:i+1], "/")})
		}
		if child.dir == nil {
			return pathError("mkdir", dir, syscall.ENOTDIR)
		}
		n = child
	}
	return nil
}

// List returns the sorted names in a directory.
func (fs *FS) List(dir string) ([]string, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.walkLocked(dir)
	if err == nil && n.dir == nil {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("list", dir, err)
	}
	return slices.Sorted(maps.Keys(n.dir.entries)), nil
}

// Stat describes what the name refers to.
func (fs *FS) Stat(name string) (vfs.Info, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.walkLocked(name)
	if err != nil {
		return vfs.Info{}, pathError("stat", name, err)
	}
	if n.dir != nil {
		return vfs.Info{Dir: true}, nil
	}
	return vfs.Info{Size: n.file.current.size, Regular: true}, nil
}

// SyncDir makes the directory's entries durable.
func (fs *FS) SyncDir(dir string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.walkLocked(dir)
	if err == nil && n.dir == nil {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return pathError("syncdir", dir, err)
	}
	fs.announceLocked(Op{Kind: OpSyncDir, Name: dir})
	n.dir.sync()
	return nil
}

// Lock takes a lock that lasts until Close or as long as the file system. The images that
// Crash returns start unlocked.
func (fs *FS) Lock(name string) (io.Closer, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.walkLocked(name)
	if err == nil && n.file == nil {
		return nil, pathError("lock", name, syscall.EISDIR)
	}
	var file *inode
	if err == nil {
		file = n.file
	} else if file, err = fs.createLocked(name, 0); err != nil {
		return nil, pathError("lock", name, err)
	} else {
		fs.announceLocked(Op{Kind: OpCreate, Name: name})
	}
	if fs.locks[file] {
		return nil, pathError("lock", name, vfs.ErrLocked)
	}
	fs.locks[file] = true
	file.handles++
	return &heldLock{fs: fs, file: file, name: name}, nil
}

type heldLock struct {
	fs   *FS
	file *inode
	name string
	once sync.Once
}

// Close releases the lock. Error: vfs.ErrClosed when it was released before.
func (l *heldLock) Close() error {
	err := pathError("unlock", l.name, vfs.ErrClosed)
	l.once.Do(func() {
		l.fs.mu.Lock()
		defer l.fs.mu.Unlock()
		delete(l.fs.locks, l.file)
		l.file.handles--
		l.fs.releaseLocked(l.file)
		err = nil
	})
	return err
}
