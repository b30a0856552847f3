package readplan

import (
	"runtime"

	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

// arena is the aligned memory that a group is read into. Long reads want huge pages, which only
// memory outside the Go heap has: with small ones the kernel pins 256 pages per MiB, and splits
// the read. An arena that is dropped is given back when the garbage collector finds it.
type arena struct {
	buf     []byte
	free    func() // nil for memory of the Go heap
	cleanup runtime.Cleanup
}

const (
	arenaStep = 2 << 20 // huge pages come in this size
	// arenaLeast is the length from which an arena is outside the Go heap.
	arenaLeast = 1 << 20
)

// newArena returns an arena of at least n bytes, of the heap when there is nothing better.
func newArena(fs vfs.FS, n int) *arena {
	if n >= arenaLeast {
		n = (n + arenaStep - 1) &^ (arenaStep - 1)
		if buf, free, err := fs.Alloc(n); err == nil {
			a := &arena{buf: buf[:n], free: free}
			a.cleanup = runtime.AddCleanup(a, func(free func()) { free() }, free)
			return a
		}
	}
	return &arena{buf: segment.AlignedBuffer(n)}
}

// size is the length in bytes; a nil arena has none.
func (a *arena) size() int {
	if a == nil {
		return 0
	}
	return len(a.buf)
}

// release gives the memory back. Nothing refers to it, and nothing is read into it, any more.
func (a *arena) release() {
	if a == nil || a.free == nil {
		return
	}
	a.cleanup.Stop()
	a.free()
	a.buf, a.free = nil, nil
}

// leak keeps the memory for good: a queue that failed may still write to it.
func (a *arena) leak() {
	if a != nil && a.free != nil {
		a.cleanup.Stop()
	}
}
