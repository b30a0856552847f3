package raft

import (
	"slices"
	"sync"
	"sync/atomic"
)

// tickList is the servers of a node whose machines want to be called now and then. One alarm serves all; without
// such a server there is none.
type tickList struct {
	mu      sync.Mutex
	alarm   alarm
	servers []*server
}

// tickState is what an apply queue knows of its machine's wish. It belongs to the goroutine that applies, but for waiting.
type tickState struct {
	applier *Applier // whose machine was looked at, and in which version
	version uint64
	next    int64 // when it is due, guarded by tickList.mu
	listed  bool
	// waiting says that a tick is in the queue: a machine that is busy is not given another.
	waiting atomic.Bool
}

// watchTicks looks at the machine when it is another one.
func (q *applyQueue) watchTicks() {
	t, a := &q.ticking, q.machine()
	if t.applier == a && t.version == a.Version() {
		return
	}
	t.applier, t.version = a, a.Version()
	if want := a.Ticks(); want != t.listed {
		t.listed = want
		q.server.node.listTicks(q.server, want)
	}
}

func (n *Node) listTicks(s *server, want bool) {
	n.ticks.mu.Lock()
	defer n.ticks.mu.Unlock()
	n.ticks.servers = slices.DeleteFunc(n.ticks.servers, func(x *server) bool { return x == s })
	if want {
		n.nextTickLocked(s, n.now())
		n.ticks.servers = append(n.ticks.servers, s)
	}
	n.armTicksLocked()
}

// nextTickLocked sets when a server is due: at a multiple of its interval, so that one alarm serves all that have the same.
func (n *Node) nextTickLocked(s *server, now int64) {
	every := int64(n.optionsOf(s.record).TickInterval)
	s.applies.ticking.next = (now/every + 1) * every
}

// armTicksLocked sets the alarm to the first that is due.
func (n *Node) armTicksLocked() {
	if len(n.ticks.servers) == 0 {
		n.wheel.stop(&n.ticks.alarm)
		return
	}
	first := n.ticks.servers[0].applies.ticking.next
	for _, s := range n.ticks.servers {
		first = min(first, s.applies.ticking.next)
	}
	n.wheel.set(&n.ticks.alarm, first)
}

// tick has all machines that want it called. It runs on the wheel's goroutine, and waits for none of them. Servers
// that have stopped leave the list.
func (n *Node) tick() {
	n.ticks.mu.Lock()
	defer n.ticks.mu.Unlock()
	now := n.now()
	n.ticks.servers = slices.DeleteFunc(n.ticks.servers, func(s *server) bool {
		q := &s.applies
		if s.stopError() != nil {
			return true
		}
		if q.ticking.next > now {
			return false
		}
		n.nextTickLocked(s, now)
		return !q.ticking.waiting.Swap(true) && !q.do(q.tick)
	})
	n.armTicksLocked()
}

// tick calls the machine, and its companion.
func (q *applyQueue) tick() error {
	q.ticking.waiting.Store(false)
	effects, err := q.machine().Tick(q.server.node.clock())
	if err != nil {
		return err
	}
	q.effects.carry(effects)
	if effects, err = q.aux(AuxEvent{Kind: AuxTick}); err == nil {
		q.effects.carry(effects)
	}
	return err
}
