package memtable

import (
	"sync/atomic"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// MaxPayload is the longest payload a table takes, in bytes.
const MaxPayload = 64 << 20

// MaxIndex is the highest index a table takes; the one above it is kept free so
// that "the next index" always exists.
const MaxIndex = ^raftlog.Index(0) - 1

// Table is the in-memory tail of one log. See the package comment for who may
// call what; a Table is made by New and must not be copied.
type Table struct {
	tail    atomic.Pointer[tail] // nil while nothing is held, except in sparse
	sparse  atomic.Pointer[sparse]
	first   atomic.Uint64
	last    atomic.Uint64
	durable atomic.Uint64
	bytes   atomic.Int64
	pool    *Pool // nil when payload memory is not used again; fixed
}

// New is Pool.New without a Pool: the table's memory goes to the garbage collector only.
func New(first raftlog.Index) *Table {
	first = max(first, 1)
	t := &Table{}
	t.first.Store(uint64(first))
	t.last.Store(uint64(first - 1))
	return t
}

// First is the lowest index not released, Last()+1 when no entry is held. It never falls.
func (t *Table) First() raftlog.Index { return raftlog.Index(t.first.Load()) }

// Last is the highest index ever appended, released or not; one below the first
// index of New when there was none. It never falls.
func (t *Table) Last() raftlog.Index { return raftlog.Index(t.last.Load()) }

// Range returns the indexes held, without those kept by PutSparse; the zero Range
// when there are none. Beside a concurrent Release it may include indexes that are
// already gone, never the reverse.
func (t *Table) Range() raftlog.Range {
	// In this order: first can only have been lower when last was.
	r := raftlog.Range{First: t.First(), Last: t.Last()}
	if r.Empty() {
		return raftlog.Range{}
	}
	return r
}

// Durable is the highest index that SetDurable was given, 0 before the first
// call: a new table claims nothing, whatever its first index.
func (t *Table) Durable() raftlog.Index { return raftlog.Index(t.durable.Load()) }

// SetDurable records that every index up to last is durable. The position never
// falls: a lower value than the present one changes nothing. Any goroutine.
func (t *Table) SetDurable(last raftlog.Index) {
	for {
		old := t.durable.Load()
		if uint64(last) <= old || t.durable.CompareAndSwap(old, uint64(last)) {
			return
		}
	}
}

// Bytes is the memory held for slots and payloads, in bytes, by what is allocated
// and not by what is used. Payloads that only readers still reference do not count.
func (t *Table) Bytes() int64 { return t.bytes.Load() }
