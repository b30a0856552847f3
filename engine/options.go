package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rawl-db/rawl/memtable"
	"github.com/rawl-db/rawl/wal"
)

// Backend says how the engine reaches the disk.
type Backend string

const (
	// BackendAuto measures what is available when the engine opens and takes the fastest for
	// commits; the deep queues of flush and recovery use io_uring wherever it is allowed.
	BackendAuto Backend = "auto"
	// BackendRing is Linux io_uring. Open fails with ErrUnsupported where it is refused.
	BackendRing Backend = "ring"
	// BackendDirect is O_DIRECT with pwritev2(RWF_DSYNC), Linux only.
	BackendDirect Backend = "direct"
	// BackendFallback is buffered pwrite and fdatasync or what the system has for it.
	BackendFallback Backend = "fallback"
)

// Strategy names the guarantee of a commit; see wal.Strategy.
type Strategy = wal.Strategy

// The strategies. All but StrategyNone are durable.
const (
	StrategyDatasync = wal.StrategyDatasync
	StrategyDsync    = wal.StrategyDsync
	StrategyOsync    = wal.StrategyOsync
	StrategySync     = wal.StrategySync
	StrategyNone     = wal.StrategyNone
)

// Prealloc says how the space of WAL files is had; see wal.Prealloc.
type Prealloc = wal.Prealloc

// The ways of preallocation.
const (
	PreallocRecycle   = wal.PreallocRecycle
	PreallocFallocate = wal.PreallocFallocate
	PreallocNone      = wal.PreallocNone
)

// Options configures an engine. The zero value is a good production setting.
type Options struct {
	// WALDir holds the write-ahead log files. Default: "wal" in the engine's directory.
	WALDir string
	// Backend is how the disk is reached. Default BackendAuto.
	Backend Backend
	// Strategy is the guarantee of a commit. Default StrategyDatasync.
	Strategy Strategy
	// Prealloc is how the space of WAL files is had. Default PreallocRecycle.
	Prealloc Prealloc

	// WALFileBytes is the size at which the WAL rolls to its next file. Default 64 MiB, 64 KiB
	// to 1 GiB, a multiple of 4096.
	WALFileBytes int64
	// WALFileEntries rolls the WAL after that many entries. Default 4,194,304.
	WALFileEntries int64
	// WALSpares is the number of prepared files kept ready. Default 2, 1 to 64.
	WALSpares int
	// MaxBatchBytes bounds one group commit. Default 1 MiB, at least 4096, at most a quarter
	// of WALFileBytes. A commit of nothing but parts of entries above 256 KiB may take four
	// times as much.
	MaxBatchBytes int
	// MaxBatchEntries bounds the entries of one group commit. Default 65,536, at least 1.
	MaxBatchEntries int
	// GatherMaxBytes ends the wait for company when as many payload bytes are queued. Default
	// 256 KiB, at least 1.
	GatherMaxBytes int
	// ReserveBytes is the tail of each WAL file that only hard state, deletion and truncation
	// may use while the disk is full. Default 1 MiB, and at most an eighth of WALFileBytes.
	ReserveBytes int64
	// MaxEntryBytes is the largest payload of an entry. Default, and most, an eighth of
	// WALFileBytes, 64 MiB, and half of LogMemoryBytes, whichever is the least.
	MaxEntryBytes int
	// CommitImmediately turns gathering off: a batch is committed with whatever is queued. It
	// exists so that the gain can be measured.
	CommitImmediately bool

	// MemoryBytes bounds the memory of all memtables; beyond it appends are refused with
	// ErrBusy. Default 1 GiB, at least 4 MiB.
	MemoryBytes int64
	// LogMemoryBytes bounds that of one log. Default half of MemoryBytes.
	LogMemoryBytes int64
	// WALBacklogBytes bounds the sealed WAL files that wait for their flush; beyond it appends
	// are refused with ErrBusy. Default 4 GiB, at least one file.
	WALBacklogBytes int64

	// SegmentEntries and SegmentBytes are where a segment is full. Defaults 4096 and 64 MiB.
	SegmentEntries uint32
	SegmentBytes   int64
	// OpenSegments bounds the segment files kept open for reading. Default 256, 1 to 1<<20.
	OpenSegments int

	// MaxCheckpoints is the most checkpoints that a log keeps; beyond it the one goes that is the
	// least missed. Default 10, 2 to 1000.
	MaxCheckpoints int
	// SnapshotWorkers is how many captures of state run at a time. Default 2, 1 to 64.
	SnapshotWorkers int
	// SnapshotBytesPerSecond bounds the rate at which all of them write, so that commits keep
	// their latency; a negative value removes the bound. Default 64 MiB per second.
	SnapshotBytesPerSecond int64

	// MinorsPerMajor is after how many snapshots of a log its segments are compacted. Default 8; a
	// negative value leaves it to Log.Compact.
	MinorsPerMajor int
	// CompactionBytesPerSecond bounds the rate at which compactions write. Default 64 MiB per second;
	// a negative value removes the bound.
	CompactionBytesPerSecond int64

	// SnapshotCodecs encode and decode captured states: the first encodes those that are written,
	// all decode those that name them. Default none: states are stored as they are.
	SnapshotCodecs []SnapshotCodec

	// SlotMaxBytes, SlotMaxAge and SlotMaxIdle bound what a slot may hold, for how long, and for how
	// long it may be silent while there is something to acknowledge; see SlotInfo. Beyond any of
	// them it is given up, with EventSlotInvalid. Defaults 64 GiB, 7 days and 3 days; a negative value
	// removes the bound.
	SlotMaxBytes            int64
	SlotMaxAge, SlotMaxIdle time.Duration

	// SlowAfter and StallAfter are how long one submission may take before the engine's health
	// is slow and stalled. Defaults 500 ms and 5 s.
	SlowAfter, StallAfter time.Duration

	// Handler receives the events of logs that have no handler of their own. Default none.
	Handler Handler
	// Logger receives what an operator should know. Default: discarded.
	Logger *slog.Logger
	// OnEvent is called at the points of EventKind, on the goroutine where they happen: it
	// must be fast and must not call the engine. Default none, which costs nothing.
	OnEvent func(Event)
}

func (o Options) withDefaults() Options {
	set(&o.Backend, BackendAuto)
	set(&o.WALFileBytes, 64<<20)
	set(&o.WALSpares, 2)
	set(&o.MaxBatchBytes, int(min(1<<20, o.WALFileBytes/4)))
	set(&o.MaxBatchEntries, 64<<10)
	set(&o.GatherMaxBytes, 256<<10)
	set(&o.ReserveBytes, min(1<<20, o.WALFileBytes/8))
	set(&o.MemoryBytes, 1<<30)
	set(&o.LogMemoryBytes, o.MemoryBytes/2)
	set(&o.MaxEntryBytes, o.maxEntryBytes())
	set(&o.WALBacklogBytes, max(4<<30, 2*o.WALFileBytes))
	set(&o.SegmentEntries, 4096)
	set(&o.SegmentBytes, 64<<20)
	set(&o.OpenSegments, 256)
	set(&o.MaxCheckpoints, 10)
	set(&o.SnapshotWorkers, 2)
	set(&o.SnapshotBytesPerSecond, 64<<20)
	set(&o.MinorsPerMajor, 8)
	set(&o.CompactionBytesPerSecond, 64<<20)
	set(&o.SlotMaxBytes, 64<<30)
	set(&o.SlotMaxAge, 7*24*time.Hour)
	set(&o.SlotMaxIdle, 3*24*time.Hour)
	set(&o.SlowAfter, 500*time.Millisecond)
	set(&o.StallAfter, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// maxEntryBytes is the upper bound of MaxEntryBytes.
func (o Options) maxEntryBytes() int {
	return int(min(o.WALFileBytes/8, memtable.MaxPayload, o.LogMemoryBytes/2))
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate returns every violation, joined, each wrapping ErrOptions.
func (o Options) validate() error {
	var errs []error
	check := func(ok bool, field string, value any, bounds string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%w: %s is %v, must be %s", ErrOptions, field, value, bounds))
		}
	}
	switch o.Backend {
	case BackendAuto, BackendRing, BackendDirect, BackendFallback:
	default:
		check(false, "Backend", o.Backend, "auto, ring, direct or fallback")
	}
	check(o.Strategy <= wal.StrategyNone, "Strategy", o.Strategy, "one of the named strategies")
	check(o.Prealloc <= wal.PreallocNone, "Prealloc", o.Prealloc, "one of the named ways")
	check(o.WALFileBytes >= 64<<10 && o.WALFileBytes <= wal.MaxFileSize && o.WALFileBytes%4096 == 0,
		"WALFileBytes", o.WALFileBytes, "64 KiB to 1 GiB, a multiple of 4096")
	check(o.WALFileEntries >= 0, "WALFileEntries", o.WALFileEntries, "0 or more")
	check(o.WALSpares >= 1 && o.WALSpares <= 64, "WALSpares", o.WALSpares, "1 to 64")
	check(o.MaxBatchBytes >= 4096 && int64(o.MaxBatchBytes) <= o.WALFileBytes/4,
		"MaxBatchBytes", o.MaxBatchBytes, "4096 to a quarter of WALFileBytes")
	check(o.MaxBatchEntries >= 1, "MaxBatchEntries", o.MaxBatchEntries, "at least 1")
	check(o.GatherMaxBytes >= 1, "GatherMaxBytes", o.GatherMaxBytes, "at least 1")
	check(o.ReserveBytes >= 0 && o.ReserveBytes <= o.WALFileBytes/8, "ReserveBytes", o.ReserveBytes, "0 to an eighth of WALFileBytes")
	check(o.MaxEntryBytes >= 1 && o.MaxEntryBytes <= o.maxEntryBytes(), "MaxEntryBytes", o.MaxEntryBytes,
		"1 to an eighth of WALFileBytes, 64 MiB and half of LogMemoryBytes")
	check(o.MemoryBytes >= 4<<20, "MemoryBytes", o.MemoryBytes, "at least 4 MiB")
	check(o.LogMemoryBytes >= 1<<20 && o.LogMemoryBytes <= o.MemoryBytes, "LogMemoryBytes", o.LogMemoryBytes, "1 MiB to MemoryBytes")
	check(o.WALBacklogBytes >= o.WALFileBytes, "WALBacklogBytes", o.WALBacklogBytes, "at least WALFileBytes")
	check(o.SegmentEntries >= 1 && o.SegmentEntries <= 1<<30, "SegmentEntries", o.SegmentEntries, "1 to 1<<30")
	check(o.SegmentBytes >= 4096 && o.SegmentBytes <= 1<<40, "SegmentBytes", o.SegmentBytes, "4096 to 1 TiB")
	check(o.OpenSegments >= 1 && o.OpenSegments <= 1<<20, "OpenSegments", o.OpenSegments, "1 to 1<<20")
	check(o.MaxCheckpoints >= 2 && o.MaxCheckpoints <= 1000, "MaxCheckpoints", o.MaxCheckpoints, "2 to 1000")
	check(o.SnapshotWorkers >= 1 && o.SnapshotWorkers <= 64, "SnapshotWorkers", o.SnapshotWorkers, "1 to 64")
	check(o.SlowAfter > 0 && o.StallAfter >= o.SlowAfter, "StallAfter", o.StallAfter, "at least SlowAfter, which is above 0")
	return errors.Join(errs...)
}
