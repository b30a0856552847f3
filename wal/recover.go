package wal

import (
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

// RecoverOptions says which files Recover reads, and how.
type RecoverOptions struct {
	// FS and Dir are where the files lie.
	FS  vfs.FS
	Dir string
	// Stream is the engine's random stream id, which every file header repeats.
	Stream uint64
	// Files are the numbers of the files that the manifest names, in service or prepared, in
	// any order. A file with a higher number was never used before one with a lower number.
	Files []uint64
	// Flushed is the batch up to which the manifest and the segments hold the truth of every
	// log, 0 before the first flush: the first batch in the files may not be higher than
	// Flushed + 1, else what lies between is lost. It counts as the least that Skip returns.
	Flushed raftlog.Batch
	// Direct opens the files past the page cache: for files that were written so. Where the
	// file system cannot, they are opened without.
	Direct bool
	// Serial does all work on the caller's goroutine, one operation after another: for a
	// simulator. Else one goroutine reads ahead and Checkers verify ahead; what the visitor
	// sees is the same.
	Serial bool
	// Checkers is the number of goroutines that verify checksums. Default: one less than
	// GOMAXPROCS, at least 1. At most 16, which larger values mean too.
	Checkers int
	// Skip returns the batch up to which the manifest already holds the truth of a log:
	// records of these batches are not visited and their damage is no loss. It is asked once
	// per log and call of Recover, on the caller's goroutine. For a log whose life has ended
	// it returns the largest Batch. nil skips nothing.
	Skip func(raftlog.LogID) raftlog.Batch
}

// Visitor receives what the files hold, on the goroutine that called Recover. An error ends
// recovery and is returned as it is.
type Visitor interface {
	// Record is called for every record that counts, per log in the order in which they were
	// queued: batch after batch, file after file. Declarations are not visited; fragments are
	// visited as the one entry they make, in the place of the last one.
	Record(r *Record) error
	// Lost is called at the place of the damage: after the records that precede it and before
	// those that follow.
	Lost(l Loss) error
	// FileDone follows the last durable record of a file that holds frames. The file's share
	// of the batches is first to last; last < first means that it has none. It may take its
	// time: the next file is already being read, no further one is.
	FileDone(number uint64, first, last raftlog.Batch) error
}

// Record is one fact of one log, its checksums verified.
type Record struct {
	ID raftlog.LogID
	// UID is what the file's declaration says; empty where only the number's id survived.
	UID     raftlog.UID
	Kind    frame.Kind
	Type    uint8
	Index   raftlog.Index
	Term    raftlog.Term
	Prev    raftlog.Index
	CRC     uint32 // the payload's frame.Checksum
	Payload []byte // aliases the read buffer: valid during the call only
	Batch   raftlog.Batch
	File    uint64
	// Tail marks records from above the watermark. They may come from a cache and not from the
	// device: they count as written only after they were committed again. They are visited after
	// everything else, after the last FileDone.
	Tail bool
}

// Recover reads the files and hands what they hold to the visitor. It never writes, needs no
// free space, and a second call gives the same. It waits for its reads.
//
// Errors: MissingError (ErrMissingWAL); one that wraps frame.ErrVersion when a file or a
// record kind is of a newer version; the visitor's own; the file system's when a file cannot
// be opened or no block of it can be read. Damage is not an error: it is reported to the
// visitor, log by log, and in the Report, which is complete only without error.
func Recover(o RecoverOptions, v Visitor) (Report, error) {
	r := newRecovery(o, v)
	err := r.run()
	return r.report, err
}
