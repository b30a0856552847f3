package snapshotwriter

import (
	"errors"
	"fmt"
	"time"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs"
)

// Options configures a Writer. FS, Dir and DirName must be set; zero values of the other
// fields mean their defaults.
type Options struct {
	FS vfs.FS
	// Dir is the directory that holds one directory per log. It must exist.
	Dir string
	// DirName returns the name of a log's directory below Dir.
	DirName func(raftlog.LogID) string
	// ChunkBytes is the length of a chunk's data in bytes. Default 1 MiB. 4 KiB to 16 MiB.
	ChunkBytes int
	// BytesPerSecond bounds what all jobs and receivers transfer to and from the disk together, but
	// for chunks being received, which come at the sender's rate. Default 0: no limit.
	BytesPerSecond int64
	// SyncBytes is how much of a snapshot is written between two syncs. Default 8 MiB.
	// 4 KiB to 1 GiB. Of one that is received it is at most 1 MiB.
	SyncBytes int64
	// QueueDepth is the most jobs that wait. Default 64. 1 to 65536.
	QueueDepth int
	// Workers is how many goroutines the owner means to run; the Writer starts none. Default 2.
	// 1 to 64.
	Workers int
	// Codec encodes new states, nil for none.
	Codec Codec
	// World is what Run waits in. Default that of production.
	World *sched.World
	// Sleep waits. Default the world's. It is called for at most 50 ms at a time.
	Sleep func(time.Duration)
	// Now is a clock in nanoseconds that never goes back; it paces jobs and salts files. Default the
	// system's.
	Now func() int64
}

func (o Options) withDefaults() Options {
	if o.ChunkBytes == 0 {
		o.ChunkBytes = snapshot.DefaultChunkBytes
	}
	if o.SyncBytes == 0 {
		o.SyncBytes = 8 << 20
	}
	if o.QueueDepth == 0 {
		o.QueueDepth = 64
	}
	if o.Workers == 0 {
		o.Workers = 2
	}
	if o.World == nil {
		o.World = sched.Real()
	}
	if o.Sleep == nil {
		o.Sleep = o.World.Sleep
	}
	if o.Now == nil {
		began := time.Now()
		wall := began.UnixNano()
		o.Now = func() int64 { return wall + int64(time.Since(began)) }
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("snapshotwriter: "+format, args...))
		}
	}
	check(o.FS != nil, "FS is nil")
	check(o.Dir != "", "Dir is empty")
	check(o.DirName != nil, "DirName is nil")
	check(o.Codec == nil || o.codecName() != "", "Codec has no name")
	check(o.ChunkBytes >= snapshot.MinChunkBytes && o.ChunkBytes <= snapshot.MaxChunkBytes,
		"ChunkBytes %d is not in 4 KiB to 16 MiB", o.ChunkBytes)
	check(o.BytesPerSecond >= 0, "BytesPerSecond %d is negative", o.BytesPerSecond)
	check(o.SyncBytes >= 4<<10 && o.SyncBytes <= 1<<30, "SyncBytes %d is not in 4 KiB to 1 GiB", o.SyncBytes)
	check(o.QueueDepth >= 1 && o.QueueDepth <= 65536, "QueueDepth %d is not in 1 to 65536", o.QueueDepth)
	check(o.Workers >= 1 && o.Workers <= 64, "Workers %d is not in 1 to 64", o.Workers)
	return errors.Join(errs...)
}

// codecName is what new files name.
func (o *Options) codecName() string {
	if o.Codec == nil {
		return ""
	}
	return o.Codec.Name()
}
