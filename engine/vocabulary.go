package engine

import (
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/readplan"
)

// The vocabulary of logs, under the names that users write.
type (
	// UID is the name of a log.
	UID = raftlog.UID
	// Index is a position in a log; the first entry is 1, 0 means none.
	Index = raftlog.Index
	// Term numbers leaderships.
	Term = raftlog.Term
	// EntryID is the identity of an entry: term and index.
	EntryID = raftlog.EntryID
	// Entry is one log entry.
	Entry = raftlog.Entry
	// HardState is term and vote.
	HardState = raftlog.HardState
	// LogID names one life of a log; it is never used again.
	LogID = raftlog.LogID
	// Segment describes a segment file.
	Segment = raftlog.Segment
	// Range is an inclusive interval of indexes.
	Range = raftlog.Range
	// Seq is a set of indexes, kept as ranges.
	Seq = raftlog.Seq
	// Snapshot describes one captured state of a log.
	Snapshot = raftlog.Snapshot
	// SnapshotCodec encodes and decodes the state of snapshots.
	SnapshotCodec = snapshot.Codec
	// ChunkSum is the checksum of a chunk of a snapshot as it travels with the chunk.
	ChunkSum = snapshot.Sum
	// SnapshotKind tells the kinds of captured state apart.
	SnapshotKind = raftlog.SnapshotKind
)

// The kinds of captured state.
const (
	// KindSnapshot is durable and lets go of the log below it.
	KindSnapshot = raftlog.KindSnapshot
	// KindCheckpoint is neither synced nor does it let go of anything; Log.Promote makes it a
	// snapshot.
	KindCheckpoint = raftlog.KindCheckpoint
	// KindRecovery is a checkpoint that an orderly shutdown leaves to make the next start short.
	KindRecovery = raftlog.KindRecovery
)

// Read plans, under the names that users write.
type (
	// Plan says where entries are; see Log.Plan.
	Plan = readplan.Plan
	// PlanOptions says how a plan is executed. The zero value is good.
	PlanOptions = readplan.Options
	// PlanStats counts plans.
	PlanStats = readplan.Stats
)

// The values of PlanOptions.
const (
	PlanSorted     = readplan.Sorted
	PlanRequested  = readplan.Requested
	PlanRandom     = readplan.Random
	PlanSequential = readplan.Sequential
)

// ErrPlanClosed is what executing a plan after its Close gives.
var ErrPlanClosed = readplan.ErrPlanClosed
