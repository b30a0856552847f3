package wal

import (
	"sync/atomic"

	"github.com/rawl-db/rawl/internal/histogram"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// Stats is a snapshot. Counters run from New on; sizes are bytes, times nanoseconds.
type Stats struct {
	Health Health
	// Durable is the last durable batch.
	Durable raftlog.Batch
	// Batches counts commits, Syncs those that were synced, Idle those that held no record,
	// Failures writes or syncs that failed.
	Batches, Syncs, Idle, Failures uint64
	// Entries and Controls count records that were acknowledged.
	Entries, Controls uint64
	// PayloadBytes are those of acknowledged entries. WrittenBytes is what was submitted
	// to the device for it, frames with their padding and zeros ahead.
	PayloadBytes, WrittenBytes uint64
	// BatchEntries, BatchBytes (of frames) and SyncNanos have one value per batch.
	BatchEntries, BatchBytes, SyncNanos histogram.Histogram
	// QueueEntries and QueueBytes are what waits to be written, control records counted as
	// entries.
	QueueEntries, QueueBytes uint64
	// File is the number of the current file, 0 when there is none, FileBytes its used length.
	File      uint64
	FileBytes int64
	// Rolls counts files that were taken into use, UnpreparedRolls those that were not yet
	// filled with zeros and needed to be.
	Rolls, UnpreparedRolls uint64
	// Starved counts how often work had to wait for a file.
	Starved uint64
	// InFlightSince is as WAL.InFlightSince says.
	InFlightSince int64
	// SyncEWMA is the smoothed duration of a commit's I/O.
	SyncEWMA int64
	// SparesReady, SparesPooled, SparesMade and SparesRecycled tell of the pool: ready
	// now, waiting to be recycled now, created and recycled so far.
	SparesReady, SparesPooled  int
	SparesMade, SparesRecycled uint64
	// MaxBatchBytes, GatherMaxBytes, FileSize and ReserveBytes are the bounds in force.
	MaxBatchBytes, GatherMaxBytes int
	FileSize, ReserveBytes        int64
}

// counters are written by the committer and read by anyone.
type counters struct {
	takenEntries, takenBytes      atomic.Uint64
	durable                       atomic.Uint64
	batches, syncs, idle, failure atomic.Uint64
	entries, controls             atomic.Uint64
	payload, written              atomic.Uint64
	batchEntries, batchBytes      histogram.Recorder
	syncNanos                     histogram.Recorder
	file                          atomic.Uint64
	fileBytes                     atomic.Int64
	rolls, unprepared, starved    atomic.Uint64
	inFlight, lastDone, ewma      atomic.Int64
}

// Stats returns a snapshot; any goroutine. Figures of one snapshot may be a batch apart.
func (w *WAL) Stats() Stats {
	c := &w.count
	s := Stats{
		Health:          w.Health(),
		Durable:         raftlog.Batch(c.durable.Load()),
		Batches:         c.batches.Load(),
		Syncs:           c.syncs.Load(),
		Idle:            c.idle.Load(),
		Failures:        c.failure.Load(),
		Entries:         c.entries.Load(),
		Controls:        c.controls.Load(),
		PayloadBytes:    c.payload.Load(),
		WrittenBytes:    c.written.Load(),
		BatchEntries:    c.batchEntries.Snapshot(),
		BatchBytes:      c.batchBytes.Snapshot(),
		SyncNanos:       c.syncNanos.Snapshot(),
		File:            c.file.Load(),
		FileBytes:       c.fileBytes.Load(),
		Rolls:           c.rolls.Load(),
		UnpreparedRolls: c.unprepared.Load(),
		Starved:         c.starved.Load(),
		InFlightSince:   c.inFlight.Load(),
		SyncEWMA:        c.ewma.Load(),
		MaxBatchBytes:   w.o.MaxBatchBytes,
		GatherMaxBytes:  w.o.GatherMaxBytes,
		FileSize:        w.o.FileSize,
		ReserveBytes:    w.o.ReserveBytes,
	}
	s.QueueEntries, s.QueueBytes = w.pending()
	w.pool.stats(&s)
	return s
}

// InFlightSince returns the time, by Options.Now, at which the running submission began, 0 when
// none is running. Any goroutine.
func (w *WAL) InFlightSince() int64 { return w.count.inFlight.Load() }
