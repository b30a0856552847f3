// Package segwriter is the only creator of segment files: it moves entries of sealed
// write-ahead log files from memtables into per-log segments. The engine's flush job
// owns a Writer and steps it.
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
// # Failures
//
// A file whose write or sync failed is not touched again. The log's part of the flush is
// repeated in a new file; when that fails too, the log's Result carries the error and its
// list is unchanged. Other logs go on.
package segwriter
