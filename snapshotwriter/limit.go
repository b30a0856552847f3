package snapshotwriter

import (
	"sync"
	"time"
)

const (
	// slack is how much unused time a burst may make up for.
	slack = 50 * time.Millisecond
	// nap is the longest sleep: whoever waits looks up that often whether to go on.
	nap = 50 * time.Millisecond
)

// limiter spaces transfers so that they keep to a rate: in any span of time go at most that span's
// worth, one chunk, and slack's worth.
type limiter struct {
	rate int64 // bytes per second; 0 for no limit
	mu   sync.Mutex
	next int64 // when the next transfer may begin, guarded by mu
}

// reserve books a transfer of n bytes and returns how long to wait before it.
func (l *limiter) reserve(n int, now int64) time.Duration {
	if l.rate == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	begin := max(l.next, now-int64(slack))
	l.next = begin + int64(float64(n)/float64(l.rate)*float64(time.Second))
	return time.Duration(max(0, begin-now))
}

// pace waits until n bytes may be transferred. Error: stopped's, which is asked at least once.
func (w *Writer) pace(n int, stopped func() error) error {
	if err := stopped(); err != nil {
		return err
	}
	for wait := w.limiter.reserve(n, w.o.Now()); wait > 0; wait -= nap {
		w.o.Sleep(min(wait, nap))
		if err := stopped(); err != nil {
			return err
		}
	}
	return nil
}
