package snapshot

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

const (
	// BlockSize is the length of the header block, in bytes.
	BlockSize = frame.BlockSize
	// Version is the format version written, and the only one read.
	Version = 1

	fileMagic = "RAWLSNAP"
)

// appendHeader appends the header block of a file whose meta section has metaBytes bytes.
func (m *Meta) appendHeader(b []byte, metaBytes int) []byte {
	start := len(b)
	b = append(b, make([]byte, BlockSize)...)
	h := b[start:]
	copy(h, fileMagic)
	binary.LittleEndian.PutUint32(h[8:], Version)
	h[12] = byte(m.Kind)
	binary.LittleEndian.PutUint64(h[16:], uint64(m.Log))
	binary.LittleEndian.PutUint64(h[24:], uint64(m.ID.Term))
	binary.LittleEndian.PutUint64(h[32:], uint64(m.ID.Index))
	binary.LittleEndian.PutUint64(h[40:], m.Salt)
	binary.LittleEndian.PutUint32(h[48:], uint32(len(m.UID)))
	binary.LittleEndian.PutUint32(h[52:], uint32(m.ChunkBytes))
	binary.LittleEndian.PutUint32(h[56:], uint32(metaBytes))
	copy(h[64:64+raftlog.MaxUIDLen], m.UID)
	binary.LittleEndian.PutUint32(h[BlockSize-4:], frame.Checksum(h[:BlockSize-4]))
	return b
}

// parseHeader reads a header block: all of Meta but what the meta section holds, and that
// section's length. Errors: ErrUnfinished when b is shorter than a block; frame.ErrMagic;
// ErrVersion when the checksum is sound and the version another; *CorruptError.
func parseHeader(b []byte) (m Meta, metaBytes int, err error) {
	if len(b) < BlockSize {
		return Meta{}, 0, fmt.Errorf("%w: header of %d bytes", ErrUnfinished, len(b))
	}
	b = b[:BlockSize]
	if string(b[:8]) != fileMagic {
		return Meta{}, 0, fmt.Errorf("snapshot: %w", frame.ErrMagic)
	}
	if binary.LittleEndian.Uint32(b[BlockSize-4:]) != frame.Checksum(b[:BlockSize-4]) {
		return Meta{}, 0, corrupt(0, "header checksum")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != Version {
		return Meta{}, 0, fmt.Errorf("%w: snapshot has %d, this program reads %d", ErrVersion, v, Version)
	}
	uid := binary.LittleEndian.Uint32(b[48:])
	chunk := binary.LittleEndian.Uint32(b[52:])
	meta := binary.LittleEndian.Uint32(b[56:])
	if uid > raftlog.MaxUIDLen || chunk > MaxChunkBytes || meta > maxMetaBytes {
		return Meta{}, 0, corrupt(0, "header above its bounds: %d, %d, %d", uid, chunk, meta)
	}
	m = Meta{
		Kind: Kind(b[12]),
		Log:  raftlog.LogID(binary.LittleEndian.Uint64(b[16:])),
		ID: raftlog.EntryID{
			Term:  raftlog.Term(binary.LittleEndian.Uint64(b[24:])),
			Index: raftlog.Index(binary.LittleEndian.Uint64(b[32:])),
		},
		Salt:       binary.LittleEndian.Uint64(b[40:]),
		UID:        raftlog.UID(b[64 : 64+uid]),
		ChunkBytes: int(chunk),
	}
	if err := m.Validate(); err != nil {
		return Meta{}, 0, corrupt(0, "%v", err)
	}
	if !bytes.Equal(b, m.appendHeader(nil, int(meta))) {
		return Meta{}, 0, corrupt(0, "header holds more than its fields")
	}
	return m, int(meta), nil
}
