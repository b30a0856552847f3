package segment

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/rawl-db/rawl/internal/raftlog"
)

const (
	chunkHeaderSize = 64
	chunkFooterSize = 64
	indexEntrySize  = 32

	chunkMagic  = 0x48435352 // "RSCH"
	footerMagic = 0x46435352 // "RSCF"
)

// identity seeds the checksums of one file.
type identity uint32

func newIdentity(id raftlog.LogID, number uint64) identity {
	return identityIn(make([]byte, 16), id, number)
}

// identityIn is newIdentity with 16 bytes to work in, which it overwrites.
func identityIn(b []byte, id raftlog.LogID, number uint64) identity {
	binary.LittleEndian.PutUint64(b[0:], uint64(id))
	binary.LittleEndian.PutUint64(b[8:], number)
	return identity(checksum(0, b[:16]))
}

// checksum continues the CRC-32C seed over b. MakeTable returns the one table that exists of
// the Castagnoli polynomial; it builds nothing.
func checksum(seed identity, b []byte) uint32 {
	return crc32.Update(uint32(seed), crc32.MakeTable(crc32.Castagnoli), b)
}

// chunk is what a chunk's header and footer say.
type chunk struct {
	block, blocks  uint32
	count, payload uint32
	first, last    raftlog.Index
	prevLast       raftlog.Index
	before         uint32
	indexSum       uint32
}

// chunkSize is the length in bytes of a chunk with count entries and payload bytes.
func chunkSize(count, payload int) int {
	return alignUp(chunkHeaderSize + count*indexEntrySize + payload + chunkFooterSize)
}

func (c *chunk) put(b []byte, magic uint32, id identity) {
	_ = b[chunkHeaderSize-1]
	binary.LittleEndian.PutUint32(b[4:], magic)
	binary.LittleEndian.PutUint32(b[8:], c.block)
	binary.LittleEndian.PutUint32(b[12:], c.blocks)
	binary.LittleEndian.PutUint32(b[16:], c.count)
	binary.LittleEndian.PutUint32(b[20:], c.payload)
	binary.LittleEndian.PutUint64(b[24:], uint64(c.first))
	binary.LittleEndian.PutUint64(b[32:], uint64(c.last))
	binary.LittleEndian.PutUint64(b[40:], uint64(c.prevLast))
	binary.LittleEndian.PutUint32(b[48:], c.before)
	binary.LittleEndian.PutUint32(b[52:], c.indexSum)
	binary.LittleEndian.PutUint64(b[56:], 0)
	binary.LittleEndian.PutUint32(b[0:], checksum(id, b[4:chunkHeaderSize]))
}

// decodeChunk reads a header or footer, according to magic.
func decodeChunk(b []byte, magic uint32, id identity) (chunk, bool) {
	if len(b) < chunkHeaderSize || binary.LittleEndian.Uint32(b[4:]) != magic ||
		binary.LittleEndian.Uint32(b) != checksum(id, b[4:chunkHeaderSize]) {
		return chunk{}, false
	}
	c := chunk{
		block:    binary.LittleEndian.Uint32(b[8:]),
		blocks:   binary.LittleEndian.Uint32(b[12:]),
		count:    binary.LittleEndian.Uint32(b[16:]),
		payload:  binary.LittleEndian.Uint32(b[20:]),
		first:    raftlog.Index(binary.LittleEndian.Uint64(b[24:])),
		last:     raftlog.Index(binary.LittleEndian.Uint64(b[32:])),
		prevLast: raftlog.Index(binary.LittleEndian.Uint64(b[40:])),
		before:   binary.LittleEndian.Uint32(b[48:]),
		indexSum: binary.LittleEndian.Uint32(b[52:]),
	}
	return c, c.sound()
}

// sound rejects fields that contradict each other, so that no later arithmetic overflows.
func (c *chunk) sound() bool {
	need := uint64(c.count)*indexEntrySize + uint64(c.payload) + chunkHeaderSize + chunkFooterSize
	size := uint64(c.blocks) * BlockSize
	return c.block > 0 && c.count > 0 && need <= size && size-need < BlockSize &&
		c.first > 0 && c.first <= c.last && c.last+1 > 0 && uint64(c.last-c.first) >= uint64(c.count)-1 &&
		c.end() > c.block
}

// end is the block behind the chunk; it wraps below block when the sum overflows.
func (c *chunk) end() uint32 { return c.block + c.blocks }

func (c *chunk) offset() int64 { return int64(c.block) * BlockSize }

func (c *chunk) indexOffset() int64 { return c.offset() + chunkHeaderSize }

func (c *chunk) payloadOffset() int64 {
	return c.indexOffset() + int64(c.count)*indexEntrySize
}

func alignUp(n int) int { return (n + BlockSize - 1) &^ (BlockSize - 1) }

// indexEntry is one entry of an index array.
type indexEntry struct {
	index          raftlog.Index
	term           raftlog.Term
	offset, length uint32
	crc            uint32
	typ            uint8
}

func (e *indexEntry) put(b []byte) {
	_ = b[indexEntrySize-1]
	binary.LittleEndian.PutUint64(b[0:], uint64(e.index))
	binary.LittleEndian.PutUint64(b[8:], uint64(e.term))
	binary.LittleEndian.PutUint32(b[16:], e.offset)
	binary.LittleEndian.PutUint32(b[20:], e.length)
	binary.LittleEndian.PutUint32(b[24:], e.crc)
	binary.LittleEndian.PutUint32(b[28:], uint32(e.typ))
}

func decodeIndexEntry(b []byte) indexEntry {
	_ = b[indexEntrySize-1]
	return indexEntry{
		index:  raftlog.Index(binary.LittleEndian.Uint64(b[0:])),
		term:   raftlog.Term(binary.LittleEndian.Uint64(b[8:])),
		offset: binary.LittleEndian.Uint32(b[16:]),
		length: binary.LittleEndian.Uint32(b[20:]),
		crc:    binary.LittleEndian.Uint32(b[24:]),
		typ:    b[28],
	}
}
