package segwriter

import "github.com/rawl-db/rawl/internal/raftlog"

// Source hands out the entries of one memtable.
type Source interface {
	// Get returns entry i and the CRC-32C of its payload. Data stays unchanged until the
	// flush that reads it has ended. ok is false when the source does not hold i.
	Get(i raftlog.Index) (e raftlog.Entry, crc uint32, ok bool)
}

// Span is the part of a Source that is to be flushed: First to Last, inclusive.
type Span struct {
	Source Source
	First  raftlog.Index
	Last   raftlog.Index
}

// Task says what a flush does for one log.
type Task struct {
	ID  raftlog.LogID
	UID raftlog.UID
	// Segments is the log's list as the manifest has it, oldest first, already cut by
	// truncations. It is read, never changed.
	Segments []raftlog.Segment
	// NextSegment numbers the next segment file to create. It is above every number in
	// Segments and rises with each file created, whether or not the file comes to be used.
	NextSegment uint64
	// Spans ascend and do not overlap; where an index was written twice only the newest
	// is in them.
	Spans []Span
	// Facts is asked as the flush goes on; nil means that nothing is released and the log is there.
	Facts Facts
}

// Facts says what is durable of a log besides its entries, each time anew.
type Facts interface {
	// Floor returns the first index that is not durably released: entries below it are
	// written only when they are live. An index that is to be written and that its Source lacks
	// is an error of this log. Read when the log's turn comes, whenever a segment rolls and
	// when a Source lacks an entry.
	Floor() raftlog.Index
	// Live returns the durably released indexes that must be kept nevertheless; those at or
	// above Floor do not matter. It is read after Floor, so that a release that becomes durable
	// in between only makes more be written. A live index below all that this flush
	// writes may be missing in its Source when one of Segments has it. Indexes outside of
	// Spans are not looked at. The set is not changed by either side.
	Live() raftlog.Seq
	// Gone reports whether the log is durably deleted; what is left of it is skipped then.
	Gone() bool
}

// Result is the outcome of one Task.
type Result struct {
	ID raftlog.LogID
	// Segments is the log's whole new list, oldest first. When Err is not nil it is the
	// task's own list: nothing of the flush counts.
	Segments []raftlog.Segment
	// NextSegment is the task's, above all numbers used.
	NextSegment uint64
	// Bytes counts what was written to files, padding and failed attempts included.
	Bytes int64
	// Entries counts the entries that were made durable.
	Entries int
	// Gone says that Facts.Gone reported true: the rest was skipped and Segments may lack it.
	Gone bool
	// Err is why the log could not be flushed; other logs are not affected.
	Err error
}
