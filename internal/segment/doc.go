// Package segment is the file format of the entries of one log, after they left the
// write-ahead log. Package segwriter is the only one that creates such files; readplan,
// segwriter and the operator's tool read them. Integers are little-endian, checksums CRC-32C
// (Castagnoli).
//
// # File
//
// A file is a header block, then chunks, each a whole number of 4096-byte blocks. Magic,
// version and checksum of the header block keep their places in every version.
//
//	offset  size  field
//	0       8     magic "RAWLSEGM"
//	8       4     version, 1; another with a sound checksum is frame.ErrVersion
//	12      4     bytes of the uid
//	16      8     id of the log
//	24      8     number of the segment within its log
//	32      128   uid, then zeros
//	160     3932  zeros
//	4092    4     checksum of [0, 4092)
//
// # Chunk
//
// A chunk is one contiguous write:
//
//	header (64) | index array (32 per entry) | payloads | zeros | footer (64)
//
// Its indexes ascend; they may have holes. Header and footer are the same but for magic
// and checksum. The footer ends the chunk's last block, so that the loss of one sector of a
// chunk longer than a block never takes both.
//
//	0   4   checksum of [4, 64), seeded
//	4   4   magic "RSCH" in the header, "RSCF" in the footer
//	8   4   block in which the chunk starts, the header block being 0
//	12  4   length in blocks
//	16  4   number of entries
//	20  4   bytes of the payloads
//	24  8   first index
//	32  8   last index
//	40  8   last index that counted in the file when the chunk was written, 0 for none
//	48  4   entries written to the file before this chunk
//	52  4   checksum of the index array, seeded
//	56  8   zeros
//
// Index array, one entry each; payloads follow one another without gaps:
//
//	0   8   index
//	8   8   term
//	16  4   offset of the payload from the first payload
//	20  4   bytes of the payload
//	24  4   checksum of the payload, unseeded: computed once, where the payload entered
//	28  1   type, the user's
//	29  3   zeros
//
// The seed is the checksum of log id and segment number, 8 bytes each: bytes of another
// file never verify, nor does a chunk that was moved, because it names its block.
//
// # What counts
//
// The manifest says how long the committed part of a file is and which index range of it
// counts (raftlog.Segment). What lies beyond is ignored, and overwritten by the next append.
// A chunk whose first index is i supersedes everything at or above i of earlier chunks in its
// file: that is how a new leader's entries replace older ones.
//
// Writers keep one rule, which bounds the loss when both header and footer of a chunk are
// gone: a chunk that may supersede anything has no holes. All other chunks start above the last
// index of their predecessor.
//
// # Damage
//
// A chunk is believed when its header or footer verifies and its index array does. Else
// its indexes are refused: from first to last if one of the two is left; if the chunk was one
// block, from its predecessor's last index to its successor's first, when the entry counts
// prove that it superseded nothing; in all other cases everything below its successor,
// because what it superseded is unknown. A damaged payload costs its own entry only, a
// damaged header block nothing.
package segment
