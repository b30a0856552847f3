package snapshot

import "fmt"

// Encoder makes the bytes of one file, in order: AppendHeader, SealChunk for each chunk,
// AppendTrailer. It is pure; one goroutine owns it.
type Encoder struct {
	info   Info
	seed   uint64
	total  Total
	chunks int
	last   bool // a chunk shorter than the others was sealed
}

// NewEncoder returns the encoder of a file. It refers to m.Context until it is dropped. Error: ErrMeta.
func NewEncoder(m Meta) (*Encoder, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	e := &Encoder{info: Info{Meta: m}, seed: m.seed()}
	live := len(m.Live.AppendBinary(nil))
	e.info.metaBytes = metaHeadBytes + len(m.Context) + live + len(m.Codec) + metaSumBytes
	if live > MaxLiveBytes {
		return nil, fmt.Errorf("%w: live-index set is encoded in more than %d bytes", ErrMeta, MaxLiveBytes)
	}
	e.total = e.info.NewTotal()
	return e, nil
}

// AppendHeader appends header block and meta section.
func (e *Encoder) AppendHeader(b []byte) []byte { return e.info.AppendHeader(b) }

// SealChunk fills in the header of the next chunk: b is ChunkHeaderBytes of room, then 1 to
// ChunkBytes of data. Only the last chunk may be shorter than ChunkBytes; what breaks that, or
// exceeds the format, is refused.
func (e *Encoder) SealChunk(b []byte) error {
	n := len(b) - ChunkHeaderBytes
	full := e.chunks >= maxChunks || e.info.DataBytes > maxDataBytes-MaxChunkBytes
	if n < 1 || n > e.info.ChunkBytes || e.last || full {
		return fmt.Errorf("snapshot: chunk %d of %d bytes does not fit", e.chunks, n)
	}
	data := b[ChunkHeaderBytes:]
	putChunkHeader(b, e.chunks, n, chunkHash(e.seed, e.chunks, data))
	e.total.Add(data)
	e.info.DataBytes += int64(n)
	e.chunks++
	e.last = n < e.info.ChunkBytes
	return nil
}

// AppendTrailer appends the trailer of a file whose state had stateBytes bytes before the codec.
func (e *Encoder) AppendTrailer(b []byte, stateBytes int64) []byte {
	i := e.Info(stateBytes)
	return i.AppendTrailer(b)
}

// Info describes the file as it is when no chunk follows.
func (e *Encoder) Info(stateBytes int64) Info {
	i := e.info
	i.StateBytes, i.Total = stateBytes, e.total.Sum()
	return i
}
