package engine

import "github.com/rawl-db/rawl/internal/raftlog"

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
)
