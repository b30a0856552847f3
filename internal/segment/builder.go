package segment

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/invariants"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// Place says where a chunk goes.
type Place struct {
	ID     raftlog.LogID
	Number uint64
	// Offset is where in the file, in bytes: a multiple of BlockSize, at least BlockSize.
	Offset int64
	// Before counts the entries written to the file before, superseded ones included.
	Before uint32
	// PrevLast is the last index that counts in the file so far, 0 for none.
	PrevLast raftlog.Index
}

// Builder collects the entries of one chunk and encodes them into a caller's buffer. It
// allocates only while it grows to the largest chunk it has held. One goroutine at a time.
type Builder struct {
	entries []builderEntry
	payload int
}

type builderEntry struct {
	e   raftlog.Entry
	crc uint32
}

// Reset forgets all entries and the references to their payloads.
func (b *Builder) Reset() {
	clear(b.entries)
	b.entries, b.payload = b.entries[:0], 0
}

// Count is the number of entries added.
func (b *Builder) Count() int { return len(b.entries) }

// Size is the length in bytes of the chunk so far, padding included; 0 when it is empty.
func (b *Builder) Size() int {
	if len(b.entries) == 0 {
		return 0
	}
	return chunkSize(len(b.entries), b.payload)
}

// SizeWith is the length that Size would return after a payload of n more bytes.
func (b *Builder) SizeWith(n int) int { return chunkSize(len(b.entries)+1, b.payload+n) }

// First is the lowest index added; valid when Count is not 0.
func (b *Builder) First() raftlog.Index { return b.entries[0].e.Index }

// Last is the highest index added; valid when Count is not 0.
func (b *Builder) Last() raftlog.Index { return b.entries[len(b.entries)-1].e.Index }

// Add appends an entry, whose index must be above all others, at least 1, and whose payload
// must have the checksum crc. Data is referenced until Encode or Reset. The error says that
// the payload is longer than MaxEntryBytes or the index out of order; nothing was added then.
func (b *Builder) Add(e raftlog.Entry, crc uint32) error {
	if len(e.Data) > MaxEntryBytes {
		return fmt.Errorf("segment: entry %d has %d bytes, at most %d", e.Index, len(e.Data), MaxEntryBytes)
	}
	if n := len(b.entries); e.Index == 0 || e.Index+1 == 0 || n > 0 && e.Index <= b.entries[n-1].e.Index {
		return fmt.Errorf("segment: entry %d out of order", e.Index)
	}
	b.entries = append(b.entries, builderEntry{e, crc})
	b.payload += len(e.Data)
	return nil
}

// ChunkSize is the length in bytes of a chunk of count entries with payload bytes in all.
func ChunkSize(count, payload int) int { return chunkSize(count, payload) }

// PayloadOffset is where the payloads begin in a chunk of count entries, in bytes from its start.
func PayloadOffset(count int) int { return chunkHeaderSize + count*indexEntrySize }

// EntryBytes is what an entry takes in a chunk beside its payload, in bytes.
const EntryBytes = indexEntrySize

// Encode writes the chunk to buf, which must hold Size bytes, resets the Builder and returns
// the bytes written. There must be at least one entry. Payloads may lie in buf already, if in
// the place where they belong: one behind the other from PayloadOffset on.
func (b *Builder) Encode(buf []byte, p Place) []byte {
	size := b.Size()
	buf = buf[:size:size]
	id := identityIn(buf, p.ID, p.Number)
	payloads := chunkHeaderSize + len(b.entries)*indexEntrySize
	at := payloads
	for i := range b.entries {
		e := &b.entries[i]
		x := indexEntry{index: e.e.Index, term: e.e.Term, offset: uint32(at - payloads),
			length: uint32(len(e.e.Data)), crc: e.crc, typ: e.e.Type}
		x.put(buf[chunkHeaderSize+i*indexEntrySize:])
		at += copy(buf[at:], e.e.Data)
	}
	clear(buf[at : size-chunkFooterSize])
	c := chunk{
		block:    uint32(p.Offset / BlockSize),
		blocks:   uint32(size / BlockSize),
		count:    uint32(len(b.entries)),
		payload:  uint32(b.payload),
		first:    b.First(),
		last:     b.Last(),
		prevLast: p.PrevLast,
		before:   p.Before,
		indexSum: checksum(id, buf[chunkHeaderSize:payloads]),
	}
	if invariants.Enabled && (!c.sound() || c.offset() != p.Offset) {
		panic(fmt.Sprintf("segment: unsound chunk %+v at %d", c, p.Offset))
	}
	c.put(buf, chunkMagic, id)
	c.put(buf[size-chunkFooterSize:], footerMagic, id)
	b.Reset()
	return buf
}
