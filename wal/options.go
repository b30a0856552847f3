package wal

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/internal/vfs"
)

// Bounds, in bytes.
const (
	// MinFileSize and MaxFileSize bound Options.FileSize.
	MinFileSize = 64 << 10
	MaxFileSize = 1 << 30
	// MaxControlPayload bounds Control.Payload.
	MaxControlPayload = 4096
	// MaxCommitAll bounds the frame that CommitAll writes.
	MaxCommitAll = 1 << 30
)

// Options of a WAL. FS, Queue, Dir, Stream, NextBatch and NextNumber are required.
type Options struct {
	// FS holds Dir, which exists.
	FS  vfs.FS
	Dir string
	// Queue carries the commits. It belongs to the committer from New until Close returned,
	// which does not close it. Its depth is at least 1.
	Queue vfs.Queue
	// Stream is the engine's random id, repeated in every file header.
	Stream uint64
	// NextBatch is the first batch to write, at least 1: one above the last durable batch.
	NextBatch raftlog.Batch
	// NextNumber is the number of the next file, at least 1 and above all ever used.
	NextNumber uint64
	// Pooled lists files in Dir that are in nobody's service: they may be recycled or
	// removed.
	Pooled []uint64

	// FileSize is the size of a file in bytes. Default 64 MiB; MinFileSize to MaxFileSize, a
	// multiple of 4096.
	FileSize int64
	// MaxFileEntries rolls to the next file when the current one holds as many entries.
	// Default 4,194,304; at least 1. A batch that was begun may exceed it.
	MaxFileEntries int64
	// MaxBatchBytes ends a batch at the record that reaches it, in bytes. Default 1 MiB, and
	// never more than a quarter of FileSize; at least 4096. A batch of nothing but fragments
	// may be four times as long: devices take long writes at a higher rate.
	MaxBatchBytes int
	// MaxBatchEntries ends a batch that holds as many entries. Default 65,536; at least 1.
	MaxBatchEntries int
	// GatherMaxBytes ends the wait for company when as many payload bytes are pending.
	// Default 256 KiB; at least 1.
	GatherMaxBytes int
	// NoGather commits at once whatever is pending. It exists for comparisons.
	NoGather bool
	// ReserveBytes is the tail of each file that only control records may use while no
	// spare is ready. Default 1 MiB, and never more than an eighth of FileSize.
	ReserveBytes int64
	// Spares is the number of files that the pool keeps ready. Default 2; 1 to 64.
	Spares int

	Strategy Strategy
	Prealloc Prealloc
	// Direct opens files past the page cache where FS can; else they are buffered.
	Direct bool

	// World is what Run and the pool rest in, and who asked for a roll. Default that of production.
	World *sched.World
	// Now returns the time in nanoseconds from an arbitrary origin; it never falls. Default:
	// the world's.
	Now func() int64
	// Yield lets other goroutines run. Default the world's.
	Yield func()

	// Register is called on the pool's goroutine before a spare may be used. When it returns
	// nil the engine durably knows that the file is in service. An error keeps the file from
	// use and is tried again. Default: nothing.
	Register func(number uint64) error
	// OnSealed is called on the committer's goroutine when a file will get no more frames.
	// It must not block. Default: nothing.
	OnSealed func(Sealed)
	// OnHealth is called on the committer's goroutine when Health changes, with the cause. It
	// must not block. Default: nothing.
	OnHealth func(Health, error)
}

// mostFragments is MaxBatchBytes for batches of nothing but fragments.
func (o *Options) mostFragments() int {
	return max(o.MaxBatchBytes, min(4*o.MaxBatchBytes, int(o.FileSize/4)))
}

func (o Options) withDefaults() Options {
	setDefault(&o.FileSize, 64<<20)
	setDefault(&o.MaxFileEntries, 4<<20)
	setDefault(&o.MaxBatchBytes, 1<<20)
	setDefault(&o.MaxBatchEntries, 64<<10)
	setDefault(&o.GatherMaxBytes, 256<<10)
	setDefault(&o.ReserveBytes, 1<<20)
	setDefault(&o.Spares, 2)
	o.MaxBatchBytes = min(o.MaxBatchBytes, int(o.FileSize/4))
	o.ReserveBytes = min(o.ReserveBytes, o.FileSize/8) &^ (frame.BlockSize - 1)
	if o.World == nil {
		o.World = sched.Real()
	}
	if o.Now == nil {
		o.Now = o.World.Now
	}
	if o.Yield == nil {
		o.Yield = o.World.Yield
	}
	if o.Register == nil {
		o.Register = func(uint64) error { return nil }
	}
	if o.OnSealed == nil {
		o.OnSealed = func(Sealed) {}
	}
	if o.OnHealth == nil {
		o.OnHealth = func(Health, error) {}
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate reports every violation, each with field and value. It is called after
// withDefaults.
func (o Options) validate() error {
	var errs []error
	check := func(ok bool, field string, value any) {
		if !ok {
			errs = append(errs, fmt.Errorf("wal: option %s: %v is out of bounds", field, value))
		}
	}
	check(o.FS != nil, "FS", o.FS)
	check(o.Queue != nil, "Queue", o.Queue)
	check(o.Dir != "", "Dir", o.Dir)
	check(o.NextBatch >= 1, "NextBatch", o.NextBatch)
	check(o.NextNumber >= 1, "NextNumber", o.NextNumber)
	check(o.FileSize >= MinFileSize && o.FileSize <= MaxFileSize && o.FileSize%frame.BlockSize == 0,
		"FileSize", o.FileSize)
	check(o.MaxFileEntries >= 1, "MaxFileEntries", o.MaxFileEntries)
	check(o.MaxBatchBytes >= frame.BlockSize, "MaxBatchBytes", o.MaxBatchBytes)
	check(o.MaxBatchEntries >= 1, "MaxBatchEntries", o.MaxBatchEntries)
	check(o.GatherMaxBytes >= 1, "GatherMaxBytes", o.GatherMaxBytes)
	check(o.ReserveBytes >= 0, "ReserveBytes", o.ReserveBytes)
	check(o.Spares >= 1 && o.Spares <= 64, "Spares", o.Spares)
	check(int(o.Strategy) < len(strategyNames), "Strategy", o.Strategy)
	check(int(o.Prealloc) < len(preallocNames), "Prealloc", o.Prealloc)
	return errors.Join(errs...)
}

// MaxEntryBytes is the longest payload that Step can write into files of the given size, in
// bytes. Longer ones must be refused before they are queued.
func MaxEntryBytes(fileSize int64) int { return int(fileSize / 8) }
