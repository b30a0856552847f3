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
	lane  *lane  // nil when the plan is in memory only
	ahead *group // begun, and not handed out yet
	alone group  // of a plan that is in memory only
	taken int    // items since ctx and the queue were looked at
	err   error  // what ended the execution
}

func newRun(ctx context.Context, b *body) *run {
	r := &run{ctx: ctx, b: b, items: b.items}
	if b.o.Order == Sorted && !b.sorted {
		r.items = slices.Clone(b.items)
		slices.SortStableFunc(r.items, func(x, y item) int { return cmp.Compare(x.index, y.index) })
	}
	if len(b.segments) == 0 {
		return r
	}
	r.lane = b.x.borrow()
	r.lane.depth = b.o.Depth
	return r
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
	n := 0
	for room := true; room && n < min(len(r.items), groupItems); n++ {
		if it := r.items[n]; it.kind == inSegment {
			room = g.add(r.b, it)
		}
	}
	g.items, r.items = r.items[:n], r.items[n:]
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

// lookEvery is how many items are taken between looks at ctx and the queue, which without them
// would run dry while one piece after the other is there already.
const lookEvery = 16

// take returns the next entry of a group, or with an error an entry that has only its index.
func (r *run) take(g *group) (raftlog.Entry, error) {
	if r.taken++; r.taken >= lookEvery {
		r.taken = 0
		if r.stopped() {
			return raftlog.Entry{}, r.err
		}
		if r.lane != nil {
			r.lane.advance(0)
		}
	}
	it, w := g.take()
	switch it.kind {
	case inMemory:
		return r.b.memory[it.at], nil
	case missing:
		return raftlog.Entry{Index: it.index}, r.b.absent[it.at]
	}
	e, err := raftlog.Entry{}, w.err
	if err == nil && w.loc.Length > 0 {
		if p := &g.pieces[w.piece]; p.state != pieceDone {
			if r.stopped() {
				return raftlog.Entry{}, r.err
			}
			r.lane.await(p)
		}
	}
	if err == nil {
		e, err = g.entry(w, it.index)
	}
	if err != nil {
		return raftlog.Entry{Index: it.index}, r.b.fail(err, it.index)
	}
	return e, nil
}

// fill appends entries of a group to batch until it is full, the group ends, or one fails.
func (r *run) fill(g *group, batch []raftlog.Entry) (full []raftlog.Entry, failed raftlog.Entry, err error) {
	for g.more() && len(batch) < cap(batch) {
		e, err := r.take(g)
		if err != nil {
			return batch, e, err
		}
		batch = append(batch, e)
	}
	return batch, failed, nil
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
