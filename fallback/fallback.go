package fallback

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/osfs"
)

const (
	defaultWorkers = 8
	maxWorkers     = 256
	maxDepth       = 4096
)

// Options says which personality to open. The zero value is the portable one.
type Options struct {
	// Direct allows direct files and makes a write with DSync one system call. Only Linux
	// has it. Whether the file system of a directory does is for ProbeDirect to say.
	Direct bool
	// Workers is the number of goroutines, the caller of Reap among them, that run one
	// queue's operations at a time. Default 8. At most 256.
	Workers int
}

func (o Options) withDefaults() Options {
	if o.Workers == 0 {
		o.Workers = defaultWorkers
	}
	return o
}

func (o Options) validate() error {
	if o.Workers < 1 || o.Workers > maxWorkers {
		return fmt.Errorf("fallback: Workers is %d, want 0 (default) or 1 to %d", o.Workers, maxWorkers)
	}
	return nil
}

// FS implements vfs.FS. It holds no resources; its files and queues do, each until its
// Close.
type FS struct {
	osfs.FS
	options Options
}

var _ vfs.FS = (*FS)(nil)

// Open returns a file system. It fails with vfs.ErrUnsupported and the reason when
// Options.Direct is set and the system has no direct files or the kernel refuses
// pwritev2. It touches no file.
func Open(o Options) (*FS, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Direct {
		if err := directSupported(); err != nil {
			return nil, fmt.Errorf("fallback: %w", err)
		}
	}
	return &FS{FS: osfs.New(osfs.Options{Direct: o.Direct}), options: o}, nil
}

// ProbeDirect says whether the direct personality works for files in dir, by writing and
// reading one block of a file that it makes and removes: nil, an error that wraps
// vfs.ErrUnsupported with the reason, or the error of the file system. It blocks for a
// durable write.
func ProbeDirect(dir string) error {
	if err := directSupported(); err != nil {
		return fmt.Errorf("fallback: %w", err)
	}
	if err := osfs.ProbeDirect(dir); err != nil {
		return fmt.Errorf("fallback: probing %s: %w", dir, err)
	}
	return nil
}

// NewQueue implements vfs.FS. A queue keeps about 24 bytes per operation of depth.
func (s *FS) NewQueue(depth int) (vfs.Queue, error) {
	if depth < 1 || depth > maxDepth {
		return nil, fmt.Errorf("fallback: queue depth is %d, want 1 to %d", depth, maxDepth)
	}
	return newQueue(depth, min(depth, s.options.Workers), s.options.Direct), nil
}

// errOperation is the outcome of an operation that names no file or no known kind.
var errOperation = errors.New("fallback: operation without a file or of an unknown kind")
