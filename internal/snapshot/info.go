package snapshot

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/rawl-db/rawl/internal/raftlog"
)

const (
	// ChunkHeaderBytes is the length of what precedes a chunk's data.
	ChunkHeaderBytes = 24
	// TrailerBytes is the length of the trailer.
	TrailerBytes = 56

	chunkMagic   = "RSNC"
	trailerMagic = "RAWLSEND"

	// maxDataBytes keeps offsets far from the ends of int64, and numbers of chunks within an int.
	maxDataBytes = 1 << 56
	maxChunks    = math.MaxInt32
)

// Info is all that is known of a finished file without its chunks. It is a value: copies share
// only Meta.Context and Meta.Live, which nobody changes.
type Info struct {
	Meta
	// DataBytes is the length of the stored state, which the chunks hold; StateBytes that of the
	// state before the codec. They are equal without one.
	DataBytes  int64
	StateBytes int64
	// Total is the checksum of the stored state.
	Total uint64

	metaBytes int
}

// Chunks is the number of chunks.
func (i *Info) Chunks() int {
	return int((i.DataBytes + int64(i.ChunkBytes) - 1) / int64(i.ChunkBytes))
}

// ChunkLen is the length of the data of chunk n, which must exist.
func (i *Info) ChunkLen(n int) int {
	return int(min(int64(i.ChunkBytes), i.DataBytes-int64(n)*int64(i.ChunkBytes)))
}

// Offset is where the header of chunk n begins; that of Chunks() is where the trailer does.
func (i *Info) Offset(n int) int64 {
	start := int64(BlockSize + i.metaBytes)
	if n == i.Chunks() {
		return start + int64(n)*ChunkHeaderBytes + i.DataBytes
	}
	return start + int64(n)*int64(ChunkHeaderBytes+i.ChunkBytes)
}

// FileBytes is the length of the file.
func (i *Info) FileBytes() int64 { return i.Offset(i.Chunks()) + TrailerBytes }

// Snapshot describes the file as the manifest lists it.
func (i *Info) Snapshot() raftlog.Snapshot {
	return raftlog.Snapshot{Kind: i.Kind, ID: i.ID, Bytes: i.FileBytes(), Live: i.Live.Len()}
}

// NewTotal returns the checksum of no chunk.
func (i *Info) NewTotal() Total {
	var t Total
	t.d.ResetWithSeed(i.seed())
	return t
}

// AppendHeader appends what precedes the first chunk: header block and meta section.
func (i *Info) AppendHeader(b []byte) []byte {
	return i.appendMeta(i.appendHeader(b, i.metaBytes))
}

// AppendTrailer appends the trailer.
func (i *Info) AppendTrailer(b []byte) []byte {
	start := len(b)
	b = append(b, trailerMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(i.Chunks()))
	b = binary.LittleEndian.AppendUint64(b, uint64(i.DataBytes))
	b = binary.LittleEndian.AppendUint64(b, uint64(i.StateBytes))
	b = binary.LittleEndian.AppendUint64(b, i.Total)
	b = binary.LittleEndian.AppendUint64(b, uint64(i.FileBytes()))
	return binary.LittleEndian.AppendUint64(b, hash(i.seed(), b[start:]))
}

// parseTrailer fills what the trailer says. It returns false for anything that is not the
// trailer of a file with this header.
func (i *Info) parseTrailer(b []byte) bool {
	le := binary.LittleEndian
	if len(b) != TrailerBytes || string(b[:8]) != trailerMagic || le.Uint64(b[48:]) != hash(i.seed(), b[:48]) {
		return false
	}
	data, state := le.Uint64(b[16:]), le.Uint64(b[24:])
	if data > maxDataBytes || state > math.MaxInt64 || i.Codec == "" && data != state {
		return false
	}
	i.DataBytes, i.StateBytes, i.Total = int64(data), int64(state), le.Uint64(b[32:])
	if (data+uint64(i.ChunkBytes)-1)/uint64(i.ChunkBytes) > maxChunks {
		return false
	}
	return le.Uint64(b[8:]) == uint64(i.Chunks()) && le.Uint64(b[40:]) == uint64(i.FileBytes())
}

// CheckChunk checks that data and sum are those of chunk n, which must exist. Errors:
// ErrOtherSnapshot, *CorruptError.
func (i *Info) CheckChunk(n int, data []byte, sum Sum) error {
	seed := i.seed()
	if sum.Seed != seed {
		return fmt.Errorf("%w: chunk %d", ErrOtherSnapshot, n)
	}
	if len(data) != i.ChunkLen(n) {
		return i.badChunk(n, fmt.Sprintf("%d bytes of data, not %d", len(data), i.ChunkLen(n)))
	}
	if sum.Hash != chunkHash(seed, n, data) {
		return i.badChunk(n, "checksum")
	}
	return nil
}

// PutChunkHeader writes the header of chunk n, of length bytes, to b.
func (i *Info) PutChunkHeader(b []byte, n, length int, sum Sum) {
	putChunkHeader(b, n, length, sum.Hash)
}

func putChunkHeader(b []byte, n, length int, hash uint64) {
	b = b[:ChunkHeaderBytes]
	copy(b, chunkMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(length))
	binary.LittleEndian.PutUint64(b[8:], uint64(n))
	binary.LittleEndian.PutUint64(b[16:], hash)
}

// ParseChunk checks header and data of chunk n, which must exist, and returns the data, which
// aliases b. Error: *CorruptError.
func (i *Info) ParseChunk(n int, b []byte) ([]byte, Sum, error) {
	if len(b) != ChunkHeaderBytes+i.ChunkLen(n) {
		return nil, Sum{}, i.badChunk(n, "the file ends early")
	}
	le := binary.LittleEndian
	head, data := b[:ChunkHeaderBytes], b[ChunkHeaderBytes:]
	if string(head[:4]) != chunkMagic || le.Uint32(head[4:]) != uint32(len(data)) || le.Uint64(head[8:]) != uint64(n) {
		return nil, Sum{}, i.badChunk(n, "header")
	}
	sum := Sum{Seed: i.seed(), Hash: le.Uint64(head[16:])}
	if sum.Hash != chunkHash(sum.Seed, n, data) {
		return nil, Sum{}, i.badChunk(n, "checksum")
	}
	return data, sum, nil
}

func (i *Info) badChunk(n int, reason string) error {
	return &CorruptError{Offset: i.Offset(n), Chunk: n, Reason: reason}
}

// appendTransfer appends what a sender sends first.
func (i *Info) appendTransfer(b []byte) []byte { return i.AppendTrailer(i.AppendHeader(b)) }

// ParseHeader reads what Reader.Header returned. The result shares no memory with b. Errors:
// frame.ErrMagic, ErrVersion, ErrUnfinished, *CorruptError.
func ParseHeader(b []byte) (Info, error) {
	m, n, err := parseHeader(b)
	if err != nil {
		return Info{}, err
	}
	if len(b) != BlockSize+n+TrailerBytes {
		return Info{}, corrupt(BlockSize, "%d bytes, not %d", len(b), BlockSize+n+TrailerBytes)
	}
	i := Info{Meta: m, metaBytes: n}
	if err := i.parseMeta(b[BlockSize : BlockSize+n]); err != nil {
		return Info{}, err
	}
	if !i.parseTrailer(b[BlockSize+n:]) {
		return Info{}, corrupt(int64(BlockSize+n), "trailer")
	}
	return i, nil
}
