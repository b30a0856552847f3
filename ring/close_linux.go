package ring

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/rawl-db/rawl/internal/vfs"
)

// Close implements vfs.Queue. It returns when the kernel has let go of every buffer;
// each operation that was outstanding then has its outcome in N and Err. The one
// exception is an error that says so: then what was in flight keeps its memory for good.
func (q *queue) Close() error {
	if q.closed {
		return vfs.ErrClosed
	}
	q.closing = true
	q.withdraw()
	q.cancelWaiting()
	if err := q.drain(); err != nil {
		return err
	}
	q.cancelWaiting()
	q.closed = true
	runtime.SetFinalizer(q, nil)
	q.slots, q.buffers, q.files = nil, nil, [maxFiles]vfs.File{}
	q.submitted = 0
	return q.k.close()
}

// cancelWaiting ends what has not begun.
func (q *queue) cancelWaiting() {
	for !q.ready.empty() {
		q.finish(q.ready.pop(q.slots), vfs.ErrCanceled)
	}
	for i := range q.slots {
		if q.slots[i].state == held {
			q.finish(int32(i), vfs.ErrCanceled)
		}
	}
}

// drain cancels what is in flight and waits until nothing is. What already runs on the
// device cannot be canceled and ends by itself.
func (q *queue) drain() error {
	q.harvest()
	for i := 0; i < len(q.slots) && q.flying > 0; i++ {
		s := &q.slots[i]
		if s.state != flying {
			continue
		}
		for q.k.unsent() == q.k.sqSize() && q.stuck < maxStuck && q.err == nil {
			q.enter(0)
		}
		e := sqe{opcode: opAsyncCancel, fd: noDescriptor, addr: uint64(s.gen)<<32 | uint64(i), userData: discard}
		if q.k.push(e) {
			q.discards++
		}
	}
	for q.flying > 0 || q.discards > int(q.k.unsent()) {
		if q.err != nil {
			return fmt.Errorf("%w: %w", errRunning, q.err)
		}
		q.enter(1)
		q.harvest()
	}
	return nil
}

// dropped is the finalizer. It waits as Close does; where nothing can be waited for, it
// keeps the queue, and all memory that the kernel may still write to.
func (q *queue) dropped() {
	if errors.Is(q.Close(), errRunning) {
		runtime.SetFinalizer(q, (*queue).dropped)
	}
}
