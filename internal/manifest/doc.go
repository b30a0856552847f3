// Package manifest owns the files manifest-<number>: the image of an engine and the edits
// made to it since. The image holds what no write-ahead log file holds any more: which logs
// exist, their hard states, bounds and segments, and which write-ahead log files count. It
// is written by the engine's process only; Open writes nothing, so tools may read beside it.
//
// # Edits
//
// Apply is all or nothing: an edit is one or more frames, written and synced before Apply
// returns, and after a crash it is there whole or not at all. Every record holds the value
// that results, never a difference, so that a later record of a log makes up for the loss of
// an earlier one.
//
// # Life of a file
//
// A file is written under the name manifest-<16 hex digits>.tmp: image, room for edits
// (zeros), sync; then it is renamed and the directory is synced. So a file under its final
// name is complete, and a shorter or unreadable one is damaged, not young. It is replaced
// when an edit does not fit into its room, when a write or sync to it failed, and at the
// first edit after Open: a recovered file is never appended to. Its predecessor stays until
// the next replacement, and is given up earlier when the disk is full: it is the reserve.
// The highest number is the manifest; lower ones are never read.
//
// # Format
//
// Blocks 0 and 1 both hold the file header of package frame, kind 2, the file's size in its
// size field. Frames follow, their batch numbers counting from 1 in each file. The image is
// the first edit of its file. The watermark of a frame is the batch of the last frame of the
// previous edit, which was durable when the frame was written; 0 in the image. What lies
// behind the last frame is zeros.
//
// A frame holds: engine record, records of at most 64 logs, the engine record again. Each
// record has a trailer entry {number 0, the log's id or none for the engine's, records 1,
// last index = offset of the record behind the frame header}, so records are found although
// a neighbour, or the frame header, is lost. Further entries with records 0 repeat the ids
// that the previous frame held, so a lost frame is known by whom it hit. One flipped byte
// thus costs at most one log.
//
// Records carry the log's id as their index. Integers in payloads are unsigned varints,
// strings a length and bytes.
//
//	kind  record   payload
//	1     engine   stream, next file number, reserved ids, count and ascending differences of
//	               WAL file numbers, last batch flushed unless 0; index: last batch of the
//	               edit; previous index: last batch of the image; flag 1: logs may be missing
//	               that no record names
//	2     log      uid, term, vote, applied, released (term, index), last (term, index), as of,
//	               next segment, count and segments: number, bytes, entries, first, last - first;
//	               of a quarantined log also first and last index lost, reason
//	3     hard     term, vote
//	4     delete   none
//	5     damaged  none, or the last good value as in a log record: the log was damaged and
//	               has been neither put nor deleted since
//	6, 7  as 2, 5  of a log that holds snapshots or slots. In front: count and snapshots (kind,
//	               term, index, bytes, live indexes), count and slots (name, term, index, invalid),
//	               and unless there are none the batch up to which these are true
//
// # Recovery
//
// Frames up to the highest watermark are proven: what does not verify among them is damage,
// charged to the logs that the trailers name. Above it stands at most one edit; it is taken
// when all of it verifies, else cut and reported as "torn, or the last edit". Mark writes an
// empty frame that proves the last edit; Close does so too.
package manifest
