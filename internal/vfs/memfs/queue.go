package memfs

import (
	"fmt"
	"math/rand/v2"

	"github.com/rawl-db/rawl/internal/vfs"
)

// queue runs operations within Reap, on its owner's goroutine, in an order that rng
// draws among those not linked behind an unfinished one.
type queue struct {
	fs     *FS
	depth  int
	rng    *rand.Rand
	closed bool

	waiting []*request // not begun
	ready   []*vfs.Op  // completed, to be reaped in this order
	link    *request   // the last submitted, when the next one is linked behind it
}

// request is one submission. It outlives the reaping of op, which its owner may reuse.
type request struct {
	op    *vfs.Op
	after *request
	done  bool
	ok    bool
}

func (q *queue) Submit(op *vfs.Op) error {
	if q.closed {
		return vfs.ErrClosed
	}
	if q.Outstanding() == q.depth {
		return vfs.ErrQueueFull
	}
	op.N, op.Err = 0, nil
	r := &request{op: op, after: q.link}
	q.link = nil
	if op.Link {
		q.link = r
	}
	q.waiting = append(q.waiting, r)
	return nil
}

// Reap runs at least min operations and a random number of further ones.
func (q *queue) Reap(min int, done []*vfs.Op) (int, error) {
	if q.closed {
		return 0, vfs.ErrClosed
	}
	for len(q.waiting) > 0 && (len(q.ready) < min || q.rng.IntN(2) == 0) {
		q.runOne()
	}
	n := copy(done, q.ready)
	q.ready = q.ready[n:]
	if len(q.ready) == 0 {
		q.ready = nil
	}
	return n, nil
}

func (q *queue) Outstanding() int { return len(q.waiting) + len(q.ready) }

// Close cancels what has not begun.
func (q *queue) Close() error {
	if q.closed {
		return vfs.ErrClosed
	}
	q.closed = true
	for _, r := range q.waiting {
		r.op.Err = vfs.ErrCanceled
	}
	q.waiting, q.ready, q.link = nil, nil, nil
	return nil
}

// runOne runs a random operation that waits for no other. One exists: the first
// submitted of those waiting has nothing before it.
func (q *queue) runOne() {
	var able []int
	for i, r := range q.waiting {
		if r.after == nil || r.after.done {
			able = append(able, i)
		}
	}
	i := able[q.rng.IntN(len(able))]
	r := q.waiting[i]
	q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
	if r.after != nil && !r.after.ok {
		r.op.Err = vfs.ErrCanceled
	} else {
		q.run(r.op)
	}
	r.done, r.ok, r.after = true, r.op.Err == nil, nil
	q.ready = append(q.ready, r.op)
}

func (q *queue) run(op *vfs.Op) {
	f, ok := op.File.(*File)
	if !ok || f.fs != q.fs {
		op.Err = fmt.Errorf("memfs: file of another file system: %w", vfs.ErrUnsupported)
		return
	}
	switch op.Kind {
	case vfs.OpRead:
		op.N, op.Err = f.ReadAt(op.Buf, op.Off)
	case vfs.OpWrite:
		op.N, op.Err = f.writeAt(op.Buf, op.Off, op.DSync || f.mode != vfs.SyncNone)
	case vfs.OpDatasync:
		op.Err = f.Datasync()
	case vfs.OpSync:
		op.Err = f.Sync()
	default:
		op.Err = fmt.Errorf("memfs: operation kind %d: %w", op.Kind, vfs.ErrUnsupported)
	}
}
