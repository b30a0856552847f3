package memtable

import "sync/atomic"

// directory is a queue of pointers numbered from 0 in the order of their arrival.
// The writer adds at the end and drops at the front; readers look up by number.
type directory[T any] struct {
	view atomic.Pointer[directoryView[T]]
	// Owned by the writer.
	head, size int // within the view: [head, size) are present, those before head are nil
}

// directoryView is one allocation of a directory. A reader with an outdated view
// still finds everything that was present when the view was replaced.
type directoryView[T any] struct {
	base uint64 // number of ptrs[0]
	ptrs []atomic.Pointer[T]
}

// minView is the length of a directory's first view.
const minView = 4

// keptView is up to which length a view is larger than the one that it replaces.
const keptView = 32

// get returns pointer number n, or nil when it was dropped or is not there yet.
func (d *directory[T]) get(n uint64) *T {
	v := d.view.Load()
	if v == nil {
		return nil
	}
	return v.get(n)
}

func (v *directoryView[T]) get(n uint64) *T {
	if n -= v.base; n < uint64(len(v.ptrs)) { // below base wraps to beyond the end
		return v.ptrs[n].Load()
	}
	return nil
}

// next is the number that the next push will take.
func (d *directory[T]) next() uint64 {
	v := d.view.Load()
	if v == nil {
		return 0
	}
	return v.base + uint64(d.size)
}

// len is for how many pointers the directory has memory.
func (d *directory[T]) len() int {
	v := d.view.Load()
	if v == nil {
		return 0
	}
	return len(v.ptrs)
}

// empty reports whether nothing is present.
func (d *directory[T]) empty() bool { return d.head == d.size }

// push adds p at the end. A full view is replaced by one without the dropped
// front and with room for three times as many again, so that a push costs O(1) on average. It is
// also larger than the one before up to keptView, for directories that are filled and emptied.
func (d *directory[T]) push(p *T) {
	v := d.view.Load()
	if v == nil || d.size == len(v.ptrs) {
		v = d.grown(v)
	}
	v.ptrs[d.size].Store(p)
	d.size++
	if d.view.Load() != v {
		d.view.Store(v)
	}
}

func (d *directory[T]) grown(v *directoryView[T]) *directoryView[T] {
	if v == nil {
		return &directoryView[T]{ptrs: make([]atomic.Pointer[T], minView)}
	}
	live := d.size - d.head
	out := &directoryView[T]{
		base: v.base + uint64(d.head),
		ptrs: make([]atomic.Pointer[T], max(minView, 4*live, min(2*len(v.ptrs), keptView))),
	}
	for k := range live {
		out.ptrs[k].Store(v.ptrs[d.head+k].Load())
	}
	d.head, d.size = 0, live
	return out
}

// replaceNewest puts p in the place of the pointer pushed last, under its number.
func (d *directory[T]) replaceNewest(p *T) { d.view.Load().ptrs[d.size-1].Store(p) }

// oldest returns the pointer at the front. The directory must not be empty.
func (d *directory[T]) oldest() *T { return d.view.Load().ptrs[d.head].Load() }

// dropOldest removes the pointer at the front. The directory must not be empty.
func (d *directory[T]) dropOldest() {
	d.view.Load().ptrs[d.head].Store(nil)
	d.head++
}
