package engine

import (
	"errors"
	"fmt"
	"iter"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/readplan"
)

// MaxPlanIndexes bounds the indexes of one plan.
const MaxPlanIndexes = 1 << 20

// Plan says where the entries of the given indexes are now, in any order and repeated or not. It
// costs no disk and waits for nobody. The plan may be executed later, by anyone: appends,
// truncations, releases, flushes and the log's deletion that come meanwhile change nothing in what
// it yields. Until it is closed it keeps the memory of the entries it found there, and the segment
// files of the others. The indexes are resolved together: all entries were in the log at one time.
//
// An index that the log does not have is no error of Plan: the execution yields it with
// ErrCompacted or ErrOutOfRange, or leaves it out when the options say so. It yields ErrClosed for
// what it has to read from disk after Close of the engine, and ErrCorrupt with the file for what
// does not verify.
//
// Errors: ErrDeleted, ErrQuarantined, ErrClosed, ErrOptions, ErrTooLarge (above MaxPlanIndexes).
func (l *Log) Plan(indexes iter.Seq[Index], o PlanOptions) (*Plan, error) {
	if err := l.e.readable(); err != nil {
		return nil, err
	}
	want, err := collect(indexes)
	if err != nil {
		return nil, fmt.Errorf("%w: log %s", err, l.uid)
	}
	return l.plan(want, o)
}

// plan is Plan of all indexes of some ranges, which are not empty.
func (l *Log) plan(want []Range, o PlanOptions) (*Plan, error) {
	b, err := l.e.executor.Begin(l.id, o, l.readError)
	if err != nil {
		return nil, planError(err)
	}
	for {
		b.Reset(len(want))
		attempt := l.planning(b)
		ok := attempt.addAll(want) && attempt.listed()
		if broken := l.broken.Load(); broken != nil {
			b.Drop()
			return nil, broken.err
		}
		if ok {
			p, err := b.Plan()
			return p, planError(err)
		}
	}
}

func planError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, readplan.ErrClosed):
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrOptions, err)
}

// collect returns the indexes as ranges: most requests are dense.
func collect(indexes iter.Seq[Index]) ([]Range, error) {
	var want []Range
	n := 0
	for i := range indexes {
		if n++; n > MaxPlanIndexes {
			return nil, tooManyIndexes()
		}
		if k := len(want) - 1; k >= 0 && i == want[k].Last+1 && i != 0 {
			want[k].Last = i
		} else {
			want = append(want, Range{First: i, Last: i})
		}
	}
	return want, nil
}

func tooManyIndexes() error {
	return fmt.Errorf("%w: a plan of more than %d indexes", ErrTooLarge, MaxPlanIndexes)
}

// planning is one attempt to find all indexes of a plan, up to the end that the log had then: of
// what is appended meanwhile nothing is taken.
type planning struct {
	l     *Log
	b     *readplan.Builder
	first *view // by which the attempt began
	v     *view // by which it goes on
	end   Index
	// run is a stretch of indexes that all lie in segment: most requests are dense.
	run     Range
	segment raftlog.Segment
}

func (l *Log) planning(b *readplan.Builder) *planning {
	v := l.view.Load()
	return &planning{l: l, b: b, first: v, v: v, end: v.last()}
}

// addAll adds every index. Where the view is outdated before an index is found, a newer one
// serves as long as only releases and flushes came between; it returns false after a truncation,
// because entries of before and after must not be mixed.
func (p *planning) addAll(want []Range) bool {
	for _, r := range want {
		for n := r.Last - r.First + 1; n > 0; {
			k := p.add(r.Last-n+1, r.Last)
			n -= k
			if k > 0 {
				continue
			}
			now := p.l.view.Load()
			if now.newest() != p.v.newest() {
				return false
			}
			p.v = now
		}
	}
	return true
}

// add adds the index i, or several from i to at most last, and returns how many: none when the
// view may be outdated for i.
func (p *planning) add(i, last Index) (n Index) {
	if p.run.Contains(i) {
		r := Range{First: i, Last: min(last, p.run.Last)}
		p.b.Run(r, p.segment)
		return Index(r.Len())
	}
	if p.one(i) {
		return 1
	}
	return 0
}

// one adds one index, or nothing when the view may be outdated for it.
func (p *planning) one(i Index) bool {
	if i > p.end {
		p.b.Missing(i, fmt.Errorf("%w: %d, log %s ends at %d", ErrOutOfRange, i, p.l.uid, p.end))
		return true
	}
	at := p.v.resolve(i)
	if at.kind == placeTable {
		if e, _, ok := at.table.Get(i); ok {
			p.b.Memory(e)
			return true
		}
		at = p.v.resolveOnDisk(i)
	}
	if at.kind == placeSegment {
		p.segment = p.v.segments[at.segment]
		p.run = p.v.runOnDisk(i, p.segment.Range.Last)
	}
	if p.l.view.Load() != p.v {
		p.run = Range{}
		return false
	}
	switch at.kind {
	case placeSegment:
		p.b.Segment(i, p.segment)
	case placeLost:
		p.b.Failed(i, p.l.absence(p.v, i, at.kind))
	default:
		p.b.Missing(i, p.l.absence(p.v, i, at.kind))
	}
	return true
}

// listed reports whether every segment that the builder pins is still listed: it was not retired
// before it was pinned then. Those found by the first view need not be in a later one.
func (p *planning) listed() bool {
	now := p.l.view.Load()
	if now == p.first {
		return true
	}
	listed := make(map[uint64]bool, len(now.segments))
	for _, s := range now.segments {
		listed[s.Number] = true
	}
	for s := range p.b.Segments() {
		if !listed[s.Number] {
			return false
		}
	}
	return true
}

// PlanRange is Plan of the indexes from first to last.
func (l *Log) PlanRange(first, last Index, o PlanOptions) (*Plan, error) {
	if err := l.e.readable(); err != nil {
		return nil, err
	}
	switch r := (Range{First: first, Last: last}); {
	case r.Empty():
		return l.plan(nil, o)
	case r.Len() > MaxPlanIndexes:
		return nil, fmt.Errorf("%w: log %s", tooManyIndexes(), l.uid)
	}
	return l.plan([]Range{{First: first, Last: last}}, o)
}
