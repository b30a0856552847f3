package readplan

import (
	"iter"
	"runtime"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// Builder makes one plan of one log. One goroutine calls Memory, Segment and Missing, once for
// each index in the order of the request, and then Plan or Drop.
type Builder struct {
	b      *body
	latest raftlog.Index
}

// Begin returns a Builder. fail turns what reading an index met, ErrClosed, segment.ErrNotFound
// or an error of segment.Open and segment.Reader, into what the plan yields; it may be called by
// any goroutine. Errors: ErrClosed, and all violations of the options.
func (x *Executor) Begin(id raftlog.LogID, o Options, fail func(error, raftlog.Index) error) (*Builder, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if x.isClosed() {
		return nil, ErrClosed
	}
	return &Builder{b: &body{x: x, o: o, id: id, fail: fail, sorted: true}}, nil
}

// Reset forgets what was given so far, and makes room for n runs of indexes.
func (d *Builder) Reset(n int) {
	b := d.b
	b.unpin()
	b.items = slices.Grow(b.items[:0], n)
	b.memory, b.absent, b.bytes, b.n = b.memory[:0], b.absent[:0], 0, 0
	b.sorted, d.latest = true, 0
}

func (d *Builder) add(i raftlog.Index, kind itemKind, at int) {
	d.b.sorted = d.b.sorted && i >= d.latest
	d.latest = i
	d.b.n++
	d.b.items = append(d.b.items, item{index: i, kind: kind, at: uint32(at), n: 1})
}

// Memory adds an entry that is in memory. The plan keeps its Data alive, and never changes it.
func (d *Builder) Memory(e raftlog.Entry) {
	d.add(e.Index, inMemory, len(d.b.memory))
	d.b.memory = append(d.b.memory, e)
	d.b.bytes += int64(len(e.Data))
}

// Segment adds an index that segment s holds. It pins the file: that holds only if, after it
// returned, s is still listed.
func (d *Builder) Segment(i raftlog.Index, s raftlog.Segment) {
	d.Run(raftlog.Range{First: i, Last: i}, s)
}

// Run is Segment for every index of a range, which is not empty.
func (d *Builder) Run(rng raftlog.Range, s raftlog.Segment) {
	b := d.b
	at := d.pin(s)
	b.sorted = b.sorted && rng.First >= d.latest
	left := int(rng.Len())
	b.n += left
	if k := len(b.items) - 1; k >= 0 && rng.First == d.latest+1 {
		if it := &b.items[k]; it.kind == inSegment && it.at == uint32(at) {
			more := min(left, maxRun-int(it.n))
			it.n += uint16(more)
			left -= more
		}
	}
	for d.latest = rng.Last; left > 0; {
		n := min(left, maxRun)
		b.items = append(b.items, item{index: rng.Last - raftlog.Index(left) + 1, kind: inSegment, at: uint32(at), n: uint16(n)})
		left -= n
	}
}

// pin returns the place of s among the segments, whose file it pins.
func (d *Builder) pin(s raftlog.Segment) int {
	b := d.b
	n := len(b.segments) - 1
	if n < 0 || b.segments[n] != s {
		n = slices.Index(b.segments, s)
	}
	if n < 0 {
		n = len(b.segments)
		b.x.o.Cache.Pin(b.id, s.Number)
		b.segments = append(b.segments, s)
	}
	return n
}

// Missing adds an index that the log does not have, and why. The plan may leave it out.
func (d *Builder) Missing(i raftlog.Index, err error) {
	if !d.b.o.OmitMissing {
		d.Failed(i, err)
	}
}

// Failed adds an index that cannot be had, and why.
func (d *Builder) Failed(i raftlog.Index, err error) {
	d.add(i, missing, len(d.b.absent))
	d.b.absent = append(d.b.absent, err)
}

// Segments yields the segments that are pinned.
func (d *Builder) Segments() iter.Seq[raftlog.Segment] { return slices.Values(d.b.segments) }

// Drop gives back what is pinned.
func (d *Builder) Drop() { d.b.unpin() }

// Plan returns the plan. The Builder must not be used any more. Errors: ErrClosed, after which
// nothing is pinned.
func (d *Builder) Plan() (*Plan, error) {
	b := d.b
	if err := b.x.enroll(b); err != nil {
		b.unpin()
		return nil, err
	}
	p := &Plan{b: b}
	p.reclaim = runtime.AddCleanup(p, reclaim, b)
	return p, nil
}

// reclaim closes a plan whose handle was lost. It runs on a goroutine of the garbage collector's:
// nothing in it waits for I/O but the closing of files that were only read.
func reclaim(b *body) {
	if b.close() {
		b.x.reclaimed.Add(1)
	}
}

func (b *body) unpin() {
	for _, s := range b.segments {
		b.x.o.Cache.Unpin(b.id, s.Number)
	}
	b.segments = nil
}
