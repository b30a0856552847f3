package tcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/rawl-db/rawl/raft/transport"
)

// frameHeader is what stands before a message.
const frameHeader = 13

// allocateStep bounds what is allocated for a frame before as much of it has come. A chunk of a snapshot fits, at its default size.
const allocateStep = 1<<20 + 4<<10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// What is wrong with a frame. Each ends the connection, and has a counter.
var (
	errLength   = errors.New("tcp: frame longer than allowed")
	errChecksum = errors.New("tcp: frame with a bad checksum")
	errSequence = errors.New("tcp: frame out of its turn")
	errClass    = errors.New("tcp: frame of a class that does not travel here")
)

// framer makes frames of one direction of a connection. It belongs to one goroutine.
type framer struct {
	seed   uint32
	number uint32
}

// begin appends a header that finish completes.
func (f *framer) begin(b []byte) []byte { return append(b, make([]byte, frameHeader)...) }

// finish completes the header at an offset: the frame reaches from there to the end of b.
func (f *framer) finish(b []byte, at int, class transport.Class) {
	f.number++
	h := b[at:]
	binary.LittleEndian.PutUint32(h, uint32(len(h)-frameHeader))
	binary.LittleEndian.PutUint32(h[8:], f.number)
	h[12] = byte(class)
	binary.LittleEndian.PutUint32(h[4:], crc32.Update(f.seed, castagnoli, h[8:]))
}

// unframer reads the frames of one direction. It belongs to one goroutine.
type unframer struct {
	r      io.Reader
	seed   uint32
	number uint32
	most   int
	// classes are those that travel here, as bits.
	classes uint8
	header  [frameHeader]byte
}

// next returns the next frame's class and payload, which is the caller's.
func (u *unframer) next() (transport.Class, []byte, error) {
	if _, err := io.ReadFull(u.r, u.header[:]); err != nil {
		return 0, nil, err
	}
	size := binary.LittleEndian.Uint32(u.header[:])
	if uint64(size) > uint64(u.most) {
		return 0, nil, fmt.Errorf("%w: %d bytes, at most %d", errLength, size, u.most)
	}
	payload, err := readPayload(u.r, int(size))
	if err != nil {
		return 0, nil, err
	}
	sum := crc32.Update(crc32.Update(u.seed, castagnoli, u.header[8:]), castagnoli, payload)
	if sum != binary.LittleEndian.Uint32(u.header[4:]) {
		return 0, nil, errChecksum
	}
	if u.number++; binary.LittleEndian.Uint32(u.header[8:]) != u.number {
		return 0, nil, errSequence
	}
	class := u.header[12]
	if class >= transport.Classes || u.classes&(1<<class) == 0 {
		return 0, nil, errClass
	}
	return transport.Class(class), payload, nil
}

// readPayload reads size bytes. It allocates no more than twice what came, and a step.
func readPayload(r io.Reader, size int) ([]byte, error) {
	b := make([]byte, min(size, allocateStep))
	for have := 0; ; {
		if _, err := io.ReadFull(r, b[have:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		have = len(b)
		if have == size {
			return b, nil
		}
		bigger := make([]byte, min(size, 2*have))
		copy(bigger, b)
		b = bigger
	}
}
