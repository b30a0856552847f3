package main

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// ramp is how long producers run before a slice is measured.
const ramp = 150 * time.Millisecond

// load is the producers of a row over a store. They exist during slices only.
type load struct {
	row       row
	store     store
	producers []*producer
	recorders []*recorder
	interval  engine.Index // entries of a log between releases

	running   atomic.Bool
	measuring atomic.Bool
	failed    atomic.Pointer[error]
	began     time.Time
	total     measure
}

func newLoad(r row, s store) (*load, error) {
	l := &load{row: r, store: s, recorders: newRecorders(), began: time.Now(), interval: releaseInterval(r)}
	payload := randomPayload(r.Size)
	shared := r.Producers > r.Logs
	for i := range r.Producers {
		p := &producer{load: l, recorder: l.recorders[i%len(l.recorders)], payload: payload}
		p.entries = make([]engine.Entry, r.Batch)
		p.wake = make(chan struct{}, 1)
		if r.Outstanding > 0 {
			p.stamps = make([]int64, powerOfTwo(r.Outstanding))
		}
		l.producers = append(l.producers, p)
		if shared {
			continue
		}
		for k := i; k < r.Logs; k += r.Producers {
			if err := p.own(k); err != nil {
				return nil, err
			}
		}
	}
	l.limit(r.Rate)
	if s, ok := s.(*engineStore); ok {
		s.onFailure.Store(ptr(l.fail))
	}
	if shared {
		return l, l.share()
	}
	return l, nil
}

// limit bounds the rate of all producers together, in entries/s; 0 is no limit. Between slices only.
func (l *load) limit(rate int) {
	pause := time.Duration(0)
	if rate > 0 {
		pause = time.Duration(float64(time.Second) * float64(l.row.Producers*l.row.Batch) / float64(rate))
	}
	for _, p := range l.producers {
		p.pause = pause
	}
}

// share spreads the producers over the logs where there are more of them than logs.
func (l *load) share() error {
	for i := range l.row.Logs {
		sh := &sharedStream{}
		st, err := l.store.stream(i, sh.written)
		if err != nil {
			return err
		}
		sh.stream = st
		for k := i; k < len(l.producers); k += l.row.Logs {
			l.producers[k].shared = sh
		}
	}
	return nil
}

// releaseInterval lets unreleased entries fill a quarter of a WAL file at most, and less of it
// when they are so long that few fill it: what is in flight at a roll counts too.
func releaseInterval(r row) engine.Index {
	file := int64(64 << 20)
	if r.WALFile > 0 {
		file = r.WALFile
	}
	if r.Size >= 256<<10 {
		file /= 4
	}
	return engine.Index(min(max(file/4/int64(r.Logs*(r.Size+64)), 1), 1024))
}

func powerOfTwo(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

// randomPayload does not compress.
func randomPayload(size int) []byte {
	b := make([]byte, size)
	rng := rand.New(rand.NewPCG(1, uint64(size)))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func (l *load) now() int64 { return int64(time.Since(l.began)) }

func (l *load) fail(err error) {
	l.failed.CompareAndSwap(nil, &err)
	l.running.Store(false)
	for _, p := range l.producers {
		p.signal()
	}
}

// slice runs the producers and measures them for d. It returns what this slice found.
func (l *load) slice(d time.Duration) (measure, error) {
	var wg sync.WaitGroup
	l.running.Store(true)
	for range l.row.Busy {
		wg.Go(func() { busy(&l.running, !l.row.Hog) })
	}
	for _, p := range l.producers {
		wg.Go(p.run)
	}
	time.Sleep(ramp)
	before := l.observe()
	l.measuring.Store(true)
	time.Sleep(d)
	l.measuring.Store(false)
	after := l.observe()
	l.running.Store(false)
	wg.Wait()
	if err := l.failed.Load(); err != nil {
		return measure{}, *err
	}
	m := after.minus(before)
	l.add(m)
	return m, nil
}

// add accumulates a slice.
func (l *load) add(m measure) {
	t := &l.total
	t.Seconds += m.Seconds
	t.Entries += m.Entries
	t.Syncs += m.Syncs
	t.Batches += m.Batches
	t.WALBytes += m.WALBytes
	t.SegmentBytes += m.SegmentBytes
	t.Allocs += m.Allocs
	t.Busy += m.Busy
	t.Rolls += m.Rolls
	t.Unprepared += m.Unprepared
	t.Delivered += m.Delivered
	t.CPUSeconds = sum(t.CPUSeconds, m.CPUSeconds)
	t.DeviceBytes = sum(t.DeviceBytes, m.DeviceBytes)
	t.DeviceFlushes = sum(t.DeviceFlushes, m.DeviceFlushes)
}

// sum is nil when what is added is unknown.
func sum(a, b *float64) *float64 {
	if b == nil {
		return nil
	}
	if a != nil {
		return ptr(*a + *b)
	}
	return b
}

// result is what all slices found.
func (l *load) result() measure {
	t := l.total
	h := merged(l.recorders)
	t.P50, t.P99, t.P999 = percentile(h, 50), percentile(h, 99), percentile(h, 99.9)
	t.RSSMB = peakRSS()
	if s, ok := l.store.(*engineStore); ok {
		c := s.backend()
		t.Backend, t.Reason = string(c.Backend), c.Reason
	}
	return t
}

// busy computes for about 2 µs at a time, and yields in between if it is that polite.
func busy(running *atomic.Bool, yield bool) {
	for x := uint64(1); running.Load() && x != 0; {
		x = spin(x)
		if yield {
			runtime.Gosched()
		}
	}
}
