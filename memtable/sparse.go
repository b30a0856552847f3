package memtable

import (
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// sparse is an immutable list of entries by ascending index. Each has its own payload memory.
type sparse struct{ entries []sparseEntry }

type sparseEntry struct {
	entry raftlog.Entry
	crc   uint32
}

// sparseBytes is what an entry costs beside its payload.
const sparseBytes = 56

func (e sparseEntry) bytes() int64 { return sparseBytes + int64(len(e.entry.Data)) }

// PutSparse keeps entries beside the tail, each under its own index up to Last(), where
// Release does not touch them: the live entries below a snapshot. Indexes ascend and may
// have gaps. An index that is already kept with the same term is passed over. Payloads
// are copied. Costs O(entries kept), so callers put many at once. Errors, before
// anything is stored: ErrGap when the order is wrong or an index is 0 or above Last(),
// ErrTooLarge, ErrConflict when the table holds the index with another term. Writer
// only.
func (t *Table) PutSparse(entries []raftlog.Entry) error {
	if err := t.acceptSparse(entries); err != nil {
		return err
	}
	var old []sparseEntry
	if sp := t.sparse.Load(); sp != nil {
		old = sp.entries
	}
	out := make([]sparseEntry, 0, len(old)+len(entries))
	var added int64
	for _, e := range entries {
		k, found := searchSparse(old, e.Index)
		out, old = append(out, old[:k]...), old[k:]
		if found {
			continue
		}
		e.Data = slices.Clip(append([]byte(nil), e.Data...))
		s := sparseEntry{entry: e, crc: sum(e.Data)}
		out = append(out, s)
		added += s.bytes()
	}
	t.storeSparse(append(out, old...))
	t.bytes.Add(added)
	return nil
}

func (t *Table) acceptSparse(entries []raftlog.Entry) error {
	prev, last := raftlog.Index(0), t.Last()
	for _, e := range entries {
		if e.Index <= prev || e.Index > last {
			return fmt.Errorf("%w: sparse index %d after %d, at most %d", ErrGap, e.Index, prev, last)
		}
		if len(e.Data) > MaxPayload {
			return fmt.Errorf("%w: %d bytes at index %d, at most %d", ErrTooLarge, len(e.Data), e.Index, MaxPayload)
		}
		if term, ok := t.Term(e.Index); ok && term != e.Term {
			return fmt.Errorf("%w: %v against term %d", ErrConflict, e.ID(), term)
		}
		prev = e.Index
	}
	return nil
}

// ReleaseSparse drops the entries kept by PutSparse for whose index gone returns true. It does
// not touch the tail. Writer only.
func (t *Table) ReleaseSparse(gone func(raftlog.Index) bool) {
	sp := t.sparse.Load()
	if sp == nil {
		return
	}
	kept := make([]sparseEntry, 0, len(sp.entries))
	var dropped int64
	for _, s := range sp.entries {
		if gone(s.entry.Index) {
			dropped += s.bytes()
		} else {
			kept = append(kept, s)
		}
	}
	if dropped == 0 {
		return
	}
	t.storeSparse(slices.Clip(kept))
	t.bytes.Add(-dropped)
}

// Sparse returns the indexes kept by PutSparse. It allocates.
func (t *Table) Sparse() raftlog.Seq {
	var s raftlog.Seq
	if sp := t.sparse.Load(); sp != nil {
		for k := range sp.entries {
			s.Add(sp.entries[k].entry.Index)
		}
	}
	return s
}

func (t *Table) storeSparse(entries []sparseEntry) {
	if len(entries) == 0 {
		t.sparse.Store(nil)
		return
	}
	t.sparse.Store(&sparse{entries: entries})
}

func (t *Table) findSparse(i raftlog.Index) *sparseEntry {
	sp := t.sparse.Load()
	if sp == nil {
		return nil
	}
	if k, found := searchSparse(sp.entries, i); found {
		return &sp.entries[k]
	}
	return nil
}

// searchSparse returns where i is, or would be inserted, and whether it is there.
func searchSparse(entries []sparseEntry, i raftlog.Index) (int, bool) {
	lo, hi := 0, len(entries)
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); entries[mid].entry.Index < i {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(entries) && entries[lo].entry.Index == i
}
