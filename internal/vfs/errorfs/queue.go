package errorfs

import (
	"slices"

	"github.com/rawl-db/rawl/internal/vfs"
)

// queue fails the operations that pass through it. It keeps the order of links itself,
// because an operation that fails here never reaches the inner queue. The faulty ones run
// within Reap, on its owner's goroutine.
type queue struct {
	fs     *FS
	inner  vfs.Queue
	depth  int
	closed bool

	waiting []*request           // not begun, in the order of submission
	running map[*vfs.Op]*request // by what was submitted to inner
	ready   []*vfs.Op            // completed
	reaped  []*vfs.Op            // from inner, of length depth
	link    *request             // the last submitted, when the next one is linked behind it
}

// request is one submission. It outlives the reaping of op, which its owner may reuse.
type request struct {
	op        *vfs.Op
	inner     vfs.Op
	verdict   verdict
	announced bool // of a stall
	after     *request
	done, ok  bool
}

func (q *queue) Submit(op *vfs.Op) error {
	if q.closed {
		return vfs.ErrClosed
	}
	if q.Outstanding() == q.depth {
		return vfs.ErrQueueFull
	}
	op.N, op.Err = 0, nil
	r := &request{op: op, inner: *op, after: q.link}
	r.inner.Link = false
	if f, ok := op.File.(*file); ok && f.fs == q.fs {
		r.inner.File = f.inner
		if d, ok := describe(op, f); ok {
			r.verdict = q.fs.decide(d)
		}
	}
	q.link = nil
	if op.Link {
		q.link = r
	}
	q.waiting = append(q.waiting, r)
	return nil
}

// describe returns what a queued operation counts as; one of an unknown kind does not count.
func describe(op *vfs.Op, f *file) (Op, bool) {
	d := Op{Name: f.Name(), Queued: true}
	switch op.Kind {
	case vfs.OpRead:
		d.Kind, d.Off, d.Len = OpRead, op.Off, int64(len(op.Buf))
	case vfs.OpWrite:
		d.Kind, d.Off, d.Len = OpWrite, op.Off, int64(len(op.Buf))
		d.Durable = op.DSync || f.durable
	case vfs.OpDatasync:
		d.Kind = OpDatasync
	case vfs.OpSync:
		d.Kind = OpSync
	}
	return d, d.Kind != 0
}

func (q *queue) Reap(min int, done []*vfs.Op) (int, error) {
	if q.closed {
		return 0, vfs.ErrClosed
	}
	min = max(0, min)
	for poll := true; ; poll = false {
		stalled, released, err := q.start()
		if err != nil {
			return 0, err
		}
		switch {
		case len(q.running) > 0 && (poll || len(q.ready) < min):
			if err := q.reapInner(min - len(q.ready)); err != nil {
				return 0, err
			}
			continue
		case stalled && len(q.ready) < min:
			<-released
			continue
		}
		n := copy(done, q.ready)
		q.ready = slices.Delete(q.ready, 0, n)
		return n, nil
	}
}

// start begins whatever waits for nothing. It reports whether an operation is stalled,
// and the channel that is closed at the next release.
func (q *queue) start() (stalled bool, released <-chan struct{}, err error) {
	var rest []*request
	for _, r := range q.waiting {
		if r.after != nil && !r.after.done {
			rest = append(rest, r)
			continue
		}
		if r.verdict.fault == Stall && (r.after == nil || r.after.ok) {
			if !r.announced {
				r.announced = true
				q.fs.announce(r.verdict)
			}
			ok, next := q.fs.passed(r.verdict)
			if !ok {
				rest = append(rest, r)
				if !stalled {
					stalled, released = true, next
				}
				continue
			}
		}
		if err := q.begin(r); err != nil {
			return false, nil, err
		}
	}
	q.waiting = rest
	return stalled, released, nil
}

func (q *queue) begin(r *request) error {
	if r.after != nil && !r.after.ok {
		q.complete(r, 0, vfs.ErrCanceled)
		return nil
	}
	if r.verdict.fault == 0 || r.verdict.fault == Stall {
		if err := q.inner.Submit(&r.inner); err != nil {
			return err
		}
		q.running[&r.inner] = r
		return nil
	}
	f := r.op.File.(*file)
	switch r.verdict.op.Kind {
	case OpRead:
		n, err := f.failRead(r.verdict, r.op.Buf, r.op.Off)
		q.complete(r, n, err)
	case OpWrite:
		n, err := f.failWrite(r.verdict, r.op.Buf, r.op.Off)
		q.complete(r, n, err)
	case OpDatasync:
		q.complete(r, 0, f.failSync(r.verdict, f.inner.Datasync))
	default:
		q.complete(r, 0, f.failSync(r.verdict, f.inner.Sync))
	}
	return nil
}

func (q *queue) complete(r *request, n int, err error) {
	r.op.N, r.op.Err = n, err
	r.done, r.ok, r.after = true, err == nil, nil
	q.ready = append(q.ready, r.op)
}

// reapInner takes what the inner queue has completed and waits for one more operation
// when want is positive.
func (q *queue) reapInner(want int) error {
	n, err := q.inner.Reap(max(0, min(1, want)), q.reaped)
	if err != nil {
		return err
	}
	for _, op := range q.reaped[:n] {
		r := q.running[op]
		delete(q.running, op)
		q.complete(r, op.N, op.Err)
	}
	return nil
}

func (q *queue) Outstanding() int { return len(q.waiting) + len(q.running) + len(q.ready) }

// Close cancels what has not begun, stalled operations among it.
func (q *queue) Close() error {
	if q.closed {
		return vfs.ErrClosed
	}
	q.closed = true
	err := q.inner.Close()
	for _, r := range q.running {
		r.op.N, r.op.Err = r.inner.N, r.inner.Err
	}
	for _, r := range q.waiting {
		r.op.Err = vfs.ErrCanceled
	}
	q.waiting, q.running, q.ready, q.link = nil, nil, nil, nil
	return err
}
