package memfs

import (
	"fmt"
	iofs "io/fs"
	"math/rand/v2"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"github.com/rawl-db/rawl/internal/vfs"
)

// Streams of the generators that one seed feeds.
const (
	seedStep  = 0x9e3779b97f4a7c15
	seedCrash = 1
	seedQueue = 2
)

// unlimited is the free space in bytes of a file system without a capacity.
const unlimited = 1 << 40

// FS is a file system in memory. All methods may be called by any goroutine; a Queue it
// returns belongs to one. It implements vfs.FS.
type FS struct {
	seed uint64

	// mu guards what follows and every node, directory, inode and content of the file
	// system, but no page: those are shared with images and immutable once shared. It is
	// not held while the hook runs.
	mu        sync.Mutex
	root      *node
	locks     map[*inode]bool
	capacity  int64 // bytes; negative for none
	usedPages int64 // of every file that has a name or is open
	dirSeq    uint64
	ops       int // operations counted
	hook      func(Op)
	queues    uint64
}

var _ vfs.FS = (*FS)(nil)

// New returns an empty file system without a capacity. The seed draws the order in which
// queued operations run.
func New(seed uint64) *FS {
	return &FS{seed: seed, root: newDirectory(), locks: map[*inode]bool{}, capacity: -1}
}

// SetCapacity sets the disk's size in bytes; negative means unlimited, which a new file
// system is. Space is taken per page of 4096 bytes, reserved ones included, and only by
// file contents. Whatever needs more than is free fails with syscall.ENOSPC, a write
// after storing what fits; overwriting in place needs none. A capacity below what is
// used already only forbids growth.
func (fs *FS) SetCapacity(bytes int64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.capacity = bytes
}

// FreeSpace returns the bytes that may still be allocated, 1 TiB without a capacity.
func (fs *FS) FreeSpace(dir string) (uint64, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if _, err := fs.walkLocked(dir); err != nil {
		return 0, pathError("statfs", dir, err)
	}
	return uint64(fs.freePagesLocked()) * pageSize, nil
}

func (fs *FS) freePagesLocked() int64 {
	if fs.capacity < 0 {
		return unlimited / pageSize
	}
	return max(0, fs.capacity/pageSize-fs.usedPages)
}

// releaseLocked returns a file's space once it has neither a name nor a handle.
func (fs *FS) releaseLocked(n *inode) {
	if n.links == 0 && n.handles == 0 {
		fs.usedPages -= n.current.pages
	}
}

// Alloc returns zeroed memory of the Go heap; free scribbles over it, so that a use
// afterwards shows.
func (fs *FS) Alloc(size int) (buf []byte, free func(), err error) {
	if size < 0 {
		return nil, nil, fmt.Errorf("memfs: allocating %d bytes: %w", size, syscall.EINVAL)
	}
	mem := make([]byte, size+vfs.BlockSize)
	skip := -int(uintptr(unsafe.Pointer(&mem[0]))) & (vfs.BlockSize - 1)
	buf = mem[skip : skip+size : skip+size]
	return buf, func() {
		// Doubling what is scribbled: byte by byte takes the race detector very long.
		for n := copy(buf, "\xdd"); 0 < n && n < len(buf); n *= 2 {
			copy(buf[n:], buf[:n])
		}
	}, nil
}

// NewQueue returns a queue without goroutines: what is submitted runs within Reap.
func (fs *FS) NewQueue(depth int) (vfs.Queue, error) {
	if depth < 1 || depth > 4096 {
		return nil, fmt.Errorf("memfs: queue of depth %d: %w", depth, syscall.EINVAL)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.queues++
	rng := rand.New(rand.NewPCG(fs.seed+fs.queues*seedStep, seedQueue))
	return &queue{fs: fs, depth: depth, rng: rng}, nil
}

// elements splits a name into those below the root; none is the root itself.
func elements(name string) []string {
	name = filepath.ToSlash(name[len(filepath.VolumeName(name)):])
	name = path.Clean("/" + name)
	if name == "/" {
		return nil
	}
	return strings.Split(name[1:], "/")
}

// walkLocked finds what a name refers to.
func (fs *FS) walkLocked(name string) (*node, error) {
	if name == "" {
		return nil, iofs.ErrNotExist
	}
	n := fs.root
	for _, elem := range elements(name) {
		if n.dir == nil {
			return nil, syscall.ENOTDIR
		}
		if n = n.dir.entries[elem]; n == nil {
			return nil, iofs.ErrNotExist
		}
	}
	return n, nil
}

// parentLocked finds the directory that holds, or would hold, a name's last element.
func (fs *FS) parentLocked(name string) (d *directory, base string, err error) {
	elems := elements(name)
	if name == "" {
		return nil, "", iofs.ErrNotExist
	}
	if len(elems) == 0 {
		return nil, "", syscall.EINVAL
	}
	last := len(elems) - 1
	n, err := fs.walkLocked("/" + strings.Join(elems[:last], "/"))
	if err != nil {
		return nil, "", err
	}
	if n.dir == nil {
		return nil, "", syscall.ENOTDIR
	}
	return n.dir, elems[last], nil
}

func pathError(op, name string, err error) error {
	return &iofs.PathError{Op: op, Path: name, Err: err}
}
