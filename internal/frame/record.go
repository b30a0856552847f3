package frame

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// RecordHeaderSize is the length of what precedes a record's payload, in bytes.
const RecordHeaderSize = 44

// Kind says what a record means. Each file kind has its own kinds.
type Kind uint8

// Optional is the bit of kinds that a reader may skip when it does not know them.
const Optional Kind = 0x80

// MustUnderstand reports whether a reader that does not know the kind must refuse the file.
func (k Kind) MustUnderstand() bool { return k&Optional == 0 }

// Record is one fact. Prev, Index, Term and Type mean what the kind says.
type Record struct {
	Kind  Kind
	Flags uint8
	Type  uint8
	// Log is the file-local number of the log the record belongs to.
	Log               uint32
	Prev, Index, Term uint64
	// CRC is the payload's Checksum.
	CRC uint32
	// Payload aliases the buffer that was decoded.
	Payload []byte
}

// Size is the number of bytes the record takes in a frame.
func (r *Record) Size() int { return RecordHeaderSize + len(r.Payload) }

// PayloadOK reports whether the payload matches its checksum.
func (r *Record) PayloadOK() bool { return Checksum(r.Payload) == r.CRC }

func (r *Record) putHeader(b []byte, seed uint32) {
	_ = b[RecordHeaderSize-1]
	binary.LittleEndian.PutUint32(b[4:], uint32(len(r.Payload)))
	binary.LittleEndian.PutUint32(b[8:], r.CRC)
	binary.LittleEndian.PutUint32(b[12:], r.Log)
	binary.LittleEndian.PutUint64(b[16:], r.Index)
	binary.LittleEndian.PutUint64(b[24:], r.Term)
	binary.LittleEndian.PutUint64(b[32:], r.Prev)
	b[40], b[41], b[42], b[43] = uint8(r.Kind), r.Flags, r.Type, 0
	binary.LittleEndian.PutUint32(b[0:], crc32.Update(seed, castagnoli, b[4:RecordHeaderSize]))
}

// DecodeRecord reads the record at the start of b and returns it with what follows. The
// header is verified, the payload is not: see PayloadOK. The error wraps ErrCorrupt.
func DecodeRecord(b []byte, id Identity) (Record, []byte, error) {
	if len(b) < RecordHeaderSize {
		return Record{}, nil, fmt.Errorf("%w: record header cut at %d bytes", ErrCorrupt, len(b))
	}
	if binary.LittleEndian.Uint32(b) != crc32.Update(id.seed, castagnoli, b[4:RecordHeaderSize]) {
		return Record{}, nil, fmt.Errorf("%w: record header checksum", ErrCorrupt)
	}
	n := uint64(binary.LittleEndian.Uint32(b[4:]))
	if n > uint64(len(b)-RecordHeaderSize) {
		return Record{}, nil, fmt.Errorf("%w: payload of %d bytes in %d", ErrCorrupt, n, len(b)-RecordHeaderSize)
	}
	end := RecordHeaderSize + int(n)
	r := Record{
		Kind:    Kind(b[40]),
		Flags:   b[41],
		Type:    b[42],
		Log:     binary.LittleEndian.Uint32(b[12:]),
		Index:   binary.LittleEndian.Uint64(b[16:]),
		Term:    binary.LittleEndian.Uint64(b[24:]),
		Prev:    binary.LittleEndian.Uint64(b[32:]),
		CRC:     binary.LittleEndian.Uint32(b[8:]),
		Payload: b[RecordHeaderSize:end:end],
	}
	return r, b[end:], nil
}
