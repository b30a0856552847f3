package raftlog

import "fmt"

// Index is a position in one log. The first entry is 1; 0 means none.
type Index uint64

// Term numbers leaderships (Raft thesis §3.3). 0 precedes every election.
type Term uint64

// LogID names one life of a log. It comes from the manifest's counter and is
// never used twice; a log that is deleted and created again under the same UID
// has another LogID. 0 means none.
type LogID uint64

// Batch numbers the group commits of one engine, rising by one each, across WAL
// files and restarts. The first batch is 1; 0 means none.
type Batch uint64

// EntryID is the identity of an entry: two entries of one log with equal EntryID
// are equal (Raft's log matching property).
type EntryID struct {
	Term  Term
	Index Index
}

// String renders the position as term/index.
func (id EntryID) String() string { return fmt.Sprintf("%d/%d", id.Term, id.Index) }

// Entry is one log entry.
type Entry struct {
	Index Index
	Term  Term
	// Type is the user's own: the engine stores it beside the term, where it can be
	// read without the payload, and gives it no meaning.
	Type uint8
	// Data is the payload. Who owns the slice is said wherever entries are passed.
	Data []byte
}

// ID returns the entry's identity.
func (e Entry) ID() EntryID { return EntryID{Term: e.Term, Index: e.Index} }

// MaxVoteLen bounds HardState.Vote, in bytes.
const MaxVoteLen = 255

// HardState is what Raft must not forget (Raft thesis §3.8, figure 3.1).
type HardState struct {
	Term Term
	// Vote names the candidate voted for in Term; empty when none. At most
	// MaxVoteLen bytes, without meaning to the engine.
	Vote string
}

// Range is the inclusive interval [First, Last]. It is empty when First is 0 or
// above Last; the zero Range is empty.
type Range struct{ First, Last Index }

// Empty reports whether the range holds no index.
func (r Range) Empty() bool { return r.First == 0 || r.First > r.Last }

// Len is the number of indexes in the range.
func (r Range) Len() uint64 {
	if r.Empty() {
		return 0
	}
	return uint64(r.Last-r.First) + 1
}

// Contains reports whether i lies in the range.
func (r Range) Contains(i Index) bool { return r.First != 0 && r.First <= i && i <= r.Last }

// Intersect returns the indexes that lie in both ranges.
func (r Range) Intersect(o Range) Range {
	x := Range{First: max(r.First, o.First), Last: min(r.Last, o.Last)}
	if r.Empty() || o.Empty() || x.Empty() {
		return Range{}
	}
	return x
}

// String renders the range as [first,last], or [] when it is empty.
func (r Range) String() string {
	if r.Empty() {
		return "[]"
	}
	return fmt.Sprintf("[%d,%d]", r.First, r.Last)
}

// Segment describes one segment file of a log, as the manifest lists it.
type Segment struct {
	// Number names the file within its log; it never repeats in one log.
	Number uint64
	// Bytes is the committed length of the file. What lies beyond it is not data.
	Bytes int64
	// Entries counts the entries written to the file so far, overwritten ones included.
	Entries uint32
	// Range is the index range that counts: the file may hold others.
	Range Range
}
