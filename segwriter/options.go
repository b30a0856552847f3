package segwriter

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

// Options configures a Writer. FS, Queue and Dir must be set; zero values of the other
// fields mean their defaults.
type Options struct {
	FS vfs.FS
	// Queue is owned by the Writer's goroutine; nobody else submits to it while a flush or
	// compaction runs. It must hold at least Depth operations, and be closed before the Writer is.
	Queue vfs.Queue
	// Dir is the directory that holds one directory per log. It must exist.
	Dir string
	// MaxEntries is the number of entries at which a segment is full. Default 4096.
	// 1 to 1<<30.
	MaxEntries uint32
	// MaxBytes is the length in bytes at which a segment is full; its last chunk may exceed
	// it. Default 64 MiB. 4 KiB to 1 TiB.
	MaxBytes int64
	// Direct writes around the page cache. A file system that cannot is written through
	// the cache.
	Direct bool
	// Depth is the most operations in flight, those of a compaction among them, and bounds the
	// open files. Default 32. 1 to 1024.
	Depth int
	// ChunkBytes is the target length of a chunk in bytes; an entry that is larger is a
	// chunk of its own. Default 1 MiB. 4 KiB to 16 MiB.
	ChunkBytes int
}

func (o Options) withDefaults() Options {
	if o.MaxEntries == 0 {
		o.MaxEntries = 4096
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.Depth == 0 {
		o.Depth = 32
	}
	if o.ChunkBytes == 0 {
		o.ChunkBytes = segment.ChunkBytes
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("segwriter: "+format, args...))
		}
	}
	check(o.FS != nil, "FS is nil")
	check(o.Queue != nil, "Queue is nil")
	check(o.Dir != "", "Dir is empty")
	check(o.MaxEntries <= 1<<30, "MaxEntries %d is above 1<<30", o.MaxEntries)
	check(o.MaxBytes >= 4<<10 && o.MaxBytes <= 1<<40, "MaxBytes %d is not in 4 KiB to 1 TiB", o.MaxBytes)
	check(o.Depth >= 1 && o.Depth <= 1024, "Depth %d is not in 1 to 1024", o.Depth)
	check(o.ChunkBytes >= 4<<10 && o.ChunkBytes <= 16<<20, "ChunkBytes %d is not in 4 KiB to 16 MiB", o.ChunkBytes)
	return errors.Join(errs...)
}
