package frame

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
)

const (
	// HeaderSize and FooterSize are the fixed parts of a frame, in bytes.
	HeaderSize = 64
	FooterSize = 48

	headerMagic = 0x44484652 // "RFHD"
	footerMagic = 0x54464652 // "RFFT"
)

// Header says what a frame is and how long. The footer repeats part of it.
type Header struct {
	// Batch numbers the frame.
	Batch uint64
	// Watermark is the highest batch known to be durable when the frame was written.
	Watermark uint64
	// FirstBatch is the batch of the file's first frame.
	FirstBatch uint64
	// Block is where the frame starts, counted in blocks from the start of the file.
	Block uint32
	// Blocks is the frame's length.
	Blocks uint32
	// Declared counts the logs declared in the file so far, this frame included.
	Declared uint32
	// Records counts the records, and Body their bytes.
	Records, Body uint32
	trailer       uint32
}

// Touch is a trailer entry: what the frame holds of one log.
type Touch struct {
	// Number is the log's file-local number.
	Number uint32
	// ID is the log's id when this frame declares the number, else 0.
	ID uint64
	// Records counts the log's records in the frame.
	Records uint32
	// LastIndex and LastTerm are those of its last entry record, 0 when there is none.
	LastIndex, LastTerm uint64
}

func (h *Header) put(b []byte, id Identity) {
	_ = b[HeaderSize-1]
	binary.LittleEndian.PutUint32(b[4:], headerMagic)
	binary.LittleEndian.PutUint64(b[8:], id.number)
	binary.LittleEndian.PutUint64(b[16:], h.Batch)
	binary.LittleEndian.PutUint64(b[24:], h.Watermark)
	binary.LittleEndian.PutUint64(b[32:], h.FirstBatch)
	binary.LittleEndian.PutUint32(b[40:], h.Block)
	binary.LittleEndian.PutUint32(b[44:], h.Blocks)
	binary.LittleEndian.PutUint32(b[48:], h.Body)
	binary.LittleEndian.PutUint32(b[52:], h.trailer)
	binary.LittleEndian.PutUint32(b[56:], h.Records)
	binary.LittleEndian.PutUint32(b[60:], h.Declared)
	binary.LittleEndian.PutUint32(b[0:], crc32.Update(id.seed, castagnoli, b[4:HeaderSize]))
}

// decodeHeader reads the frame header at b, which stands in the given block of the file.
func decodeHeader(b []byte, id Identity, block uint32) (Header, bool) {
	if len(b) < HeaderSize || binary.LittleEndian.Uint32(b[4:]) != headerMagic ||
		binary.LittleEndian.Uint64(b[8:]) != id.number ||
		binary.LittleEndian.Uint32(b) != crc32.Update(id.seed, castagnoli, b[4:HeaderSize]) {
		return Header{}, false
	}
	h := Header{
		Batch:      binary.LittleEndian.Uint64(b[16:]),
		Watermark:  binary.LittleEndian.Uint64(b[24:]),
		FirstBatch: binary.LittleEndian.Uint64(b[32:]),
		Block:      binary.LittleEndian.Uint32(b[40:]),
		Blocks:     binary.LittleEndian.Uint32(b[44:]),
		Body:       binary.LittleEndian.Uint32(b[48:]),
		trailer:    binary.LittleEndian.Uint32(b[52:]),
		Records:    binary.LittleEndian.Uint32(b[56:]),
		Declared:   binary.LittleEndian.Uint32(b[60:]),
	}
	return h, h.Block == block && h.sound()
}

// sound rejects sizes that contradict each other, so that no later arithmetic overflows.
func (h *Header) sound() bool {
	need := uint64(HeaderSize) + uint64(h.Body) + uint64(h.trailer) + FooterSize
	return h.Blocks > 0 && need <= uint64(h.Blocks)*BlockSize &&
		uint64(h.Records)*RecordHeaderSize <= uint64(h.Body)
}

func putFooter(b []byte, h *Header, id Identity, touches uint32, entries []byte) {
	_ = b[FooterSize-1]
	binary.LittleEndian.PutUint32(b[4:], footerMagic)
	binary.LittleEndian.PutUint64(b[8:], h.Batch)
	binary.LittleEndian.PutUint64(b[16:], h.Watermark)
	binary.LittleEndian.PutUint64(b[24:], h.FirstBatch)
	binary.LittleEndian.PutUint32(b[32:], h.Block+h.Blocks-1)
	binary.LittleEndian.PutUint32(b[36:], h.Blocks)
	binary.LittleEndian.PutUint32(b[40:], h.trailer)
	binary.LittleEndian.PutUint32(b[44:], touches)
	sum := crc32.Update(id.seed, castagnoli, entries)
	binary.LittleEndian.PutUint32(b[0:], crc32.Update(sum, castagnoli, b[4:FooterSize]))
}

// Trailer names the logs that a frame touches.
type Trailer struct {
	header  Header // Batch, Watermark, FirstBatch, Block and Blocks only
	touches uint32
	entries []byte
}

// decodeTrailer reads the trailer of the frame that ends with the given block of file.
func decodeTrailer(file []byte, id Identity, block uint32) (Trailer, bool) {
	end := (uint64(block) + 1) * BlockSize
	if end > uint64(len(file)) {
		return Trailer{}, false
	}
	b := file[end-FooterSize : end]
	if binary.LittleEndian.Uint32(b[4:]) != footerMagic || binary.LittleEndian.Uint32(b[32:]) != block {
		return Trailer{}, false
	}
	blocks, n := binary.LittleEndian.Uint32(b[36:]), uint64(binary.LittleEndian.Uint32(b[40:]))
	if blocks == 0 || blocks > block || HeaderSize+n+FooterSize > uint64(blocks)*BlockSize {
		return Trailer{}, false
	}
	entries := file[end-FooterSize-n : end-FooterSize]
	sum := crc32.Update(id.seed, castagnoli, entries)
	if binary.LittleEndian.Uint32(b) != crc32.Update(sum, castagnoli, b[4:]) {
		return Trailer{}, false
	}
	return Trailer{
		header: Header{
			Batch:      binary.LittleEndian.Uint64(b[8:]),
			Watermark:  binary.LittleEndian.Uint64(b[16:]),
			FirstBatch: binary.LittleEndian.Uint64(b[24:]),
			Block:      block + 1 - blocks,
			Blocks:     blocks,
		},
		touches: binary.LittleEndian.Uint32(b[44:]),
		entries: entries,
	}, true
}

// Touches yields the trailer's entries. An entry that does not parse ends the sequence with
// an error that wraps ErrCorrupt; the checksum has held by then, so only a bug writes one.
func (t Trailer) Touches() iter.Seq2[Touch, error] {
	return func(yield func(Touch, error) bool) {
		b := t.entries
		for range t.touches {
			touch, rest, ok := decodeTouch(b)
			if !ok {
				yield(Touch{}, fmt.Errorf("%w: trailer entry", ErrCorrupt))
				return
			}
			if !yield(touch, nil) {
				return
			}
			b = rest
		}
	}
}

func appendTouch(b []byte, t Touch) []byte {
	n := uint64(t.Number) << 1
	if t.ID != 0 {
		b = binary.AppendUvarint(b, n|1)
		b = binary.AppendUvarint(b, t.ID)
	} else {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.AppendUvarint(b, uint64(t.Records))
	b = binary.AppendUvarint(b, t.LastIndex)
	return binary.AppendUvarint(b, t.LastTerm)
}

func decodeTouch(b []byte) (t Touch, rest []byte, ok bool) {
	ok = true
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			ok = false
			return 0
		}
		b = b[n:]
		return v
	}
	n := next()
	t.Number = uint32(n >> 1)
	if n&1 == 1 {
		t.ID = next()
	}
	records := next()
	t.Records = uint32(records)
	t.LastIndex, t.LastTerm = next(), next()
	return t, b, ok && n>>33 == 0 && records>>32 == 0
}
