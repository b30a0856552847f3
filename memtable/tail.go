package memtable

import "github.com/rawl-db/rawl/internal/raftlog"

// slot describes one entry. It holds no pointer, so that the garbage collector
// skips blocks of them.
type slot struct {
	term   raftlog.Term
	chunk  uint32 // number of the arena chunk, its low 32 bits; without meaning when length is 0
	offset uint32 // of the payload in its chunk, in bytes
	length uint32 // of the payload, in bytes
	crc    uint32 // CRC-32C of the payload
	kind   uint8  // the entry's Type
}

const (
	slotBytes = 32

	blockShift = 6
	blockSlots = 1 << blockShift
	blockMask  = blockSlots - 1
	// firstBlockSlots is how small the first block of a tail begins; it doubles
	// until it is as large as every other, so that a log of few entries stays small.
	firstBlockSlots = 8
)

// block is a run of slots for consecutive indexes. Only the first block of a tail may
// have fewer than blockSlots, and only while it is the newest.
type block struct{ slots []slot }

// wholeBlock is a block of full length and its slots in one allocation.
type wholeBlock struct {
	block
	slots [blockSlots]slot
}

func newBlock(slots int) *block {
	if slots < blockSlots {
		return &block{slots: make([]slot, slots)}
	}
	w := &wholeBlock{}
	w.block.slots = w.slots[:]
	return &w.block
}

// tail is one uninterrupted run of entries: slots and the payloads they point to.
// A table that becomes empty drops its tail whole and begins another.
type tail struct {
	origin raftlog.Index // of slot 0; fixed
	pool   *Pool         // where chunks come from and go to; fixed, may be nil
	blocks directory[block]
	chunks directory[chunk]
	// Owned by the writer.
	newest *block // the last of blocks
	open   *chunk // takes further payloads; nil when none has room
	free   []byte // what open has left
	used   int    // bytes of open in use
	number uint32 // of open, its low 32 bits
	held   int64  // bytes of slots and chunks
}

func newTail(origin raftlog.Index, p *Pool) *tail { return &tail{origin: origin, pool: p} }

// find returns the slot of i, or nil when it was released. The caller has seen
// i at or below last.
func (tl *tail) find(i raftlog.Index) *slot {
	n := uint64(i - tl.origin) // below origin wraps to far beyond any block
	b := tl.blocks.get(n >> blockShift)
	if b == nil {
		return nil
	}
	return &b.slots[n&blockMask]
}

// put stores the entry and its checksum at e.Index, the next free one, and returns the stored
// payload and the checksum. Readers do not see it before last is raised. Writer only.
func (tl *tail) put(e *raftlog.Entry, crc uint32, known bool) ([]byte, uint32) {
	s := tl.nextSlot(e.Index)
	s.term, s.kind = e.Term, e.Type
	if len(e.Data) == 0 {
		return nil, 0 // the CRC-32C of nothing is 0
	}
	at, data := tl.reserve(len(e.Data), e.Index)
	if known {
		copy(data, e.Data)
	} else {
		crc = copySum(data, e.Data)
	}
	s.chunk, s.offset, s.length, s.crc = at.chunk, at.offset, uint32(len(data)), crc
	return data[:len(data):len(data)], crc
}

// nextSlot returns the slot for i, the index after the newest one, making room for it first.
func (tl *tail) nextSlot(i raftlog.Index) *slot {
	n := uint64(i-tl.origin) & blockMask
	if b := tl.newest; b != nil && 0 < n && n < uint64(len(b.slots)) {
		return &b.slots[n]
	}
	switch {
	case tl.newest == nil:
		tl.newest = newBlock(firstBlockSlots)
		tl.blocks.push(tl.newest)
		tl.held += firstBlockSlots * slotBytes
	case n == 0:
		tl.newest = newBlock(blockSlots)
		tl.blocks.push(tl.newest)
		tl.held += blockSlots * slotBytes
	default:
		old := tl.newest.slots
		tl.newest = newBlock(2 * len(old))
		copy(tl.newest.slots, old)
		tl.blocks.replaceNewest(tl.newest)
		tl.held += int64(len(old)) * slotBytes
	}
	return &tl.newest.slots[n]
}

// release drops blocks and chunks that hold nothing at or above first. Writer only.
func (tl *tail) release(first raftlog.Index) {
	done := uint64(first-tl.origin) >> blockShift // blocks below this number are released
	for base := tl.blocks.next() - uint64(tl.blocks.size-tl.blocks.head); base < done && !tl.blocks.empty(); base++ {
		b := tl.blocks.oldest()
		if b == tl.newest {
			break
		}
		tl.held -= int64(len(b.slots)) * slotBytes
		tl.blocks.dropOldest()
	}
	for !tl.chunks.empty() {
		c := tl.chunks.oldest()
		if c == tl.open || c.last >= first {
			break
		}
		tl.dropOldestChunk(c)
	}
}

// dropOpen drops the open chunk, in which nothing is held any more, nor in any other. next is the
// index that comes next. Writer only.
func (tl *tail) dropOpen(next raftlog.Index) {
	if c := tl.open; c != nil {
		tl.setOpen(nil, next)
		tl.dropOldestChunk(c)
	}
}

// large reports whether the directories have grown beyond what an empty tail should keep.
func (tl *tail) large() bool { return tl.blocks.len() > keptView || tl.chunks.len() > keptView }

// dropOldestChunk drops c, which is the oldest.
func (tl *tail) dropOldestChunk(c *chunk) {
	tl.held -= c.charge
	tl.chunks.dropOldest()
	tl.pool.put(c)
}
