package snapshot

import (
	"encoding/binary"

	"github.com/rawl-db/rawl/internal/frame"
)

// Reseal makes the checksums of a file or transfer blob right, as far as its lengths lead to
// them, so that a fuzzer gets behind them.
func Reseal(b []byte) {
	if len(b) < BlockSize+TrailerBytes {
		return
	}
	le := binary.LittleEndian
	le.PutUint32(b[BlockSize-4:], frame.Checksum(b[:BlockSize-4]))
	m, metaBytes, err := parseHeader(b)
	if err != nil || BlockSize+metaBytes > len(b) || metaBytes < metaSumBytes {
		return
	}
	seed := m.seed()
	meta := b[BlockSize : BlockSize+metaBytes]
	le.PutUint64(meta[len(meta)-metaSumBytes:], hash(seed, meta[:len(meta)-metaSumBytes]))
	trailer := b[len(b)-TrailerBytes:]
	le.PutUint64(trailer[48:], hash(seed, trailer[:48]))
	for n, at := 0, BlockSize+metaBytes; at+ChunkHeaderBytes < len(b)-TrailerBytes; n++ {
		end := min(at+ChunkHeaderBytes+m.ChunkBytes, len(b)-TrailerBytes)
		le.PutUint64(b[at+16:], chunkHash(seed, n, b[at+ChunkHeaderBytes:end]))
		at = end
	}
}
