package segment

import (
	"encoding/binary"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// SparseChunk returns the start and the end of a chunk that holds entry i with a payload of n
// bytes, without the payload, and the chunk's length.
func SparseChunk(id raftlog.LogID, number uint64, off int64, i raftlog.Index, n uint32) (first, last []byte, size int64) {
	size = int64(chunkSize(1, int(n)))
	first = make([]byte, chunkHeaderSize+indexEntrySize)
	e := indexEntry{index: i, term: 1, length: n}
	e.put(first[chunkHeaderSize:])
	seed := newIdentity(id, number)
	c := chunk{block: uint32(off / BlockSize), blocks: uint32(size / BlockSize), count: 1, payload: n,
		first: i, last: i, prevLast: i - 1, before: uint32(i - 1), indexSum: checksum(seed, first[chunkHeaderSize:])}
	last = make([]byte, chunkFooterSize)
	c.put(first, chunkMagic, seed)
	c.put(last, footerMagic, seed)
	return first, last, size
}

// Reseal makes the checksums of every chunk header, footer and index array in b right, so that
// a fuzzer gets behind them.
func Reseal(b []byte, id raftlog.LogID, number uint64) {
	seed := newIdentity(id, number)
	le := binary.LittleEndian
	for at := BlockSize; at+BlockSize <= len(b); at += BlockSize {
		head, foot := b[at:at+chunkHeaderSize], b[at+BlockSize-chunkFooterSize:at+BlockSize]
		if le.Uint32(head[4:]) == chunkMagic {
			end := uint64(at+chunkHeaderSize) + uint64(le.Uint32(head[16:]))*indexEntrySize
			if end <= uint64(len(b)) {
				le.PutUint32(head[52:], checksum(seed, b[at+chunkHeaderSize:end]))
			}
			le.PutUint32(head, checksum(seed, head[4:]))
		}
		if le.Uint32(foot[4:]) == footerMagic {
			le.PutUint32(foot, checksum(seed, foot[4:]))
		}
	}
}
