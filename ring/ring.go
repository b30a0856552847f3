package ring

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/osfs"
)

// ErrUnsupported is wrapped, with the reason, where io_uring cannot be used.
var ErrUnsupported = vfs.ErrUnsupported

// Options configures Open. The zero value is right for production.
type Options struct {
	// Plain sets rings up without optional flags (COOP_TASKRUN, SUBMIT_ALL), as on an old
	// kernel. For tests and comparisons. Default false.
	Plain bool
}

// FS is vfs.FS with io_uring queues. All methods may be called by any goroutine.
type FS struct {
	osfs.FS
	options Options
	caps    Caps
}

// Open checks that this process may use io_uring, by using it once, and returns a file
// system. It blocks for well under a millisecond. Every error wraps ErrUnsupported and
// says what stands in the way.
func Open(o Options) (*FS, error) {
	caps := Probe()
	if caps.Err != nil {
		return nil, caps.Err
	}
	return &FS{FS: osfs.New(osfs.Options{Direct: true}), options: o, caps: caps}, nil
}

// Caps returns what Open found.
func (fs *FS) Caps() Caps { return fs.caps }

// NewQueue implements vfs.FS. The rings count against RLIMIT_MEMLOCK of the user, about
// 100 bytes an operation: an error that wraps ErrUnsupported says that it is exhausted.
// A queue also implements vfs.Registrar: up to 16 files at a time and 16 buffers.
func (fs *FS) NewQueue(depth int) (vfs.Queue, error) {
	if depth < 1 || depth > maxDepth {
		return nil, fmt.Errorf("ring: depth %d is not within 1 and %d", depth, maxDepth)
	}
	return openQueue(depth, fs.options)
}

// maxDepth bounds the depth of a queue, in operations.
const maxDepth = 4096
