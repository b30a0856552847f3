// Package segwriter is the only creator of segment files. A flush moves entries of sealed
// write-ahead log files from memtables into per-log segments; a compaction copies what is left
// of old segments into fewer. The engine's flush job owns a Writer and steps both.
//
// # Directories
//
//	<dir>/<id, 16 hex digits>/<number, 16 hex digits>.seg
//
// A log's directory is made by its first flush. The bytes of a file are those of package
// segment; this package decides which entries go into which file, and in which order
// things become durable:
//
//  1. chunks are written behind the committed length of the last segment, or into new files;
//  2. every file written is synced: by the write itself when the file gets one chunk only,
//     else by one datasync after its last chunk;
//  3. directories of logs that got a new file are synced, then the parent if it got a new
//     directory.
//
// Only then are results valid. Until the caller has put them into the manifest, nothing
// that was written counts: a crash at any point leaves the lists as they were, with garbage
// behind a committed length or in files that are not listed. So flushing the same spans
// again is harmless.
//
// # What is kept
//
// An entry is kept when it is at or above the floor, the first index that is not released, or
// when it is live: a snapshot released the log up to its index except for some indexes that
// its state still refers to. A flush writes, a compaction copies, and Prune and Choose count only
// what is kept. Holes that this leaves never come into a chunk that may supersede anything:
// the first chunk behind a committed length ends before its first hole, and what lies
// above a hole behind the list's last index goes into a new file.
//
// # Compaction
//
// The minor one is Prune: segments of which nothing is kept leave the list. For the major one
// Choose picks groups of adjacent segments, of measured use; a Compaction copies a group
// into one new file, every payload verified against the checksum that travels with it; and
// Splice puts the new segment in the group's place in the list as it is by then. The group's files
// are only read. Their indexes in memory say what every chunk of the new file will hold
// and where it goes, so several chunks are read and written at once, windows of up to 1 MiB of the
// old files passing through bounded memory. The caller paces Step, publishes the new list, and
// removes the old files when their last reader is done.
//
// One goroutine owns the Writer and its compaction, and interleaves their steps as it
// likes. Whoever reaps hands each completion to the one who submitted it; neither fills the queue for
// long, and neither waits for the other while it has something of its own to do. Numbers of
// new files do not collide.
//
// # Failures
//
// A file whose write or sync failed is not touched again. The log's part of the flush is
// repeated in a new file; when that fails too, the log's Result carries the error and its
// list is unchanged. Other logs go on.
//
// A compaction that meets a damaged entry that is kept, or any failure, ends with a
// *CompactError; its file is removed, or an orphan when it cannot be. It is not repeated here.
//
// A failure of the queue itself ends both, and the Writer.
package segwriter
