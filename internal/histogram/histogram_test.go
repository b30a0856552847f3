package histogram

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// Many record at the same time, and nothing is lost; quantiles are upper bounds at most an eighth too high.
func TestRecorder(t *testing.T) {
	var r Recorder
	var all sync.WaitGroup
	const writers, each = 8, 2000
	for k := range writers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(k), 1))
			for range each {
				r.Record(random.Uint64N(1_000_000))
			}
			r.Record(uint64(2_000_000 + k))
		})
	}
	all.Wait()
	h := r.Snapshot()
	if h.Count != writers*(each+1) || h.Max != 2_000_000+writers-1 || h.Mean() < 400_000 || h.Mean() > 600_000 {
		t.Fatalf("%d values up to %d, %f", h.Count, h.Max, h.Mean())
	}
	if q := h.Quantile(0.5); q < 450_000 || q > 620_000 {
		t.Errorf("median %d", q)
	}
	if q := h.Quantile(1); q != h.Max {
		t.Errorf("highest %d, not %d", q, h.Max)
	}
	total, last := uint64(0), uint64(0)
	for top, count := range h.Buckets {
		if top <= last && total > 0 || count == 0 {
			t.Fatalf("bucket up to %d behind %d", top, last)
		}
		total, last = total+count, top
	}
	if total != h.Count {
		t.Errorf("%d in buckets of %d", total, h.Count)
	}
	for _, v := range []uint64{0, 1, 7, 8, 9, 255, 1 << 20, 1<<63 + 5, ^uint64(0)} {
		if top := bucketTop(bucketOf(v)); top < v || top-v > v/8 {
			t.Errorf("%d is in the bucket up to %d", v, top)
		}
	}
}
