package engine

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/internal/vfs"
)

// watchedQueue commits through io_uring and goes over to the direct queue, for good, when its
// writes have taken three times what calibration promised for a second. Both queues take the
// same files and buffers, so the change costs nothing; it happens between batches.
type watchedQueue struct {
	vfs.Queue // the one in use
	direct    vfs.Queue
	promised  Calibration
	now       func() time.Time
	switched  *atomic.Bool

	submitted time.Time
	bytes     int
	excess    float64 // smoothed ratio of measured to promised
	since     time.Time
	closeErr  error // of the ring, when it was given up
}

const (
	switchExcess = 3
	switchAfter  = time.Second
)

func newWatchedQueue(ring, direct vfs.Queue, promised Calibration) *watchedQueue {
	return &watchedQueue{Queue: ring, direct: direct, promised: promised, now: time.Now, switched: new(atomic.Bool)}
}

func (q *watchedQueue) Submit(op *vfs.Op) error {
	if q.direct != nil && q.Outstanding() == 0 {
		if q.tooSlow() {
			q.change()
		}
		q.submitted, q.bytes = q.now(), len(op.Buf)
	}
	return q.Queue.Submit(op)
}

func (q *watchedQueue) Reap(min int, done []*vfs.Op) (int, error) {
	n, err := q.Queue.Reap(min, done)
	if q.direct != nil && n > 0 && q.bytes > 0 && q.Outstanding() == 0 {
		q.note(q.now())
	}
	return n, err
}

// note compares a finished write with the promise, interpolated between the sizes measured.
func (q *watchedQueue) note(now time.Time) {
	share := float64(q.bytes-smallWrite) / (largeWrite - smallWrite)
	promise := float64(q.promised.Small) + share*float64(q.promised.Large-q.promised.Small)
	q.excess += (float64(now.Sub(q.submitted))/promise - q.excess) / 16
	switch {
	case q.excess <= switchExcess:
		q.since = time.Time{}
	case q.since.IsZero():
		q.since = now
	}
}

func (q *watchedQueue) tooSlow() bool {
	return !q.since.IsZero() && q.now().Sub(q.since) >= switchAfter
}

func (q *watchedQueue) change() {
	old := q.Queue
	q.Queue, q.direct = q.direct, nil
	q.switched.Store(true)
	q.closeErr = old.Close()
}

// Close closes both queues.
func (q *watchedQueue) Close() error {
	err := errors.Join(q.Queue.Close(), q.closeErr)
	if q.direct != nil {
		err = errors.Join(err, q.direct.Close())
	}
	return err
}

// RegisterBuffer implements vfs.Registrar for as long as the ring is in use.
func (q *watchedQueue) RegisterBuffer(buf []byte) error {
	if r, ok := q.Queue.(vfs.Registrar); ok {
		return r.RegisterBuffer(buf)
	}
	return nil
}

// RegisterFile implements vfs.Registrar.
func (q *watchedQueue) RegisterFile(f vfs.File) error {
	if r, ok := q.Queue.(vfs.Registrar); ok {
		return r.RegisterFile(f)
	}
	return nil
}

// UnregisterFile implements vfs.Registrar.
func (q *watchedQueue) UnregisterFile(f vfs.File) {
	if r, ok := q.Queue.(vfs.Registrar); ok {
		r.UnregisterFile(f)
	}
}
