package readplan

import (
	"cmp"
	"context"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// run is one execution of a plan. It belongs to the goroutine that iterates.
type run struct {
	ctx   context.Context
	b     *body
	items []item // not in a group yet
	begun int    // how many of the first of items are in one
	lane  *lane  // nil when the plan is in memory only
	ahead *group // begun, and not handed out yet
	alone group  // of a plan that is in memory only
	taken int    // entries, since ctx and the queue were looked at
	err   error  // what ended the execution
}

func newRun(ctx context.Context, b *body) *run {
	r := &run{ctx: ctx, b: b, items: b.items}
	if b.o.Order == Sorted && !b.sorted {
		r.items = singles(b.items)
		slices.SortStableFunc(r.items, func(x, y item) int { return cmp.Compare(x.index, y.index) })
	}
	if len(b.segments) == 0 {
		return r
	}
	r.lane = b.x.borrow()
	r.lane.depth = b.o.Depth
	return r
}

// singles returns items of one entry each.
func singles(items []item) []item {
	out := make([]item, 0, len(items))
	for _, it := range items {
		for k := range it.n {
			out = append(out, item{index: it.index + raftlog.Index(k), kind: it.kind, at: it.at, n: 1})
		}
	}
	return out
}

// next returns the next group, whose reads have begun, nil at the end. The one before is gone then.
func (r *run) next() *group {
	if r.stopped() {
		return nil
	}
	if r.lane == nil {
		if len(r.items) == 0 {
			return nil
		}
		r.alone = group{items: r.items}
		r.items = nil
		return &r.alone
	}
	g := r.ahead
	if g == nil {
		g = r.begin(&r.lane.groups[0])
	}
	if g != nil {
		r.ahead = r.begin(&r.lane.groups[1-g.number])
	}
	return g
}

// begin fills a group and has its pieces read; nil when nothing is left.
func (r *run) begin(g *group) *group {
	g.reset()
	if len(r.items) == 0 {
		return nil
	}
	for len(r.items) > 0 && g.room() {
		it := r.items[0]
		if it.kind != inSegment {
			g.items, r.items = append(g.items, it), r.items[1:]
			continue
		}
		r.begun += g.add(r.b, it.index+raftlog.Index(r.begun), int(it.n)-r.begun, it.at)
		if r.begun == int(it.n) {
			r.items, r.begun = r.items[1:], 0
		}
	}
	g.cut(r.b.x.o.FS, r.b.o.gap())
	r.lane.start(g)
	return g
}

// stopped looks at ctx and keeps its cause.
func (r *run) stopped() bool {
	if r.err == nil && r.ctx.Err() != nil {
		r.err = context.Cause(r.ctx)
	}
	return r.err != nil
}

// lookEvery is how many entries are taken, at least, between looks at ctx and the queue, which
// without them would run dry while one piece after the other is there already.
const lookEvery = 16

// look looks at ctx and the queue every now and then, and reports whether the execution goes on.
func (r *run) look() bool {
	if r.taken++; r.taken < lookEvery {
		return true
	}
	r.taken = 0
	if r.stopped() {
		return false
	}
	if r.lane != nil {
		r.lane.advance(0)
	}
	return true
}

// fill appends entries of a group to batch until it is full, the group ends, or one fails, of which
// it returns the index and why. When the execution ends early it says so in r.err alone.
func (r *run) fill(g *group, batch []raftlog.Entry) (full []raftlog.Entry, failed raftlog.Entry, err error) {
	for err == nil && g.more() && len(batch) < cap(batch) && r.look() {
		it := &g.items[g.next]
		switch it.kind {
		case inMemory:
			batch = append(batch, r.b.memory[it.at])
			g.next++
		case missing:
			failed.Index, err = it.index, r.b.absent[it.at]
			g.next++
		default:
			batch, failed.Index, err = r.take(g, batch)
			if r.err != nil {
				return batch, raftlog.Entry{}, nil
			}
		}
	}
	return batch, failed, err
}

// take appends entries of the group's next read to batch, which has room.
func (r *run) take(g *group, batch []raftlog.Entry) (more []raftlog.Entry, failed raftlog.Index, err error) {
	w := &g.reads[g.read]
	if w.err != nil {
		g.next++
		g.read++
		i := g.items[g.next-1].index
		return batch, i, r.b.fail(w.err, i)
	}
	if w.Bytes > 0 {
		if p := &g.pieces[w.piece]; p.state != pieceDone {
			if r.stopped() {
				return batch, 0, nil
			}
			r.lane.await(p)
		}
	}
	defer g.taken(w)
	data := g.data(w)
	if n := w.Take(data, batch[len(batch):cap(batch)]); n > 0 {
		r.taken += n - 1
		return batch[:len(batch)+n], 0, nil
	}
	i := w.First
	e, err := g.entry(w, data)
	w.Skip()
	if err != nil {
		return batch, i, r.b.fail(err, i)
	}
	return append(batch, e), 0, nil
}

// end waits for what is in flight and gives everything back.
func (r *run) end() {
	if l := r.lane; l != nil {
		l.drain()
		for n := range l.groups {
			l.groups[n].reset()
		}
		r.b.x.giveBack(l)
	}
	r.b.leave()
}
