package segment

import (
	"cmp"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// index is what a Reader keeps in memory: 16 bytes per entry, and a run per stretch of
// consecutive indexes with one term in one chunk.
type index struct {
	runs  []run  // ascending, disjoint
	slots []slot // of all chunks, superseded ones included
	// damage holds disjoint ascending ranges that are refused; it takes precedence over runs.
	damage []*CorruptError
}

type run struct {
	first raftlog.Index
	n     uint32 // entries
	slot  uint32 // of first
	term  raftlog.Term
	base  int64 // file offset of the chunk's payloads
}

func (r *run) last() raftlog.Index { return r.first + raftlog.Index(r.n) - 1 }

type slot struct {
	offset, length uint32
	crc            uint32
	typ            uint8
}

// location is where an entry is.
type location struct {
	term raftlog.Term
	off  int64
	slot
}

// supersede forgets everything at or above i.
func (x *index) supersede(i raftlog.Index) {
	for n := len(x.runs); n > 0 && x.runs[n-1].last() >= i; n-- {
		if last := &x.runs[n-1]; last.first < i {
			last.n = uint32(i - last.first)
			break
		}
		x.runs = x.runs[:n-1]
	}
	for n := len(x.damage); n > 0 && x.damage[n-1].Range.Last >= i; n-- {
		if last := x.damage[n-1]; last.Range.First < i {
			last.Range.Last = i - 1
			break
		}
		x.damage = x.damage[:n-1]
	}
}

// add appends an entry above all others.
func (x *index) add(e indexEntry, base int64) {
	x.slots = append(x.slots, slot{e.offset, e.length, e.crc, e.typ})
	if n := len(x.runs); n > 0 {
		if r := &x.runs[n-1]; r.base == base && r.term == e.term && r.last()+1 == e.index {
			r.n++
			return
		}
	}
	x.runs = append(x.runs, run{first: e.index, n: 1, slot: uint32(len(x.slots) - 1), term: e.term, base: base})
}

// clip confines damage to the range that counts.
func (x *index) clip(rng raftlog.Range) {
	kept := x.damage[:0]
	for _, d := range x.damage {
		if d.Range = d.Range.Intersect(rng); !d.Range.Empty() {
			kept = append(kept, d)
		}
	}
	x.damage = kept
}

// refuse adds a damaged range that nothing later superseded, and merges what it overlaps.
func (x *index) refuse(d *CorruptError) {
	if d.Range.Empty() {
		return
	}
	kept := x.damage[:0]
	for _, o := range x.damage {
		if o.Range.First > d.Range.Last || o.Range.Last < d.Range.First {
			kept = append(kept, o)
			continue
		}
		d.Range = raftlog.Range{First: min(d.Range.First, o.Range.First), Last: max(d.Range.Last, o.Range.Last)}
	}
	x.damage = append(kept, d)
	slices.SortFunc(x.damage, func(a, b *CorruptError) int { return cmp.Compare(a.Range.First, b.Range.First) })
}

// damageAt returns the damage that hits i, or the next above it, or nil.
func (x *index) damageAt(i raftlog.Index) *CorruptError {
	n, _ := slices.BinarySearchFunc(x.damage, i, func(d *CorruptError, i raftlog.Index) int {
		return cmp.Compare(d.Range.Last, i)
	})
	if n == len(x.damage) {
		return nil
	}
	return x.damage[n]
}

// runAt returns the position of the run that holds i, or of the next above it.
func (x *index) runAt(i raftlog.Index) int {
	n, _ := slices.BinarySearchFunc(x.runs, i, func(r run, i raftlog.Index) int {
		return cmp.Compare(r.last(), i)
	})
	return n
}

func (x *index) find(i raftlog.Index) (location, error) {
	if d := x.damageAt(i); d != nil && d.Range.Contains(i) {
		return location{}, d
	}
	n := x.runAt(i)
	if n == len(x.runs) || x.runs[n].first > i {
		return location{}, ErrNotFound
	}
	return x.at(&x.runs[n], i), nil
}

func (x *index) at(r *run, i raftlog.Index) location {
	s := x.slots[r.slot+uint32(i-r.first)]
	return location{term: r.term, off: r.base + int64(s.offset), slot: s}
}
