package raft

import (
	"cmp"
	"slices"

	"github.com/rawl-db/rawl/raft/core"
)

// watchdog looks for servers whose turn does not end, whatever holds it: a device, a user's logger. The node lives, and so its
// heartbeats would vouch for what such a server leads.
type watchdog struct {
	alarm alarm
	every int64 // between two looks: half of what the quickest system's device may take
	next  int64
}

// watchTurns begins to look. A turn is late that has run for longer than the device of the server's system may take.
func (n *Node) watchTurns() {
	quickest := slices.MinFunc(n.systems, func(a, b *system) int { return cmp.Compare(a.stall.after, b.stall.after) })
	n.watchdog.every = int64(quickest.stall.after) / 2
	n.watchdog.alarm.ring = n.lookAtTurns
	n.watchdog.next = n.now() + n.watchdog.every
	n.wheel.set(&n.watchdog.alarm, n.watchdog.next)
}

// looksFor is how many looks a turn is allowed on a system: one more than there are intervals in what its device may take.
func (w *watchdog) looksFor(y *system) int { return 1 + int((int64(y.stall.after)+w.every-1)/w.every) }

// lookAtTurns runs on the wheel's goroutine. A look that comes late itself proves nothing about turns.
func (n *Node) lookAtTurns() {
	w, now := &n.watchdog, n.now()
	allowed := func(s *server) int { return w.looksFor(s.system()) }
	for _, s := range n.queue.late(now-w.next > w.every/2, allowed) {
		s.depose()
		n.spawn(func() { // it may be the logger that holds it up
			n.opts.Logger.Warn("a server is held up in its turn", "server", s.id.String())
		})
	}
	w.next = now + w.every
	n.wheel.set(&w.alarm, w.next)
}

// depose ends the leadership of a server that is held up: the others are told that it leads no more, and elect another. So does
// the server itself, once it goes on.
func (s *server) depose() {
	v := s.leader.Load()
	if v.leader != s.id {
		return
	}
	s.mail.put(core.LeaderLost{Leader: s.id, Term: v.term, Over: true})
	s.node.resigned(s, v)
}
