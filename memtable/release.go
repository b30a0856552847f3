package memtable

import (
	"github.com/rawl-db/rawl/internal/invariants"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// keepBytes is what an emptied table keeps for its next entries: a full block and the
// smallest chunk. Dropping that much again and again would cost more than the entries. A larger chunk
// goes to those that have entries.
const keepBytes = blockSlots*slotBytes + minChunk

// Release ends the reading of every index up to upTo, which is taken as Last() when it
// is higher, and drops the memory that holds nothing else; entries kept by PutSparse
// stay. A released index is never appended again. Slices that readers already hold
// remain valid. Writer only.
func (t *Table) Release(upTo raftlog.Index) {
	last := t.Last()
	upTo = min(upTo, last)
	if upTo < t.First() {
		return
	}
	t.first.Store(uint64(upTo) + 1)
	tl := t.tail.Load()
	held := tl.held
	tl.release(upTo + 1)
	if upTo == last && tl.held > keepBytes {
		tl.dropOpen(last + 1)
	}
	t.bytes.Add(tl.held - held)
	if upTo == last && tl.large() {
		t.dropTail()
	}
	if invariants.Enabled {
		t.check()
	}
}

// Trim drops the little memory that Release leaves to an empty table for its next
// entries. It is for logs that have gone idle, and does nothing while an entry is held.
// Writer only.
func (t *Table) Trim() {
	if t.First() > t.Last() && t.tail.Load() != nil {
		t.dropTail()
	}
}

func (t *Table) dropTail() {
	t.bytes.Add(-t.tail.Load().held)
	t.tail.Store(nil)
}
