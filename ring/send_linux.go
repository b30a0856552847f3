package ring

import (
	"runtime"
	"syscall"
)

// maxStuck is how often in a row the kernel may refuse to take entries for lack of
// memory before operations are executed by ordinary system calls.
const maxStuck = 16

// send pushes what is ready, whole chains at a time: entries that the kernel does not
// get in one call are not linked for it. It enters only to make room. What finds no
// place in the completion ring stays for later.
func (q *queue) send() {
	for !q.ready.empty() && q.err == nil {
		i := q.ready.head
		n := q.chain(i)
		if q.flying+q.discards+n > int(q.k.cqSize()) {
			return
		}
		if q.k.unsent()+uint32(n) > q.k.sqSize() && q.stuck < maxStuck {
			q.enter(0)
			q.harvest()
			continue
		}
		q.ready.pop(q.slots)
		if q.stuck >= maxStuck {
			q.execute(i)
			continue
		}
		for ; n > 0; n-- {
			after := q.slots[i].after
			q.push(i, n > 1)
			i = after
		}
	}
}

// retry asks a kernel that had no memory once more, so that the ordinary calls end with
// the shortage.
func (q *queue) retry() {
	if q.stuck >= maxStuck {
		q.stuck--
		q.enter(0)
	}
}

// chain returns how many operations from slot i on are sent together.
func (q *queue) chain(i int32) int {
	most := int(min(q.k.sqSize(), q.k.cqSize()))
	n := 1
	for ; n < most; n++ {
		s := &q.slots[i]
		if s.after == none || s.left() > maxTransfer {
			break
		}
		if b := &q.slots[s.after]; b.state != held || b.instant {
			break
		}
		i = s.after
	}
	return n
}

// push writes a slot's entry into the submission ring, which has room.
func (q *queue) push(i int32, link bool) {
	s := &q.slots[i]
	e := q.encode(s)
	e.userData = s.stamp(i)
	if link {
		e.flags |= sqeLink
	}
	if !q.k.push(e) {
		q.fail("push", syscall.EOVERFLOW)
		return
	}
	s.state = flying
	q.flying++
}

// settled reports whether, after send, all that can be started has been handed to the
// kernel.
func (q *queue) settled() bool { return q.k.unsent() == 0 || q.stuck >= maxStuck }

// wait returns how many completions to wait for when min operations are to finish. Held
// operations start on completions, so with any of them the next one matters.
func (q *queue) wait(min int) uint32 {
	switch more := min - q.finished; {
	case more <= 0:
		return 0
	case q.submitted > q.finished+q.flying:
		return 1
	default:
		return uint32(more)
	}
}

// enter hands entries over and waits for at least wait completions, of any kind. It
// returns without them when it was interrupted: callers look again.
func (q *queue) enter(wait uint32) {
	unsent := q.k.unsent()
	errno := q.k.enter(min(wait, uint32(q.flying+q.discards)))
	left := q.k.unsent()
	if q.k.dropped() != q.lost {
		q.err = errLost
		return
	}
	if left < unsent || left == 0 {
		q.stuck = 0
	}
	switch errno {
	case 0, syscall.EINTR, syscall.EBUSY:
		// EBUSY: the completion ring is full; the caller harvests.
	case syscall.EAGAIN, syscall.ENOMEM:
	default:
		q.fail("io_uring_enter", errno)
		return
	}
	if left == 0 {
		return
	}
	q.mend()
	if left == unsent && errno != syscall.EINTR {
		if q.stuck++; q.stuck >= maxStuck {
			q.withdraw()
		}
		runtime.Gosched()
	}
}

// mend takes back the rest of a chain of which the kernel took only a part: what it gets
// with the next call would no longer wait for that part.
func (q *queue) mend() {
	stamp := q.k.entry(0).userData
	if stamp == discard || q.slots[uint32(stamp)].before == none {
		return
	}
	for n := uint32(0); n < q.k.unsent(); n++ {
		linked := q.k.entry(n).flags&sqeLink != 0
		q.retract(n)
		if !linked {
			return
		}
	}
}

// withdraw takes back everything that the kernel did not take.
func (q *queue) withdraw() {
	for n := uint32(0); n < q.k.unsent(); n++ {
		q.retract(n)
	}
}

// retract turns the n-th unsent entry into one without effect. Its operation waits
// again, for its turn or for the one before it.
func (q *queue) retract(n uint32) {
	e := q.k.entry(n)
	if e.userData == discard {
		return
	}
	i := int32(uint32(e.userData))
	*e = sqe{opcode: opNop, fd: noDescriptor, userData: discard}
	q.discards++
	q.flying--
	s := &q.slots[i]
	s.state = held
	if s.before == none {
		q.release(i)
	}
}
