package raft

import (
	"sync"

	"github.com/rawl-db/rawl/internal/sched"
)

// runQueue is what of a node's servers has something to do, and the workers that do it: one turn of a mailbox, or the
// applies of one server, at a time. There are as many workers as processors, and they rest while nothing waits; one that
// the code of a machine holds is replaced for as long, so that it holds up nobody else. What a mailbox's turn gives its own
// server to apply the same worker does next, unless that runs already.
type runQueue struct {
	node  *Node
	limit int           // of workers that no machine holds
	wake  chan struct{} // what each receives that is to rest no longer

	mu struct { // ordered after those of mailboxes and apply queues
		sync.Mutex
		waiting fifo
		workers int  // that have not ended
		held    int  // of them, in the code of a machine
		resting int  // of them, waiting for wake
		woken   bool // one was woken that has not yet looked for work
		closed  bool
	}
}

// runnable is a *mailbox or an *applyQueue. It is in the queue, or runs, at most once.
type runnable any

func newRunQueue(n *Node) *runQueue {
	limit := n.world.Processors()
	return &runQueue{node: n, limit: limit, wake: make(chan struct{}, limit)}
}

// push adds what has something to do. It waits for nothing.
func (q *runQueue) push(r runnable) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.waiting.push(r)
	q.wakeLocked()
}

// wakeLocked has one more worker look for work, if there may be one more. One that was woken wakes the next itself.
func (q *runQueue) wakeLocked() {
	switch {
	case q.mu.woken:
	case q.mu.resting > 0:
		q.mu.woken = true
		q.mu.resting--
		q.wake <- struct{}{} // there is room for as many as rest
	case q.mu.workers-q.mu.held < q.limit:
		q.mu.workers++
		q.node.spawn(q.work)
	}
}

// work is a worker. It ends when the queue is closed and empty, or when there are too many, as after a machine's return.
func (q *runQueue) work() {
	for q.step() {
	}
}

// step does one thing, or rests until there is one; false when the worker ends.
func (q *runQueue) step() bool {
	r, ok := q.next()
	if !ok {
		return false
	}
	if m, ok := r.(*mailbox); ok {
		if !m.run() {
			return true
		}
		r = &m.server.applies
	}
	q.hold(1)
	r.(*applyQueue).run()
	q.hold(-1)
	return true
}

// next takes what waits longest, or rests until something does.
func (q *runQueue) next() (r runnable, ok bool) {
	for woken := false; ; woken = true {
		r, ok, rest := q.take(woken)
		if !rest {
			return r, ok
		}
		_, _ = sched.Wait(q.node.world, q.wake, nil, nil)
		q.node.world.Yield() // who else was woken has something to add: one turn does more then
	}
}

// take takes what waits longest, for a worker that was perhaps woken for it. Where there is nothing the worker is to
// rest, or else to end.
func (q *runQueue) take(woken bool) (r runnable, ok, rest bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if woken {
		q.mu.woken = false
	}
	if r, ok = q.mu.waiting.pop(); ok {
		if q.mu.waiting.n > 0 {
			q.wakeLocked()
		}
		return r, true, false
	}
	if q.mu.closed || q.mu.workers-q.mu.held > q.limit {
		q.mu.workers--
		return nil, false, false
	}
	q.mu.resting++
	return nil, false, true
}

// hold counts a worker that enters a machine's code, 1, or leaves it, -1. The last one that enters leaves another behind.
func (q *runQueue) hold(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.held += n
	if n > 0 && q.mu.waiting.n > 0 && q.mu.workers-q.mu.held-q.mu.resting == 0 {
		q.wakeLocked()
	}
}

// close has the workers end behind what waits. What is pushed later is done too.
func (q *runQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.closed = true
	for ; q.mu.resting > 0; q.mu.resting-- {
		q.wake <- struct{}{}
	}
}

// fifo is a queue in a ring that grows.
type fifo struct {
	ring    []runnable
	head, n int
}

func (f *fifo) push(r runnable) {
	if f.n == len(f.ring) {
		ring := make([]runnable, max(16, 2*f.n))
		k := copy(ring, f.ring[f.head:])
		copy(ring[k:], f.ring[:f.head])
		f.ring, f.head = ring, 0
	}
	f.ring[(f.head+f.n)%len(f.ring)] = r
	f.n++
}

func (f *fifo) pop() (r runnable, ok bool) {
	if f.n == 0 {
		return nil, false
	}
	r, f.ring[f.head] = f.ring[f.head], nil
	f.head = (f.head + 1) % len(f.ring)
	f.n--
	return r, true
}
