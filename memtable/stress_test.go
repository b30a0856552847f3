package memtable

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// stressSize is the payload size of index i, so that readers know what to expect.
func stressSize(i raftlog.Index) int {
	switch {
	case i%5 == 0:
		return 0
	case i%397 == 0:
		return ownChunk + int(i%3)
	case i%41 == 0:
		return 9000
	default:
		return int(i % 300)
	}
}

// stressed is a table under load and the bounds that readers may rely on.
type stressed struct {
	table    *Table
	appended atomic.Uint64 // at or below: was published
	released atomic.Uint64 // at or below: may be gone, above: must be there
	gone     atomic.Uint64 // at or below: must be gone
	done     atomic.Bool
}

// write runs the single writer until it has appended count entries.
func (s *stressed) write(r *rand.Rand, count int) error {
	for next := s.table.First(); count > 0; {
		batch := make([]raftlog.Entry, 1+r.IntN(30))
		for k := range batch {
			i := next + raftlog.Index(k)
			batch[k] = entry(i, stressSize(i))
		}
		if err := s.table.Append(batch); err != nil {
			return err
		}
		next += raftlog.Index(len(batch))
		count -= len(batch)
		s.appended.Store(uint64(next - 1))
		s.table.SetDurable(next - 1)
		if r.IntN(4) == 0 {
			upTo := next - 1 - min(next-1, raftlog.Index(r.IntN(600)))
			if r.IntN(8) == 0 {
				upTo = next - 1
			}
			if err := s.release(max(upTo, raftlog.Index(s.released.Load())), r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stressed) release(upTo raftlog.Index, r *rand.Rand) error {
	s.released.Store(uint64(upTo))
	if r.IntN(3) == 0 && upTo%2 == 0 {
		if e, _, ok := s.table.Get(upTo); ok {
			if err := s.table.PutSparse([]raftlog.Entry{e}); err != nil {
				return err
			}
		}
	}
	s.table.Release(upTo)
	if r.IntN(3) == 0 {
		s.table.Trim()
		s.table.ReleaseSparse(func(i raftlog.Index) bool { return i+50 < upTo })
	}
	s.gone.Store(uint64(upTo))
	return nil
}

// read looks up random indexes until the writer is done.
func (s *stressed) read(r *rand.Rand) error {
	for !s.done.Load() {
		gone := raftlog.Index(s.gone.Load())
		appended := raftlog.Index(s.appended.Load())
		i := gone + raftlog.Index(r.Uint64N(uint64(appended-min(gone, appended))+20))
		if r.IntN(2) == 0 {
			i = appended
		}
		e, crc, ok := s.table.Get(i)
		released := raftlog.Index(s.released.Load())
		if ok {
			if err := same(e, crc, entry(i, stressSize(i))); err != nil {
				return err
			}
		} else if i <= appended && i > released {
			return fmt.Errorf("index %d is not found with (%d,%d] held", i, released, appended)
		}
		if i <= gone && ok && i%2 == 1 {
			return fmt.Errorf("index %d is found after the release of %d", i, gone)
		}
		if last := s.table.Last(); last < appended {
			return fmt.Errorf("last is %d after %d", last, appended)
		}
	}
	return nil
}

// scan walks from a random index to the end until the writer is done.
func (s *stressed) scan(r *rand.Rand) error {
	for !s.done.Load() {
		appended := raftlog.Index(s.appended.Load())
		from := raftlog.Index(s.released.Load()) + 1 + raftlog.Index(r.IntN(100))
		want := from
		var bad error
		next := s.table.Each(from, appended, func(e raftlog.Entry, crc uint32) bool {
			bad = same(e, crc, entry(want, stressSize(want)))
			want++
			return bad == nil
		})
		if bad != nil {
			return bad
		}
		// What ended early must have been released meanwhile.
		if next <= appended && from <= appended && next > raftlog.Index(s.released.Load()) {
			return fmt.Errorf("scan of [%d,%d] ended at %d, released up to %d", from, appended, next, s.released.Load())
		}
	}
	return nil
}

func TestReadersBesideTheWriter(t *testing.T) {
	count := 60_000
	if testing.Short() {
		count = 10_000
	}
	pool := &Pool{}
	for seed, start := range []raftlog.Index{1, 1 << 33} {
		t.Run(fmt.Sprint(start), func(t *testing.T) {
			t.Parallel() // what one table lets go of the other takes
			stressTable(t, &stressed{table: pool.New(start)}, uint64(seed), start, count)
		})
	}
}

func stressTable(t *testing.T, s *stressed, seed uint64, start raftlog.Index, count int) {
	s.appended.Store(uint64(start - 1))
	s.released.Store(uint64(start - 1))
	s.gone.Store(uint64(start - 1))
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for k := range 4 {
		read := s.read
		if k == 3 {
			read = s.scan
		}
		wg.Go(func() { errs <- read(rand.New(rand.NewPCG(seed, uint64(k)))) })
	}
	errs <- s.write(rand.New(rand.NewPCG(seed, 99)), count)
	s.done.Store(true)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Errorf("start %d: %v", start, err)
		}
	}
	audit(t, s.table)
}

func TestDurableFromManyGoroutines(t *testing.T) {
	tb := New(1)
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for i := range raftlog.Index(5000) {
				before := tb.Durable()
				tb.SetDurable(i*4 + raftlog.Index(k))
				if after := tb.Durable(); after < before || after < i*4+raftlog.Index(k) {
					t.Errorf("durable went from %d to %d", before, after)
					return
				}
			}
		})
	}
	wg.Wait()
	if tb.Durable() != 4999*4+3 {
		t.Fatalf("durable ends at %d", tb.Durable())
	}
}
