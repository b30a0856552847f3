package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// kind says what a frame holds.
type kind uint8

const (
	kindList kind = iota + 1
	kindLogs
	kindFollow
	kindPlace
	kindBatch
	kindEnd
	kindRefused
	kindHeader
	kindChunk
	kindLive
)

const (
	frameHeaderBytes = 8
	// maxRequestBytes is the largest frame that a source takes.
	maxRequestBytes = 4 << 10
	// maxFrameBytes is the largest frame that a target takes: an entry of the largest size, or a
	// batch of smaller ones with their headers.
	maxFrameBytes = 64<<20 + 64<<10
)

// ErrFrame means that bytes from the network are no frame, or that what a frame holds makes no sense.
var ErrFrame = errors.New("mirror: bad frame")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends a frame to b. fill appends the body.
func appendFrame(b []byte, k kind, fill func([]byte) []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, byte(k))
	b = fill(b)
	sealed := b[at+frameHeaderBytes:]
	binary.LittleEndian.PutUint32(b[at:], uint32(len(sealed)))
	binary.LittleEndian.PutUint32(b[at+4:], crc32.Checksum(sealed, castagnoli))
	return b
}

// frameReader reads frames of at most limit bytes of kind and body.
type frameReader struct {
	from  io.Reader
	limit uint32
	buf   bytes.Buffer
}

// next reads a frame. body is valid until the next call. Memory is taken as bytes arrive, not as a
// length promises. Errors: io.EOF before the first byte, io.ErrUnexpectedEOF within a frame,
// ErrFrame, and those of the connection.
func (r *frameReader) next() (k kind, body []byte, err error) {
	var header [frameHeaderBytes]byte
	if _, err := io.ReadFull(r.from, header[:]); err != nil {
		return 0, nil, err
	}
	n, crc := binary.LittleEndian.Uint32(header[:]), binary.LittleEndian.Uint32(header[4:])
	if n == 0 || n > r.limit {
		return 0, nil, fmt.Errorf("%w: length %d, at most %d", ErrFrame, n, r.limit)
	}
	r.buf.Reset()
	if _, err := io.CopyN(&r.buf, r.from, int64(n)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	sealed := r.buf.Bytes()
	if got := crc32.Checksum(sealed, castagnoli); got != crc {
		return 0, nil, fmt.Errorf("%w: checksum %08x, want %08x", ErrFrame, got, crc)
	}
	return kind(sealed[0]), sealed[1:], nil
}
