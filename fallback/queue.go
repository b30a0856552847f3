package fallback

import (
	"sync"
	"sync/atomic"

	"github.com/rawl-db/rawl/internal/vfs"
)

// queue implements vfs.Queue.
//
// A node moves from free to staged (Submit), to pending (Reap), to whoever runs it, to
// done, and back to free when it is reaped. Its fields belong to the owner in free,
// staged and ready, to mu in pending and done, and to the runner in between.
type queue struct {
	nodes   []node
	runners int  // bound on goroutines that run operations, the owner's among them
	dsync   bool // a write with DSync is one system call
	work    func()

	// Owned by the owner's goroutine.
	free        list
	staged      list  // chains submitted since the last Reap
	open        int32 // last node of the chain that the next Submit extends, or none
	ready       list  // completed, taken from mu.done and not yet handed out
	outstanding int
	closed      bool

	// closing is set once, by Close; whoever runs a chain cancels the rest of it then.
	closing atomic.Bool

	// wake is signalled, with mu held, when done has reached need or a worker has ended.
	wake sync.Cond
	mu   struct {
		sync.Mutex
		pending list // chains that nobody runs yet
		done    list
		workers int // goroutines started and not yet ended
		need    int // length of done that the owner waits for; 0 when it does not wait
	}
}

func newQueue(depth, runners int, dsync bool) *queue {
	q := &queue{
		nodes: make([]node, depth), runners: runners, dsync: dsync,
		free: emptyList(), staged: emptyList(), ready: emptyList(), open: none,
	}
	q.mu.pending, q.mu.done = emptyList(), emptyList()
	q.wake.L = &q.mu
	q.work = q.worker // bound once: a go statement with it then allocates nothing
	for i := range q.nodes {
		q.free.push(q.nodes, int32(i))
	}
	return q
}

// Submit implements vfs.Queue. It does not block; the operation begins in a later Reap.
func (q *queue) Submit(op *vfs.Op) error {
	if q.closed {
		return vfs.ErrClosed
	}
	if q.free.length == 0 {
		return vfs.ErrQueueFull
	}
	i := q.free.pop(q.nodes)
	q.nodes[i].op, q.nodes[i].behind = op, none
	if q.open == none {
		q.staged.push(q.nodes, i)
	} else {
		q.nodes[q.open].behind = i
	}
	q.open = none
	if op.Link {
		q.open = i
	}
	q.outstanding++
	return nil
}

// Outstanding implements vfs.Queue.
func (q *queue) Outstanding() int { return q.outstanding }

// Reap implements vfs.Queue. With min 0 it does not block.
func (q *queue) Reap(min int, done []*vfs.Op) (int, error) {
	if q.closed {
		return 0, vfs.ErrClosed
	}
	if min > q.outstanding {
		min = q.outstanding
	}
	q.open = none
	if q.ready.length < q.outstanding {
		q.advance(min - q.ready.length)
	}
	n := 0
	for n < len(done) && q.ready.length > 0 {
		i := q.ready.pop(q.nodes)
		done[n] = q.nodes[i].op
		q.nodes[i].op = nil
		q.free.push(q.nodes, i)
		n++
	}
	q.outstanding -= n
	return n, nil
}

// advance hands over what is staged and moves what has completed to ready. When want is
// positive it runs chains and then waits, until at least want completed.
func (q *queue) advance(want int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.pending.append(q.nodes, &q.staged)
	ownerRuns := q.mu.done.length < want && q.mu.workers < q.runners
	q.startWorkersLocked(ownerRuns)
	for q.mu.done.length < want {
		if ownerRuns && q.mu.pending.length > 0 {
			q.runOneLocked()
			continue
		}
		q.mu.need = want
		q.wake.Wait()
		q.mu.need = 0
	}
	q.ready.append(q.nodes, &q.mu.done)
}

// startWorkersLocked starts a goroutine for each pending chain that the owner will not take, as
// far as the bound on runners allows.
func (q *queue) startWorkersLocked(ownerRuns bool) {
	n := min(q.mu.pending.length, q.runners-q.mu.workers)
	if ownerRuns {
		n--
	}
	for range n {
		q.mu.workers++
		// Owned by the queue; ends when nothing is pending; Close waits for it.
		go q.work()
	}
}

func (q *queue) worker() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.mu.pending.length > 0 {
		q.runOneLocked()
		if q.mu.need > 0 && q.mu.done.length >= q.mu.need {
			q.wake.Signal()
		}
	}
	q.mu.workers--
	q.wake.Signal()
}

// runOneLocked runs the first pending chain and moves it to done. mu is released while
// operations run.
func (q *queue) runOneLocked() {
	first := q.mu.pending.pop(q.nodes)
	q.mu.Unlock()
	q.runChain(first)
	q.mu.Lock()
	q.doneLocked(first)
}

// doneLocked moves a chain to done.
func (q *queue) doneLocked(first int32) {
	for i := first; i != none; i = q.nodes[i].behind {
		q.mu.done.push(q.nodes, i)
	}
}

// Close implements vfs.Queue. It cancels what has not begun and waits for what is
// running; the operations' N and Err are then valid although nobody reaps them.
func (q *queue) Close() error {
	if q.closed {
		return vfs.ErrClosed
	}
	q.closed = true
	q.closing.Store(true)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.pending.append(q.nodes, &q.staged)
	for q.mu.pending.length > 0 {
		first := q.mu.pending.pop(q.nodes)
		q.runChain(first) // closing is set: this cancels all of it
	}
	for q.mu.workers > 0 {
		q.wake.Wait()
	}
	q.nodes, q.outstanding = nil, 0
	return nil
}
