package ring

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/rawl-db/rawl/internal/vfs"
)

var (
	errLost    = errors.New("ring: the kernel lost a completion")
	errUnknown = errors.New("ring: completion of an operation that is not in flight")
	errRunning = errors.New("ring: operations may still be running; their memory must not be used again")
)

// queue is vfs.Queue and vfs.Registrar over one io_uring instance. All fields belong to
// the owning goroutine.
//
// The kernel is given the addresses of buffers. They stay valid because the slots keep
// them reachable, because what an Op in a slot refers to lies on the heap or outside
// Go's memory, never on a stack, and because the collector does not move heap objects.
// runtime.Pinner would promise the last for ever, at an allocation for each operation
// beyond the first.
type queue struct {
	k     kernel
	slots []slot

	free, ready, done list

	submitted int // slots not free
	finished  int // slots done
	flying    int // slots flying
	discards  int // entries stamped discard whose completions are not seen

	// link is what the Link of the latest operation means for the next; open is its slot.
	link linkState
	open int32

	files   [maxFiles]vfs.File // by place in the kernel's table; nil is empty
	buffers [][]byte           // by place in the kernel's table
	// fileTable and bufferTable say whether the kernel has the tables.
	fileTable, bufferTable bool

	lost    uint32 // the kernel's count of lost completions at the start
	stuck   int    // calls in a row in which the kernel took nothing
	closing bool
	closed  bool
	err     error // what made the queue unusable
}

func newQueue(k kernel, depth int) *queue {
	q := &queue{
		k:     k,
		slots: make([]slot, depth),
		free:  list{none, none}, ready: list{none, none}, done: list{none, none},
		open: none,
		lost: k.dropped(),
	}
	for i := range q.slots {
		q.free.push(q.slots, int32(i))
	}
	// A queue that is dropped with operations in flight would free memory that the kernel
	// still writes to.
	runtime.SetFinalizer(q, (*queue).dropped)
	return q
}

// Submit implements vfs.Queue. It makes no system call.
func (q *queue) Submit(op *vfs.Op) error {
	if q.closed {
		return vfs.ErrClosed
	}
	if q.err != nil {
		return q.err
	}
	i := q.free.pop(q.slots)
	if i == none {
		return vfs.ErrQueueFull
	}
	q.submitted++
	s := &q.slots[i]
	*s = slot{op: op, gen: s.gen, state: held, place: none, before: none, after: none}
	op.N = 0
	s.fd, op.Err = admit(op)
	s.instant = op.Err != nil || s.size() == 0 && s.transfer()
	s.place = q.place(op.File)

	link, before := q.link, q.open
	q.link, q.open = unlinked, none
	if op.Link {
		q.link, q.open = linkOpen, i
	}
	switch link {
	case linkOpen:
		s.before = before
		q.slots[before].after = i
	case linkBroken:
		q.finish(i, vfs.ErrCanceled)
	default:
		q.release(i)
	}
	return nil
}

// Outstanding implements vfs.Queue.
func (q *queue) Outstanding() int { return q.submitted }

// Reap implements vfs.Queue. Starting what was submitted and waiting for it is one
// system call; there is none when enough has completed and nothing is to be started.
func (q *queue) Reap(min int, done []*vfs.Op) (int, error) {
	if q.closed {
		return 0, vfs.ErrClosed
	}
	if min > q.submitted {
		min = q.submitted
	}
	q.retry()
	for entered := false; ; entered = true {
		q.harvest()
		q.send()
		if q.err != nil {
			return 0, q.err
		}
		// Finished work can wait for a system call to show itself, so a caller that only polls
		// makes one.
		if q.settled() && q.finished >= min && (q.finished > 0 || q.flying == 0 || entered) {
			break
		}
		q.enter(q.wait(min))
	}
	n := 0
	for ; n < len(done); n++ {
		i := q.done.pop(q.slots)
		if i == none {
			break
		}
		s := &q.slots[i]
		done[n] = s.op
		s.op, s.state = nil, free
		q.free.push(q.slots, i)
		q.finished--
		q.submitted--
	}
	return n, nil
}

// release lets an operation start that waits for nothing.
func (q *queue) release(i int32) {
	s := &q.slots[i]
	if s.instant {
		q.finish(i, s.op.Err)
		return
	}
	s.state = ready
	q.ready.push(q.slots, i)
}

// finish records an operation's outcome and settles what is linked behind it. An
// operation that the kernel already runs or cancels gets its outcome from its
// completion.
func (q *queue) finish(i int32, err error) {
	for {
		s := &q.slots[i]
		s.op.N, s.op.Err = s.moved, err
		s.state = done
		q.done.push(q.slots, i)
		q.finished++
		if s.before != none {
			q.slots[s.before].after, s.before = none, none
		}
		if q.open == i {
			q.open, q.link = none, linkMet
			if err != nil {
				q.link = linkBroken
			}
		}
		j := s.after
		if j == none {
			return
		}
		s.after = none
		b := &q.slots[j]
		b.before = none
		switch {
		case b.state != held:
			b.doomed = err != nil
			return
		case err != nil:
			i, err = j, vfs.ErrCanceled
		case b.instant:
			i, err = j, b.op.Err
		default:
			q.release(j)
			return
		}
	}
}

// fail makes the queue unusable.
func (q *queue) fail(what string, err error) {
	if q.err == nil {
		q.err = fmt.Errorf("ring: %s: %w", what, err)
	}
}
