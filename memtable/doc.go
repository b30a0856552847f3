// Package memtable holds the tail of a log in memory: entries that were appended
// and are not yet, or need not be, in a segment file. It writes no file, starts no
// goroutine, and one Table knows nothing of any other.
//
// # Layout
//
// A Table is a few words until its first entry. Then it has a tail: fixed-size slots (term,
// type, length, CRC-32C and the place of the payload; no pointers, 32 bytes each) in blocks of
// 64, and payloads in arena chunks that grow with what the table holds: a first one of 128 bytes, then from 4 KiB to
// 1 MiB.
// A directory finds a block by dividing the index and a chunk by its number. The garbage
// collector sees one pointer per block and chunk, never one per entry.
//
// # Who may call
//
// One writer at a time: New, Append, AppendChecked, Release, Trim, PutSparse and
// ReleaseSparse are serialised by the caller (the log's mutex). SetDurable may be called
// by anyone. Every other method is for any number of readers: it takes no lock, waits
// for nobody and, Sparse apart, allocates nothing.
//
// # What publishes what
//
//	word      written by  meaning
//	tail      writer      slots and payloads of the indexes in [first, last]
//	last      writer      highest index readable; stored after everything it needs
//	first     writer      lowest index not released; stored before memory is dropped
//	sparse    writer      immutable sorted list of the entries kept beside the tail
//	durable   anyone      highest index reported durable; only rises
//	bytes     writer      memory held
//
// A reader loads last, then the tail, then directory, block and chunk: each is at least
// as new as that last. Nothing it reaches is ever changed, only unlinked, so a reader
// beside a Release finds the entry or finds nil and answers "no". Chunks alone are written
// again, by the next table that takes them from the Pool, but never one that a reader has got
// to: see tail.lend. Who uses Peek instead of Get promises to be done before the release. A tail
// that is dropped whole takes its chunk numbers with it: a slot is never looked up in the arena of
// another tail.
//
// # Chains of tables
//
// An index is stored at most once in a table. A truncation therefore does not change a
// table: its owner makes a successor whose first index is the cut point and records
// both, so that from then on no older table answers at or above the cut, even while the
// successor is empty. The old table keeps serving lower indexes, and readers that began
// earlier, until its flush is done. The owner (package engine) keeps the chain and
// decides which table answers; a table has no link to another.
//
// # Payload memory
//
// Data of a returned entry aliases a chunk: it must not be modified, stays valid for as
// long as it is referenced, and keeps up to 1 MiB alive. Copy it to keep it.
package memtable
