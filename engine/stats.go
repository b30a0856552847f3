package engine

import (
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/internal/histogram"
)

// engineStats are the counters that no part keeps for itself.
type engineStats struct {
	flushes, compactions         atomic.Uint64
	flushedBytes, compactedBytes atomic.Int64
}

// Histogram counts values; see its methods.
type Histogram = histogram.Histogram

// Stats is a snapshot of an engine. Counters run from Open on; sizes are bytes. Figures of
// one snapshot may be a batch apart.
type Stats struct {
	Health Health
	// HealthCause says why, for states other than ok and slow.
	HealthCause error
	Backend     BackendChoice
	Strategy    Strategy
	Logs        int
	Quarantined int

	// Batches are group commits, Syncs those that were synced, Failures writes or syncs that failed.
	Batches, Syncs, Failures uint64
	// Entries and Controls are records acknowledged; PayloadBytes those of entries.
	Entries, Controls, PayloadBytes uint64
	// WALBytes were written to WAL files, padding included; SegmentBytes to segments.
	WALBytes     uint64
	SegmentBytes uint64
	// BatchEntries, BatchBytes and SyncNanos have one value per batch.
	BatchEntries, BatchBytes, SyncNanos Histogram
	// SyncEWMA is the smoothed duration of a commit's I/O, InFlight the age of the running one.
	SyncEWMA, InFlight time.Duration

	// QueueEntries and QueueBytes wait to be committed.
	QueueEntries, QueueBytes uint64
	// MemoryBytes are held by memtables, of MemoryLimit.
	MemoryBytes, MemoryLimit int64
	// SealedFiles and SealedBytes wait to be flushed; Flushes were done. FlushErr is why the oldest
	// cannot be, nil when it can.
	SealedFiles int
	SealedBytes int64
	Flushes     uint64
	FlushErr    error
	// Compactions are groups of segments that were merged, CompactedBytes what was written for it.
	Compactions    uint64
	CompactedBytes uint64
	// WALFile is the number of the current file, Rolls how many were taken into use,
	// UnpreparedRolls those not filled with zeros before, Starved how often work waited for one.
	WALFile                         uint64
	Rolls, UnpreparedRolls, Starved uint64
	SparesReady, SparesPooled       int
	// MaxBatchBytes and GatherMaxBytes are the bounds in force.
	MaxBatchBytes, GatherMaxBytes int
	// Plans are the read plans: how many live, and how many were forgotten without Close.
	Plans PlanStats
	// Readers are the external readers that are open; ReadersDropped were never closed, and
	// reclaimed by the garbage collector.
	Readers        int
	ReadersDropped uint64
	// Recovery is what Open found.
	Recovery RecoveryReport
}

// Stats returns a snapshot. It allocates, and takes short locks.
func (e *Engine) Stats() Stats {
	w := e.wal.Stats()
	health, cause := e.Health()
	s := Stats{
		Health: health, HealthCause: cause, Backend: e.backend(), Strategy: e.opts.Strategy,
		Batches: w.Batches, Syncs: w.Syncs, Failures: w.Failures,
		Entries: w.Entries, Controls: w.Controls, PayloadBytes: w.PayloadBytes,
		WALBytes: w.WrittenBytes, SegmentBytes: uint64(e.stats.flushedBytes.Load()),
		BatchEntries: w.BatchEntries, BatchBytes: w.BatchBytes, SyncNanos: w.SyncNanos,
		SyncEWMA: time.Duration(w.SyncEWMA), QueueEntries: w.QueueEntries, QueueBytes: w.QueueBytes,
		MemoryBytes: e.budget.used.Load(), MemoryLimit: e.budget.memory,
		SealedFiles: e.flusher.backlog(), SealedBytes: e.budget.sealed.Load(),
		Compactions: e.stats.compactions.Load(), CompactedBytes: uint64(e.stats.compactedBytes.Load()),
		Flushes: e.stats.flushes.Load(), FlushErr: e.flusher.failing(),
		WALFile: w.File, Rolls: w.Rolls, UnpreparedRolls: w.UnpreparedRolls, Starved: w.Starved,
		SparesReady: w.SparesReady, SparesPooled: w.SparesPooled,
		MaxBatchBytes: w.MaxBatchBytes, GatherMaxBytes: w.GatherMaxBytes,
		Plans: e.executor.Stats(), Recovery: e.recovery,
	}
	s.Readers, s.ReadersDropped = e.readers.count()
	if w.InFlightSince != 0 {
		s.InFlight = time.Duration(e.now() - w.InFlightSince)
	}
	for _, l := range e.logs.snapshot() {
		s.Logs++
		if l.quarantineNote() != nil {
			s.Quarantined++
		}
	}
	return s
}

// backend returns the choice with what has changed since.
func (e *Engine) backend() BackendChoice {
	c := e.device.choice
	if q, ok := e.device.commit.(*watchedQueue); ok && q.switched.Load() {
		c.Backend, c.Switches = BackendDirect, 1
		c.Reason += "; changed to direct, as the ring's writes took too long"
	}
	return c
}

// LogStats is a snapshot of one log.
type LogStats struct {
	UID UID
	// First is the first index not released; Last and LastWritten as the methods of that name.
	First             Index
	Last, LastWritten EntryID
	HardState         HardState
	// Applied and Committed are the owner's; Committed is not durable.
	Applied, Committed Index
	// MemoryBytes are held by its memtables. SegmentBytes are on disk, in Segments files.
	MemoryBytes  int64
	SegmentBytes int64
	Segments     int
	// Quarantine says why the log serves nothing, nil when it does.
	Quarantine error
}

// Stats returns a snapshot of the log.
func (l *Log) Stats() LogStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.view.Load()
	s := LogStats{UID: l.uid, First: v.released.Index + 1, Last: l.last, LastWritten: l.writtenLocked(),
		HardState: l.hard, Applied: l.applied, Committed: l.Committed(), Segments: len(v.segments)}
	for _, k := range v.chain {
		s.MemoryBytes += k.table.Bytes()
	}
	for _, g := range v.segments {
		s.SegmentBytes += g.Bytes
	}
	if b := l.broken.Load(); b != nil {
		s.Quarantine = b.err
	}
	return s
}

// RecoveryReport is what Open found in the write-ahead log.
type RecoveryReport struct {
	// Files were read, Records replayed, Entries of them entries, with Bytes of payload.
	Files                   int
	Records, Entries, Bytes uint64
	// Torn counts batches above the watermark that were cut: torn, or the damaged last batch.
	// They were not acknowledged, unless the bytes of the last batch were damaged since.
	Torn int
	// Tail counts batches above the watermark that were whole and were committed again.
	Tail int
	// Damage counts damaged places below the watermark.
	Damage int
	// Quarantined are the logs set apart, by this open or an earlier one.
	Quarantined []*QuarantineError
	// ManifestTorn says that the manifest's last edit was cut.
	ManifestTorn bool
	// Took is the time that Open took for it.
	Took time.Duration
}

// report keeps what recovery found, and tells the operator.
func (e *Engine) report(r *replay) {
	rep := &e.recovery
	rep.Files, rep.Records, rep.Entries, rep.Bytes = len(r.report.Files), r.report.Records, r.report.Entries, r.report.Bytes
	rep.Torn, rep.Damage = len(r.report.Torn), r.report.DamageCount
	if r.report.TailFirst > 0 {
		rep.Tail = int(r.report.TailLast-r.report.TailFirst) + 1
	}
	for _, l := range e.logs.snapshot() {
		if b := l.broken.Load(); b != nil && b.quarantine != nil {
			q := *b.quarantine
			rep.Quarantined = append(rep.Quarantined, &QuarantineError{UID: l.uid, Lost: q.Lost, Reason: q.Reason})
		}
	}
	rep.Took = e.since(r.began)
	log := e.opts.Logger.Info
	if rep.Damage > 0 || len(rep.Quarantined) > 0 {
		log = e.opts.Logger.Error
	}
	log("recovered", "dir", e.dir, "files", rep.Files, "records", rep.Records, "torn", rep.Torn,
		"tail", rep.Tail, "damage", rep.Damage, "quarantined", len(rep.Quarantined), "took", rep.Took,
		"backend", string(e.device.choice.Backend), "reason", e.device.choice.Reason)
}
