package raft

import (
	"sync"
	"time"
)

const (
	// restoreReaders is how many machines of a node read the states that they begin with at a time: each has a file open.
	restoreReaders = 2
	// restorePatience is for how long one that reads counts as one of them: a machine that hangs holds up no other.
	restorePatience = 10 * time.Second
)

// restoreTurns has the machines of servers that start read their states in turn.
type restoreTurns struct {
	mu      sync.Mutex
	reading int
	waiting fifo // apply queues, which are not in the run queue
}

// restoreTurn is the turn of one machine.
type restoreTurn struct {
	node *Node
	over bool  // guarded by the turns' lock
	late alarm // rings when it has lasted long enough
}

// begin takes a turn. When it returns nil there is none left, and the queue is pushed again when one is.
func (t *restoreTurns) begin(q *applyQueue) *restoreTurn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reading >= restoreReaders {
		t.waiting.push(q)
		return nil
	}
	t.reading++
	n := q.server.node
	turn := &restoreTurn{node: n}
	turn.late.ring = func() { t.end(turn) }
	n.wheel.set(&turn.late, n.now()+int64(restorePatience))
	return turn
}

// end gives a turn back, once. Whoever waits longest tries again.
func (t *restoreTurns) end(turn *restoreTurn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if turn.over {
		return
	}
	turn.over = true
	t.reading--
	turn.node.wheel.stop(&turn.late)
	if next, ok := t.waiting.pop(); ok {
		turn.node.queue.push(next)
	}
}
