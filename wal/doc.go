// Package wal is the one write-ahead log that all logs of an engine share: group
// commit, roll, file pool, recovery. It is the only writer and the only reader of
// the files <dir>/<number>.wal, number being 16 lower-case hex digits.
//
// # Bytes
//
// A file is written in the format of internal/frame: block 0 is the file header,
// one frame per group commit follows, each a whole number of 4096-byte blocks.
// Batch numbers rise by one from frame to frame, across files and restarts. The
// kinds of records and their payloads stand in kinds.go; this is what the writer
// adds:
//
//   - Watermark of a frame is the last batch that was durable when it was encoded,
//     batch-1, because one batch is in flight at a time.
//   - FirstBatch of every frame of a file is the batch after the last durable one of
//     the predecessor. A frame of the predecessor at or above it does not count: it
//     was never acknowledged, and its records stand in this file again.
//   - A log has a number in each file, 1, 2, 3 … in the order of first use. A
//     KindDeclare record precedes its first record in the file, in the same frame,
//     and the frame's trailer entry carries the log's id. Trailer entries count all
//     records of the log in the frame, the declaration included.
//   - The records of a log stand in the order in which they were queued. An entry
//     longer than FragmentSize is a chain of fragments over one or more frames, all
//     of them in one file; it counts as in the batch of its last fragment.
//   - When the queue has run dry, and in Close, a frame without records is written,
//     whose watermark covers the last frame with records.
//   - What is left in a recycled file of its earlier life does not verify, because
//     all checksums are seeded with the file's number, and a number is used once.
//
// # Strategies
//
// The strategy names the guarantee that stands behind an acknowledgement:
//
//	strategy  guarantee on acknowledgement          file opened   calls per batch
//	datasync  data and what is needed to read it    plain         write with DSync
//	dsync     the same                              SyncData      write
//	osync     data and all metadata                 SyncFull      write
//	sync      data and all metadata                 plain         write, then Sync
//	none      none: for tests only                  plain         write
//
// How a queue carries out a write with DSync is its own matter (RWF_DSYNC, or write
// and fdatasync). On darwin every strategy but none is F_FULLFSYNC.
//
// # Goroutines
//
// WAL.Append and WAL.Control may be called by any goroutine; calls for one Log are
// ordered by their caller. WAL.Step, Idle, ZeroAhead, CommitAll, Run and Close belong to
// one goroutine, the committer. Pool.Step, Fill and Run belong to another, so that making
// files never delays a commit. Both are structs with a step that waits only for I/O of its
// own; Run is the production loop around the step. No package-level state.
//
// # A file's life
//
// The pool prepares a spare: recycles a returned file by rename or creates one and
// fills it with zeros, writes and syncs the header block with a new number, syncs
// the directory, and registers the number with the engine. The committer takes it when the
// current file is full or has failed, and hands the old one out as Sealed. When
// all that it holds is durable elsewhere, the engine gives it back with Pool.Return.
//
// # Failure
//
// After a failed write or sync nothing of the batch is acknowledged and the file
// gets no further operation. The same batch is encoded again, under the same number,
// for a spare. If that fails too, the WAL is ReadOnly (no space; Retry tries again)
// or Failed (anything else; final).
package wal
