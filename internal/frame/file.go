package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// BlockSize is the unit in which files grow, in bytes.
const BlockSize = 4096

// Version is the format version that this package writes, and the only one it reads.
const Version = 1

var (
	// ErrMagic means: not a file of this format at all.
	ErrMagic = errors.New("not a rawl file")
	// ErrVersion means: sound, but of a version or with a record kind this program does not know.
	ErrVersion = errors.New("unknown format version")
	// ErrCorrupt means: bytes that do not verify.
	ErrCorrupt = errors.New("corrupt")
)

const fileMagic = "RAWLFILE"

// FileKind says what a file is for.
type FileKind uint32

const (
	// WALFile holds the records of all logs.
	WALFile FileKind = 1
	// ManifestFile holds the image of the engine and its edits.
	ManifestFile FileKind = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC-32C of b, as payloads carry it.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// copyBlock is what CopyChecksum copies at a time, in bytes: the checksum finds it in the nearest cache.
const copyBlock = 4 << 10

// CopyChecksum copies src to dst, which is as long, and returns the checksum of whatever sum is the
// checksum of, followed by src.
func CopyChecksum(sum uint32, dst, src []byte) uint32 {
	for len(src) > 0 {
		n := copy(dst, src[:min(len(src), copyBlock)])
		sum = crc32.Update(sum, castagnoli, dst[:n])
		dst, src = dst[n:], src[n:]
	}
	return sum
}

// FileHeader is the content of a file's first block.
type FileHeader struct {
	Kind   FileKind
	Stream uint64
	Number uint64
	// Size is the number of bytes reserved for the file, 0 when it grows as it is written.
	Size int64
}

// Identity returns what the frames of the file must repeat.
func (h FileHeader) Identity() Identity { return NewIdentity(h.Stream, h.Number) }

// Identity names one life of a file. Frames of another life do not verify.
type Identity struct {
	stream, number uint64
	seed           uint32
}

// NewIdentity returns the identity of file number of the stream.
func NewIdentity(stream, number uint64) Identity {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[0:], stream)
	binary.LittleEndian.PutUint64(b[8:], number)
	return Identity{stream: stream, number: number, seed: Checksum(b[:])}
}

// Number returns the file's number.
func (id Identity) Number() uint64 { return id.number }

// Encode writes the header block to b, whose length is BlockSize.
func (h FileHeader) Encode(b []byte) {
	b = b[:BlockSize]
	clear(b)
	copy(b, fileMagic)
	binary.LittleEndian.PutUint32(b[8:], Version)
	binary.LittleEndian.PutUint32(b[12:], uint32(h.Kind))
	binary.LittleEndian.PutUint64(b[16:], h.Stream)
	binary.LittleEndian.PutUint64(b[24:], h.Number)
	binary.LittleEndian.PutUint64(b[32:], uint64(h.Size))
	binary.LittleEndian.PutUint32(b[BlockSize-4:], Checksum(b[:BlockSize-4]))
}

// DecodeFileHeader reads a header block. Errors: ErrMagic, ErrVersion, ErrCorrupt. A
// block shorter than BlockSize is ErrCorrupt.
func DecodeFileHeader(b []byte) (FileHeader, error) {
	if len(b) < BlockSize {
		return FileHeader{}, fmt.Errorf("%w: file header of %d bytes", ErrCorrupt, len(b))
	}
	b = b[:BlockSize]
	if string(b[:8]) != fileMagic {
		return FileHeader{}, ErrMagic
	}
	if binary.LittleEndian.Uint32(b[BlockSize-4:]) != Checksum(b[:BlockSize-4]) {
		return FileHeader{}, fmt.Errorf("%w: file header checksum", ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != Version {
		return FileHeader{}, fmt.Errorf("%w: file has %d, this program reads %d", ErrVersion, v, Version)
	}
	h := FileHeader{
		Kind:   FileKind(binary.LittleEndian.Uint32(b[12:])),
		Stream: binary.LittleEndian.Uint64(b[16:]),
		Number: binary.LittleEndian.Uint64(b[24:]),
		Size:   int64(binary.LittleEndian.Uint64(b[32:])),
	}
	if h.Size < 0 || h.Kind != WALFile && h.Kind != ManifestFile {
		return FileHeader{}, fmt.Errorf("%w: file header fields", ErrCorrupt)
	}
	return h, nil
}
