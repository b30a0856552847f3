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
	classes [chunkClasses]sync.Pool // of *chunk with minChunk<<class bytes
}

// chunkClasses is the number of sizes of ordinary chunks.
const chunkClasses = 9

// New returns an empty table whose first entry must have index first, which is 1 or more; 0 counts
// as 1.
func (p *Pool) New(first raftlog.Index) *Table {
	t := New(first)
	t.pool = p
	return t
}

func chunkClass(size int) int { return bits.Len(uint(size)) - bits.Len(minChunk) }

// take returns a chunk of size bytes, an ordinary one. A nil Pool allocates it.
func (p *Pool) take(size int) *chunk {
	if p != nil {
		if c, ok := p.classes[chunkClass(size)].Get().(*chunk); ok {
			c.charge = int64(size)
			return c
		}
	}
	return &chunk{mem: make([]byte, size), charge: int64(size), whole: true}
}

// put takes a chunk that its directory does not have any more. One that was lent may have readers,
// and one that is not whole shares its memory: those are not for others. See lend.
func (p *Pool) put(c *chunk) {
	if p != nil && c.whole && !c.lent.Load() {
		p.classes[chunkClass(len(c.mem))].Put(c)
	}
}
