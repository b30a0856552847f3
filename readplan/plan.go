package readplan

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"sync"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// ErrPlanClosed is what executing a plan after its Close gives.
var ErrPlanClosed = errors.New("readplan: plan closed")

// Plan says where entries are. All methods may be called by any goroutine, several at once.
type Plan struct {
	b       *body
	reclaim runtime.Cleanup
}

// body is a plan without the handle by whose loss the garbage collector knows that it is
// forgotten. All but mu is fixed once the plan is made.
type body struct {
	x        *Executor
	o        Options
	id       raftlog.LogID
	fail     func(error, raftlog.Index) error
	items    []item
	memory   []raftlog.Entry
	absent   []error
	segments []raftlog.Segment // pinned
	sorted   bool              // items ascend
	n        int               // indexes
	bytes    int64             // of the payloads in memory

	mu struct {
		sync.Mutex
		uses   int // executions that run
		closed bool
	}
}

// item is one requested index and where it is, or n consecutive ones in one segment: at counts in
// memory, absent or segments.
type item struct {
	index raftlog.Index
	at    uint32
	n     uint16
	kind  itemKind
}

// maxRun is the most indexes of one item.
const maxRun = 1<<16 - 1

type itemKind uint8

const (
	inMemory itemKind = iota
	inSegment
	missing
)

// Len is the number of indexes that an execution yields.
func (p *Plan) Len() int { return p.b.n }

// Execute yields the plan's entries one by one, in the order of its options, and an index that
// was requested twice twice. An index that cannot be had is yielded as an entry with nothing but
// that index and an error, and the sequence goes on: what made it missing, frame.ErrCorrupt for
// bytes that do not verify, the engine's ErrClosed for what is on disk after Close, or an error of
// the device. An error with index 0 ends the sequence: ctx's cause, or ErrPlanClosed.
//
// Data must not be modified and is valid until the next entry or the end of the iteration: its memory
// may be gone afterwards, copy it to keep it. The iteration
// blocks for reads; it looks at ctx before it waits. Leaving it early waits for the reads in flight.
func (p *Plan) Execute(ctx context.Context) iter.Seq2[raftlog.Entry, error] {
	return func(yield func(raftlog.Entry, error) bool) {
		defer runtime.KeepAlive(p)
		r, err := p.b.begin(ctx)
		if err != nil {
			yield(raftlog.Entry{}, err)
			return
		}
		defer r.end()
		var few [lookEvery]raftlog.Entry
		for g := r.next(); g != nil && r.err == nil; g = r.next() {
			for r.err == nil && g.more() {
				batch, failed, err := r.fill(g, few[:0])
				for k := range batch {
					if !yield(batch[k], nil) {
						return
					}
				}
				if err != nil && !yield(failed, err) {
					return
				}
			}
		}
		if r.err != nil {
			yield(raftlog.Entry{}, r.err)
		}
	}
}

// maxBatch bounds the entries of one batch.
const maxBatch = 256

// Batches is Execute in batches of up to 256 entries and 8 MiB, or one larger entry. Slice and
// data are valid until the next batch or the end of the iteration. With an error the batch is the one entry that it concerns,
// of which only the index is set, or empty when the sequence ends with it.
func (p *Plan) Batches(ctx context.Context) iter.Seq2[[]raftlog.Entry, error] {
	return func(yield func([]raftlog.Entry, error) bool) {
		defer runtime.KeepAlive(p)
		r, err := p.b.begin(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer r.end()
		batch := make([]raftlog.Entry, 0, min(maxBatch, p.Len()))
		for g := r.next(); g != nil && r.err == nil; g = r.next() {
			for r.err == nil && g.more() {
				var failed raftlog.Entry
				batch, failed, err = r.fill(g, batch[:0])
				if len(batch) > 0 && !yield(batch, nil) {
					return
				}
				if err != nil && !yield([]raftlog.Entry{failed}, err) {
					return
				}
			}
		}
		if r.err != nil {
			yield(nil, r.err)
		}
	}
}

// Close gives back what the plan pins, at once or when the last running execution ends.
// Executions that begin later fail with ErrPlanClosed. Closing twice does nothing more.
func (p *Plan) Close() {
	p.reclaim.Stop()
	p.b.close()
	runtime.KeepAlive(p)
}

// begin starts an execution.
func (b *body) begin(ctx context.Context) (*run, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.closed {
		return nil, ErrPlanClosed
	}
	b.mu.uses++
	return newRun(ctx, b), nil
}

// leave ends an execution.
func (b *body) leave() {
	b.mu.Lock()
	b.mu.uses--
	last := b.mu.closed && b.mu.uses == 0
	b.mu.Unlock()
	if last {
		b.x.forget(b)
	}
}

// close reports whether this call closed the plan.
func (b *body) close() bool {
	b.mu.Lock()
	first := !b.mu.closed
	b.mu.closed = true
	last := first && b.mu.uses == 0
	b.mu.Unlock()
	if last {
		b.x.forget(b)
	}
	return first
}
