package segment

import (
	"encoding/binary"
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

const (
	// BlockSize is the unit in which a segment grows, in bytes.
	BlockSize = frame.BlockSize
	// Version is the format version written, and the only one read.
	Version = 1
	// ChunkBytes is the recommended target length of a chunk, in bytes.
	ChunkBytes = 1 << 20
	// MaxEntryBytes bounds a payload.
	MaxEntryBytes = 64 << 20

	fileMagic = "RAWLSEGM"
)

// Header is the content of a segment's first block: whose file it is.
type Header struct {
	ID     raftlog.LogID
	Number uint64
	UID    raftlog.UID
}

// Encode writes the header block to b, whose length is at least BlockSize.
func (h Header) Encode(b []byte) {
	b = b[:BlockSize]
	clear(b)
	copy(b, fileMagic)
	binary.LittleEndian.PutUint32(b[8:], Version)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(h.UID)))
	binary.LittleEndian.PutUint64(b[16:], uint64(h.ID))
	binary.LittleEndian.PutUint64(b[24:], h.Number)
	copy(b[32:32+raftlog.MaxUIDLen], h.UID)
	binary.LittleEndian.PutUint32(b[BlockSize-4:], frame.Checksum(b[:BlockSize-4]))
}

// DecodeHeader reads a header block. Errors: frame.ErrMagic; frame.ErrVersion when the
// checksum is sound and the version another; frame.ErrCorrupt.
func DecodeHeader(b []byte) (Header, error) {
	if len(b) < BlockSize {
		return Header{}, fmt.Errorf("%w: segment header of %d bytes", frame.ErrCorrupt, len(b))
	}
	b = b[:BlockSize]
	if string(b[:8]) != fileMagic {
		return Header{}, frame.ErrMagic
	}
	if binary.LittleEndian.Uint32(b[BlockSize-4:]) != frame.Checksum(b[:BlockSize-4]) {
		return Header{}, fmt.Errorf("%w: segment header checksum", frame.ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != Version {
		return Header{}, fmt.Errorf("%w: segment has %d, this program reads %d", frame.ErrVersion, v, Version)
	}
	n := binary.LittleEndian.Uint32(b[12:])
	if n > raftlog.MaxUIDLen {
		return Header{}, fmt.Errorf("%w: segment header names a uid of %d bytes", frame.ErrCorrupt, n)
	}
	h := Header{
		ID:     raftlog.LogID(binary.LittleEndian.Uint64(b[16:])),
		Number: binary.LittleEndian.Uint64(b[24:]),
		UID:    raftlog.UID(b[32 : 32+n]),
	}
	if err := h.UID.Validate(); err != nil {
		return Header{}, fmt.Errorf("%w: segment header: %w", frame.ErrCorrupt, err)
	}
	return h, nil
}

// ReadHeader reads the header of a segment file. Errors: those of opening and reading, and of
// DecodeHeader.
func ReadHeader(fs vfs.FS, name string) (Header, error) {
	f, err := fs.Open(name, vfs.OpenOptions{})
	if err != nil {
		return Header{}, err
	}
	defer f.Close()
	b := make([]byte, BlockSize)
	if n, err := f.ReadAt(b, 0); n < BlockSize {
		return Header{}, fmt.Errorf("%s: %w: segment header of %d bytes: %v", name, frame.ErrCorrupt, n, err)
	}
	h, err := DecodeHeader(b)
	if err != nil {
		return Header{}, fmt.Errorf("%s: %w", name, err)
	}
	return h, nil
}
