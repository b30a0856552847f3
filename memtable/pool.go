package memtable

import (
	"math/bits"
	"sync"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// Pool makes tables, and keeps payload memory that they let go of for those that need some next:
// entries that are released soon are then written to memory that the processor's caches know, and
// nothing is allocated for them. What no table has taken again counts for none, see Table.Bytes, and is
// left to the garbage collector, which takes it when two collections have passed. The
// zero Pool is ready; its methods are for any goroutine. It must not be copied.
type Pool struct {
	classes [chunkClasses]sync.Pool // of *chunk; chunkClass says of which length
}

// The pool keeps chunks of nine to sixteen times a power of two, so that a payload with a chunk of its
// own leaves at most an eighth of it unused. Ordinary chunks are among them.
const (
	chunkSteps   = 8   // lengths from one power of two to the next
	chunkClasses = 160 // up to MaxPayload
)

// New returns an empty table whose first entry must have index first, which is 1 or more; 0 counts
// as 1.
func (p *Pool) New(first raftlog.Index) *Table {
	t := New(first)
	t.pool = p
	return t
}

// chunkPower is the power of two below size; sizes are steps of an eighth of it above.
func chunkPower(size int) int { return bits.Len(uint(size-1)) - 1 }

// roundChunk returns the least length of the pool's that is not below size, which is at least firstChunk.
func roundChunk(size int) int {
	step := 1 << chunkPower(size) / chunkSteps
	return (size + step - 1) / step * step
}

// chunkClass numbers the lengths of the pool's.
func chunkClass(size int) int {
	power := chunkPower(size)
	return (power-chunkPower(firstChunk))*chunkSteps + size*chunkSteps>>power - chunkSteps - 1
}

// take returns a chunk of size bytes, one of the pool's lengths. A nil Pool allocates any.
func (p *Pool) take(size int) *chunk {
	if p != nil {
		if c, ok := p.classes[chunkClass(size)].Get().(*chunk); ok {
			c.charge = int64(size)
			return c
		}
	}
	return &chunk{mem: make([]byte, size), charge: int64(size), whole: true}
}

// takeAlone returns a chunk for one payload of n bytes, a long one. Without a Pool it is as long as that.
func (p *Pool) takeAlone(n int) *chunk {
	if p != nil {
		n = roundChunk(n)
	}
	return p.take(n)
}

// put takes a chunk that its directory does not have any more. One that was lent may have readers,
// and one that is not whole shares its memory: those are not for others. See lend.
func (p *Pool) put(c *chunk) {
	if p != nil && c.whole && !c.lent.Load() {
		p.classes[chunkClass(len(c.mem))].Put(c)
	}
}
