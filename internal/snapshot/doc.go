// Package snapshot is the file format of captured state: snapshots, checkpoints and recovery
// checkpoints. Package snapshotwriter is the only one that creates such files; the engine and
// the operator's tool read them. Integers are little-endian.
//
// # One file
//
// A captured state is one file in its log's directory. State, live-index set and the user's
// context are one atomic unit because one rename publishes them; one inode, one descriptor and one hard
// link carry it, and no half of it can be missing, which a directory of several files cannot say.
//
//	snapshot-<term>-<index>     16 hex digits each
//	checkpoint-<term>-<index>
//	recovery-<term>-<index>
//
// Such a name ends in ".tmp" while the file is written, in ".part" while it is received, and in ".bad"
// once it has been set aside as damaged.
//
// # File
//
// A file is a header block, the meta section, chunks, and a trailer that ends the file. Magic,
// version and checksum of the header block keep their places in every version.
//
//	offset  size  field
//	0       8     magic "RAWLSNAP"
//	8       4     version, 1; another with a sound checksum is frame.ErrVersion
//	12      1     kind as written: 1 snapshot, 2 checkpoint, 3 recovery checkpoint
//	13      3     zeros
//	16      8     id of the log
//	24      8     term of the last entry covered
//	32      8     index of the last entry covered
//	40      8     salt
//	48      4     bytes of the uid
//	52      4     bytes of a chunk's data
//	56      4     bytes of the meta section
//	60      4     zeros
//	64      128   uid, then zeros
//	192     3900  zeros
//	4092    4     CRC-32C of [0, 4092)
//
// The file's name tells its kind: a promoted checkpoint is renamed, not rewritten, so a file
// named snapshot may say checkpoint here. No other difference is sound.
//
// # Seed
//
// Every checksum below is an xxhash64 seeded with the xxhash64 of salt, term and index. The
// writer draws the salt from uid, log id, position and time, so bytes of another snapshot never verify; or it is given one that
// members of a cluster share, so that their captures at one position are the same bytes: where they are not, the trailer's checksum
// of all data finds it. A copy on another member keeps salt and chunks, and names its own log in its header block.
//
// # Meta section
//
//	0   4   bytes of the context
//	4   4   bytes of the live-index set
//	8   4   bytes of the codec's name
//	12  4   zeros
//	16      context: the user's configuration, session table, machine version, at most 16 MiB
//	        live-index set, the encoding of raftlog.Seq
//	        codec's name, empty when the state is stored as it is
//	        8   checksum of the section before it
//
// # Chunks
//
// The stored state, which is what the codec made of the user's state, is cut into chunks whose data
// is as long as the header says, but for the last, which is shorter or as long. An empty one has no chunk.
//
//	0   4   magic "RSNC"
//	4   4   bytes of data
//	8   8   number, from 0
//	16  8   checksum of number (8), bytes (8) and data
//	24      data
//
// # Trailer
//
//	0   8   magic "RAWLSEND"
//	8   8   number of chunks
//	16  8   bytes of data in all chunks
//	24  8   bytes of the state, before the codec
//	32  8   checksum of the data of all chunks, in order
//	40  8   bytes of the file
//	48  8   checksum of [0, 48)
//
// # Progress
//
// While a file is received a record may stand where the finished file ends. It is written when the chunks that it names are durable,
// and cut off before the file is finished.
//
//	0    8   magic "RAWLPROG"
//	8    8   number of chunks
//	16   8   bytes of the running checksum, 76
//	24   76  running checksum of their data, as package xxhash encodes its state
//	100  8   checksum of [0, 100)
//
// # End
//
// A file without a sound trailer at its end is unfinished: ErrUnfinished. In one that has been
// published durably that is damage too.
//
// # Transfer
//
// What a sender sends first is header block, meta section and trailer, in one blob that checks itself
// (Reader.Header, ParseHeader); then come chunks, data and Sum, in any portions. A sum carries
// the seed, which tells a chunk of another snapshot from a flipped one.
package snapshot
