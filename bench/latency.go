package main

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	histMax    = int64(60 * time.Second / time.Microsecond)
	histDigits = 2
	recorders  = 32
)

// recorder counts latencies in microseconds without allocating. A few producers share one,
// so that its memory does not grow with their number.
type recorder struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func newRecorders() []*recorder {
	rs := make([]*recorder, recorders)
	for i := range rs {
		rs[i] = &recorder{h: newHist()}
	}
	return rs
}

func newHist() *hdrhistogram.Histogram { return hdrhistogram.New(1, histMax, histDigits) }

func (r *recorder) record(d time.Duration) {
	r.mu.Lock()
	r.recordLocked(d, 1)
	r.mu.Unlock()
}

func (r *recorder) recordLocked(d time.Duration, n int64) {
	us := min(max(d.Microseconds(), 1), histMax)
	_ = r.h.RecordValues(us, n) // cannot fail within the bounds
}

func merged(rs []*recorder) *hdrhistogram.Histogram {
	all := newHist()
	for _, r := range rs {
		r.mu.Lock()
		all.Merge(r.h)
		r.mu.Unlock()
	}
	return all
}

// percentile returns nil when fewer than 100 samples lie beyond it.
func percentile(h *hdrhistogram.Histogram, p float64) *float64 {
	if float64(h.TotalCount())*(1-p/100) < 100 {
		return nil
	}
	return ptr(float64(h.ValueAtQuantile(p)))
}
