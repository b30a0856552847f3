package raft

import (
	"slices"
	"sync"

	"github.com/rawl-db/rawl/internal/sched"
)

// runQueue is what of a node's servers has something to do, and the workers that do it: one turn of a mailbox, or the
// applies of one server, at a time. There are as many workers as processors, and they rest while nothing waits; one that
// the code of a machine holds, or a turn that does not end, is replaced for as long, so that it holds up nobody else. What
// a mailbox's turn gives its own server to apply the same worker does next, unless that runs already.
type runQueue struct {
	node  *Node
	limit int           // of workers that are not held
	wake  chan struct{} // what each receives that is to rest no longer

	mu struct { // ordered after those of mailboxes and apply queues
		sync.Mutex
		waiting fifo
		workers []*worker // that have not ended
		held    int       // of them, in the code of a machine or in a turn that is late
		resting int       // of them, waiting for wake
		woken   bool      // one was woken that has not yet looked for work
		closed  bool
	}
}

// worker is one goroutine of a run queue. What it says of itself is guarded by the queue's lock.
type worker struct {
	mail  *mailbox // whose turn it runs, nil between two
	looks int      // how often that turn was seen by late
	late  bool     // it was seen so often that the worker counts as held
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
	case len(q.mu.workers)-q.mu.held < q.limit:
		w := &worker{}
		q.mu.workers = append(q.mu.workers, w)
		q.node.spawn(func() { q.work(w) })
	}
}

// work is what a worker does. It ends when the queue is closed and empty, or when there are too many, as after a machine's
// return.
func (q *runQueue) work(w *worker) {
	for q.step(w) {
	}
}

// step does one thing, or rests until there is one; false when the worker ends.
func (q *runQueue) step(w *worker) bool {
	r, ok := q.next(w)
	if !ok {
		return false
	}
	if m, ok := r.(*mailbox); ok {
		if !m.run() {
			return true
		}
		r = &m.server.applies
	}
	q.enter(w)
	r.(*applyQueue).run()
	q.leave()
	return true
}

// next takes what waits longest, or rests until something does.
func (q *runQueue) next(w *worker) (r runnable, ok bool) {
	for woken := false; ; woken = true {
		r, ok, rest := q.take(w, woken)
		if !rest {
			return r, ok
		}
		_, _ = sched.Wait(q.node.world, q.wake, nil, nil)
		q.node.world.Yield() // who else was woken has something to add: one turn does more then
	}
}

// take takes what waits longest, for a worker that was perhaps woken for it. Where there is nothing the worker is to
// rest, or else to end.
func (q *runQueue) take(w *worker, woken bool) (r runnable, ok, rest bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.endTurnLocked(w)
	if woken {
		q.mu.woken = false
	}
	if r, ok = q.mu.waiting.pop(); ok {
		if q.mu.waiting.n > 0 {
			q.wakeLocked()
		}
		w.mail, _ = r.(*mailbox)
		return r, true, false
	}
	if q.mu.closed || len(q.mu.workers)-q.mu.held > q.limit {
		q.mu.workers = slices.DeleteFunc(q.mu.workers, func(x *worker) bool { return x == w })
		return nil, false, false
	}
	q.mu.resting++
	return nil, false, true
}

// enter counts a worker that enters a machine's code as held, leave no longer.
func (q *runQueue) enter(w *worker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.endTurnLocked(w)
	q.holdLocked()
}

func (q *runQueue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.held--
}

// holdLocked counts one more that is held. The last one leaves another behind.
func (q *runQueue) holdLocked() {
	q.mu.held++
	if q.mu.waiting.n > 0 && len(q.mu.workers)-q.mu.held-q.mu.resting == 0 {
		q.wakeLocked()
	}
}

// endTurnLocked takes note that a worker's turn is over.
func (q *runQueue) endTurnLocked(w *worker) {
	if w.late {
		q.mu.held--
	}
	*w = worker{}
}

// lookedLate is how many looks see a turn of which the worker is replaced: three see one that takes twice the time between two.
const lookedLate = 3

// late looks at the turns that run, and returns the servers of those that as many looks have seen as they are allowed, each once. What
// they are allowed is never less than lookedLate, after which a turn's worker is replaced: who waits in the queue may be allowed less.
// With afresh the looks begin anew.
func (q *runQueue) late(afresh bool, allowed func(*server) int) (list []*server) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range q.mu.workers {
		if w.mail == nil {
			continue
		}
		limit := allowed(w.mail.server)
		if w.looks >= limit {
			continue
		}
		if afresh {
			w.looks = 0
		}
		w.looks++
		if w.looks == lookedLate && !w.late {
			w.late = true
			q.holdLocked()
		}
		if w.looks == limit {
			list = append(list, w.mail.server)
		}
	}
	return list
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
