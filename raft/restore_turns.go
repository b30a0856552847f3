package raft

import "sync"

// restoreReaders is how many machines of a node read the states that they begin with at a time: each has a file open.
const restoreReaders = 2

// restoreTurns has the machines of servers that start read their states in turn.
type restoreTurns struct {
	mu      sync.Mutex
	reading int
	waiting fifo // apply queues, which are not in the run queue
}

// begin takes a turn. When it returns false there is none left, and the queue is pushed again when one is.
func (t *restoreTurns) begin(q *applyQueue) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reading == restoreReaders {
		t.waiting.push(q)
		return false
	}
	t.reading++
	return true
}

// end gives a turn back. Whoever waits longest tries again.
func (t *restoreTurns) end(n *Node) {
	t.mu.Lock()
	t.reading--
	next, ok := t.waiting.pop()
	t.mu.Unlock()
	if ok {
		n.queue.push(next)
	}
}
