// Package histogram counts values in buckets of rising width, without locks.
package histogram

import (
	"math/bits"
	"sync/atomic"
)

// Buckets per power of two are 1<<subBits; values below that count have a bucket each.
const (
	subBits    = 3
	bucketsMax = (64 - subBits + 1) << subBits
)

// Recorder counts values. Any goroutine may record, and read, at any time. The zero one is empty. It takes 2 KiB.
type Recorder struct {
	count, sum, max atomic.Uint64
	buckets         [bucketsMax]atomic.Uint32
}

// Record counts a value.
func (h *Recorder) Record(v uint64) {
	h.count.Add(1)
	h.sum.Add(v)
	for most := h.max.Load(); v > most && !h.max.CompareAndSwap(most, v); {
		most = h.max.Load()
	}
	h.buckets[bucketOf(v)].Add(1)
}

func bucketOf(v uint64) int {
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return (shift+1)<<subBits + int(v>>shift)&(1<<subBits-1)
}

// bucketTop is the highest value of bucket i.
func bucketTop(i int) uint64 {
	if i < 1<<subBits {
		return uint64(i)
	}
	shift := i>>subBits - 1
	return (uint64(i&(1<<subBits-1)|1<<subBits)+1)<<shift - 1
}

// Histogram is a snapshot of counted values. Its buckets are an eighth of a power of two
// wide.
type Histogram struct {
	Count, Sum, Max uint64
	buckets         []uint32
}

// Snapshot copies the counts. What is recorded meanwhile may be in a part of it.
func (h *Recorder) Snapshot() Histogram {
	s := Histogram{Count: h.count.Load(), Sum: h.sum.Load(), Max: h.max.Load(), buckets: make([]uint32, bucketsMax)}
	for i := range h.buckets {
		s.buckets[i] = h.buckets[i].Load()
	}
	return s
}

// Mean returns the average of the values, 0 when there are none.
func (h Histogram) Mean() float64 {
	if h.Count == 0 {
		return 0
	}
	return float64(h.Sum) / float64(h.Count)
}

// Quantile returns an upper bound of the value below which the share q of all values lies,
// q being 0 to 1. It is 0 when there are none.
func (h Histogram) Quantile(q float64) uint64 {
	var total uint64
	for _, n := range h.buckets {
		total += uint64(n)
	}
	rank := uint64(q * float64(total))
	for i, n := range h.buckets {
		if uint64(n) > rank {
			return min(bucketTop(i), h.Max)
		}
		rank -= uint64(n)
	}
	return h.Max
}

// Buckets calls yield with the upper bound and the count of each bucket that is not empty,
// in rising order.
func (h Histogram) Buckets(yield func(top, count uint64) bool) {
	for i, n := range h.buckets {
		if n > 0 && !yield(bucketTop(i), uint64(n)) {
			return
		}
	}
}
