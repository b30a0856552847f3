package engine

import (
	"context"
	"iter"
	"math"

	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/memtable"
)

const (
	readBatchEntries = 256
	readBatchBytes   = 1 << 20 // of entries that were read from a segment
)

// ReadBatches is ReadRange in batches of up to 256 entries: much less work per entry. Slice and
// data are valid until the next batch or the end of the iteration: their memory may be gone
// afterwards. The sequence ends early with an empty batch and an error.
func (l *Log) ReadBatches(first, last Index) iter.Seq2[[]Entry, error] {
	return func(yield func([]Entry, error) bool) {
		if first > last {
			return
		}
		n := int(min(readBatchEntries-1, last-first)) + 1
		b := batcher{l: l, last: last, entries: make([]Entry, n), yield: yield}
		for i := first; i <= last && !b.stopped; {
			if next := b.planned(i); next > i {
				i = next
				continue
			}
			next, err := b.run(i)
			if err != nil {
				yield(nil, err)
				return
			}
			i = next
		}
	}
}

// batcher gathers the batches of one iteration.
type batcher struct {
	l       *Log
	last    Index
	entries []Entry // of fixed length
	n       int     // entries gathered from a segment
	data    []byte  // theirs
	yield   func([]Entry, error) bool
	stopped bool // the consumer wants no more
}

// run yields entries from one table or one segment, beginning with i, and returns the next index.
func (b *batcher) run(i Index) (next Index, err error) {
	next = i
	err = b.l.locate(i, func(v *view, n int) (bool, error) {
		if n < 0 {
			next = b.table(v.at(i), i, min(b.last, v.answersTo(i)))
			return next > i, nil
		}
		s := v.segments[n]
		rng := Range{First: i, Last: min(b.last, s.Range.Last, v.answersTo(i))}
		return true, b.l.withSegment(s, func(r *segment.Reader) error {
			next, _, err = yieldSegment(r, rng, b.add)
			b.flush()
			if next > i {
				return nil // what fails behind it is met again, as the first of the next run
			}
			return err
		})
	})
	return next, err
}

// planRunLeast is for how many entries, at least, a plan is worth it.
const planRunLeast = 1024

// planned yields a long run of what lies in segments by way of a plan, which reads ahead, and
// returns the next index. It ends before what fails, and does nothing for what does not lie so.
func (b *batcher) planned(i Index) (next Index) {
	last := min(b.last, i+MaxPlanIndexes-1)
	if v := b.l.view.Load(); len(v.segments) > 0 && v.resolve(i).kind == placeSegment {
		last = min(last, v.runOnDisk(i, v.segments[len(v.segments)-1].Range.Last).Last)
	} else {
		return i
	}
	if last-i < planRunLeast {
		return i
	}
	p, err := b.l.PlanRange(i, last, PlanOptions{Advice: PlanSequential})
	if err != nil {
		return i
	}
	defer p.Close()
	for es, err := range p.Batches(context.Background()) {
		if err != nil {
			break
		}
		i += Index(len(es))
		if b.stopped = !b.yield(es, nil); b.stopped {
			break
		}
	}
	return i
}

func (b *batcher) table(t *memtable.Table, i, last Index) (next Index) {
	for i <= last && !b.stopped {
		n, _ := fillTable(t, i, b.entries[:min(Index(len(b.entries)), last-i+1)], nil, math.MaxInt)
		if n == 0 {
			break
		}
		i += Index(n)
		b.stopped = !b.yield(b.entries[:n], nil)
	}
	return i
}

// add copies an entry of a segment, and yields first when the batch has no room for it.
func (b *batcher) add(e Entry, _ error) bool {
	if b.n == len(b.entries) || b.n > 0 && len(b.data)+len(e.Data) > cap(b.data) {
		b.flush()
	}
	if len(e.Data) > cap(b.data) {
		b.data = make([]byte, 0, max(len(e.Data), min(readBatchBytes, len(b.entries)*len(e.Data))))
	}
	at := len(b.data)
	b.data = append(b.data, e.Data...)
	e.Data = b.data[at:len(b.data):len(b.data)]
	b.entries[b.n] = e
	b.n++
	return !b.stopped
}

// flush yields what was gathered.
func (b *batcher) flush() {
	if b.n > 0 && !b.stopped {
		b.stopped = !b.yield(b.entries[:b.n], nil)
	}
	b.n, b.data = 0, b.data[:0]
}
