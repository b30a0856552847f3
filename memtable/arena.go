package memtable

import (
	"hash/crc32"
	"sync/atomic"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// castagnoli is the polynomial of every payload checksum.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	// firstChunk is the least size of a tail's first chunk, minChunk that of the others: many logs never hold more than
	// what begins a term.
	firstChunk = 128
	minChunk   = 4 << 10
	maxChunk   = 1 << 20
	// growth is how many times the size of a new chunk the tail holds already, about: a log that
	// is released as it grows stays in little memory, which the processor's caches then know.
	growth = 2
	// ownChunk is the payload length from which a payload that finds no room gets a chunk of
	// its size, see Pool.takeAlone. Shorter ones go to ordinary chunks, which lose less than a
	// quarter to what does not fit.
	ownChunk = 256 << 10
	// minRest is the least room worth keeping a chunk open for behind a payload
	// with its own chunk.
	minRest = 512
)

// chunk is a numbered piece of the arena. Its bytes are written once, before the
// entry they belong to is published; again only when it comes from a Pool.
type chunk struct {
	mem []byte
	// lent is set by a reader before it looks at mem, and never cleared: a chunk that was lent does
	// not return to the Pool.
	lent atomic.Bool
	// Owned by the writer.
	whole  bool          // of a size that the Pool keeps, and nobody else has a part of mem
	last   raftlog.Index // highest index with a payload in it; of the open chunk not known yet
	charge int64         // bytes that dropping the chunk gives back
}

// place is where a payload lies.
type place struct{ chunk, offset uint32 }

// reserve returns room in the arena for n payload bytes of index i, at least one, and where it
// lies. Writer only.
func (tl *tail) reserve(n int, i raftlog.Index) (place, []byte) {
	if n > len(tl.free) {
		if n >= ownChunk {
			return tl.reserveAlone(n, i)
		}
		tl.openChunk(n, i)
	}
	at, room := tl.used, tl.free[:n]
	tl.used, tl.free = at+n, tl.free[n:]
	return place{chunk: tl.number, offset: uint32(at)}, room
}

// openChunk begins an ordinary chunk with room for need bytes, index i being the first in it.
func (tl *tail) openChunk(need int, i raftlog.Index) {
	size := minChunk
	if tl.chunks.next() == 0 {
		size = firstChunk
	}
	for size < need || size < maxChunk && int64(size) < tl.held/growth {
		size *= 2
	}
	tl.setOpen(tl.pool.take(size), i)
	tl.number = uint32(tl.chunks.next())
	tl.chunks.push(tl.open)
	tl.held += int64(size)
}

// setOpen makes c, nil for none, the open chunk, from index i on.
func (tl *tail) setOpen(c *chunk, i raftlog.Index) {
	if tl.open != nil && tl.open != c {
		tl.open.last = i - 1
	}
	tl.open, tl.used, tl.free = c, 0, nil
	if c != nil {
		tl.free = c.mem
	}
}

// reserveAlone gives a long payload a chunk of its own. Chunks must be in the order of the
// indexes they hold, so that they are released from the front; the room left in the open
// chunk is therefore cut off and follows as another chunk, which takes over the charge
// because it keeps the memory of both alive.
func (tl *tail) reserveAlone(n int, i raftlog.Index) (place, []byte) {
	own := tl.pool.takeAlone(n)
	own.last = i
	tl.held += own.charge

	rest := tl.rest()
	if rest != nil && rest == tl.open {
		tl.chunks.replaceNewest(own) // no slot names the chunk that it replaces
	} else {
		tl.chunks.push(own)
	}
	at := place{chunk: uint32(tl.chunks.next() - 1)}
	tl.setOpen(rest, i)
	if rest != nil {
		tl.number = uint32(tl.chunks.next())
		tl.chunks.push(rest)
	}
	return at, own.mem[:n]
}

// rest returns what is free of the open chunk as a chunk of its own: the open
// chunk itself while it is unused, nil when there is too little.
func (tl *tail) rest() *chunk {
	c := tl.open
	if c == nil || len(tl.free) < minRest {
		return nil
	}
	if tl.used == 0 {
		return c
	}
	rest := &chunk{mem: tl.free, charge: c.charge}
	c.charge, c.whole = 0, false
	return rest
}

// payload returns the bytes of s, nil when it has none; ok is false when they were released.
func (tl *tail) payload(s *slot) (data []byte, ok bool) {
	if s.length == 0 {
		return nil, true
	}
	c := tl.lend(s.chunk)
	if c == nil {
		return nil, false
	}
	return c.slice(s), true
}

// lend is chunk for who will read what is in it, for as long as he likes. The writer takes a chunk
// out of the directory and then looks whether it was lent; the reader marks it and then looks whether
// it is still in the directory. One of both sees the other: what a reader gets is not written again.
func (tl *tail) lend(number uint32) *chunk {
	if c := tl.chunk(number); c != nil && tl.mark(c, number) {
		return c
	}
	return nil
}

// mark is lend for c, which was found as chunk number. It reports whether c is the reader's.
func (tl *tail) mark(c *chunk, number uint32) bool {
	if !c.lent.Load() {
		c.lent.Store(true)
	}
	return tl.chunk(number) == c
}

// chunk returns the chunk of that number, nil when it was released. Slots hold the
// low 32 bits of a number, which tell apart far more chunks than are held at once.
func (tl *tail) chunk(number uint32) *chunk {
	v := tl.chunks.view.Load()
	if v == nil {
		return nil
	}
	return v.get(v.base + uint64(number-uint32(v.base)))
}

// slice returns the payload of s, whose chunk c is, without room to append.
func (c *chunk) slice(s *slot) []byte {
	end := s.offset + s.length
	return c.mem[s.offset:end:end]
}

func sum(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

// sumBlock is what copySum copies at a time, in bytes: its checksum then finds it in the nearest cache.
const sumBlock = 4 << 10

// copySum copies src to dst, which is as long, and returns the checksum.
func copySum(dst, src []byte) (crc uint32) {
	for len(src) > 0 {
		n := copy(dst, src[:min(len(src), sumBlock)])
		crc = crc32.Update(crc, castagnoli, dst[:n])
		dst, src = dst[n:], src[n:]
	}
	return crc
}
