// Package frame is the byte format that the write-ahead log and the manifest
// share: a file header, then frames. It turns bytes into decisions and does no
// I/O. Integers are little-endian, checksums CRC-32C (Castagnoli).
//
// # File
//
// A file is a header block, then frames, each a whole number of 4096-byte blocks.
// Magic, version and checksum of the header block keep their places in every
// version, so that a newer file is told apart from a damaged one.
//
//	offset  size  field
//	0       8     magic "RAWLFILE"
//	8       4     version, 1; another with a sound checksum is ErrVersion
//	12      4     kind: 1 WAL, 2 manifest
//	16      8     stream, drawn at random once per engine
//	24      8     number: the file's incarnation; never used twice in one stream
//	32      8     size reserved for the file in bytes, 0 when it grows
//	40      4052  zeros
//	4092    4     checksum of [0, 4092)
//
// # Frame
//
// A frame is one group commit:
//
//	header (64) | records | zeros | trailer entries | footer (48)
//
// Every checksum inside a frame is seeded with the stream and number of its file,
// so bytes that an earlier life of a recycled file left behind never verify.
// The footer ends the last block: a frame whose header is lost is found from
// behind, and the other way round. Both name the block they stand in, so a copy of
// a frame that was stored as somebody's payload is never taken for one.
//
// Header:
//
//	0   4   checksum of [4, 64)
//	4   4   magic "RFHD"
//	8   8   number of the file
//	16  8   batch number
//	24  8   watermark: every batch up to it was durable when this frame was written
//	32  8   first batch of the file; it cuts the predecessor there
//	40  4   block in which the frame starts, the header block being 0
//	44  4   length in blocks
//	48  4   bytes of the records
//	52  4   bytes of the trailer entries
//	56  4   number of records
//	60  4   logs declared in the file so far, this frame included
//
// Footer:
//
//	0   4   checksum of the trailer entries and of [4, 48)
//	4   4   magic "RFFT"
//	8   8   batch number
//	16  8   watermark
//	24  8   first batch of the file
//	32  4   block in which the frame ends
//	36  4   length in blocks
//	40  4   bytes of the trailer entries
//	44  4   number of trailer entries
//
// Trailer entry, one per log that the frame touches, all unsigned varints:
//
//	number<<1 | declared, [log id when declared], records, last index, last term
//
// A file-local number stands for a log; the first frame that uses it declares it.
// Last index and term are those of the log's last entry record in the frame, 0 when
// it has none.
//
// # Record
//
//	0   4   checksum of [4, 44), seeded
//	4   4   bytes of the payload
//	8   4   checksum of the payload, unseeded: computed once, where the payload entered
//	12  4   file-local number of the log
//	16  8   index
//	24  8   term
//	32  8   previous index
//	40  1   kind; kinds with the bit 0x80 may be skipped by a reader that does not know
//	        them, all others must be understood (ErrVersion)
//	41  1   flags, of the kind's own meaning
//	42  1   type: the user's, of entries
//	43  1   zero
//	44      payload
package frame
