package wal

import "github.com/rawl-db/rawl/internal/raftlog"

// Sealed describes a file that gets no more frames. The slices belong to the receiver.
type Sealed struct {
	// Number names the file.
	Number uint64
	// First and Last are the batches that count in the file. Last is below First when a
	// file failed before anything in it was durable.
	First, Last raftlog.Batch
	// Bytes is the length of what was written, header block included.
	Bytes int64
	// Failed says that a write or sync of the file failed: it is removed by Pool.Return, not
	// used again.
	Failed bool
	// Logs lists the logs with records in the file, in the order of their first record.
	Logs []SealedLog
}

// SealedLog says what a file holds of one log, as of Sealed.Last.
type SealedLog struct {
	Log *Log
	// Spans are the entries that count, ascending and without overlap: truncations inside
	// the file are honoured.
	Spans []Span
	// Last is the last entry that counts in the file, valid with Spans.
	Last raftlog.EntryID
	// Cut is the lowest index to which the file truncated the log, and CutTerm the term of the
	// entry there, valid with HasCut: what earlier files hold above it does not count.
	Cut     raftlog.Index
	CutTerm raftlog.Term
	HasCut  bool
	// Reset says that the file holds a KindInstall: what earlier files hold of the log does not count,
	// and Spans, Last and Cut tell of what came behind the last such record.
	Reset bool
	// Controls is the number of the log's control records that are durable, in all files.
	Controls uint64
}

// Span is a range of entries that were written from one source. Prev precedes First; each
// other entry is preceded by its neighbour.
type Span struct {
	Source            Source
	Prev, First, Last raftlog.Index
}
