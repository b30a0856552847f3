package raft

import (
	"time"

	"github.com/rawl-db/rawl/raft/core"
)

// timers are the core's timers of one server. They cost the node's wheel one alarm; stopping one costs nothing.
type timers struct {
	alarm  alarm
	at     [core.Timers]int64 // when each is due, 0 for never
	number [core.Timers]uint64
	next   int64 // what the alarm is set to, 0 for nothing
}

// setTimers takes over what a step asks for. Owned by whoever runs the mailbox.
func (s *server) setTimers(list []core.SetTimer) {
	t := &s.timers
	for i := range list {
		x := &list[i]
		if x.MaxMS == 0 {
			t.at[x.Timer] = 0
			continue
		}
		t.at[x.Timer] = s.node.now() + s.span(x)
		t.number[x.Timer] = x.Generation
	}
	s.armTimers()
}

// armTimers sets the alarm to the earliest timer, if it is not set to an earlier moment.
func (s *server) armTimers() {
	t, next := &s.timers, int64(0)
	for _, at := range t.at {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	if next != 0 && (t.next == 0 || next < t.next) {
		t.next = next
		s.node.wheel.set(&t.alarm, next)
	}
}

// timersDue steps the server with the timers that are due.
func (s *server) timersDue() {
	t := &s.timers
	t.next = 0
	now := s.node.now()
	for k := range t.at {
		if at := t.at[k]; at != 0 && at <= now {
			t.at[k] = 0
			s.step(core.Timeout{Timer: core.Timer(k), Generation: t.number[k]})
		}
	}
	s.armTimers()
}

const (
	minRetransmit = 20 * time.Millisecond
	maxRetransmit = time.Second
)

// span draws how long a timer runs, in nanoseconds.
func (s *server) span(x *core.SetTimer) int64 {
	if x.Timer == core.TimerRetransmit {
		span := max(2*s.node.roundTrip(s.watching), 4*s.node.pace.get(), minRetransmit)
		return int64(min(span<<min(x.Attempt, 8), maxRetransmit))
	}
	least, spread := int64(x.MinMS)*int64(time.Millisecond), int64(x.MaxMS-x.MinMS)*int64(time.Millisecond)
	if x.Timer == core.TimerElection {
		crowd := s.node.crowd() * int64(electionShare)
		least, spread = max(least, crowd/4), max(spread, crowd)
	}
	return least + s.node.random(spread+1)
}

// electionShare is the time that a node with many elections at once gives each: drawn from a shorter span they would
// overtake each other's messages, and be held again. None is begun, or given up, before a quarter of the span.
const electionShare = 500 * time.Microsecond

// crowd is how many servers of the node wait for a timer, or are about to. A server at rest waits for none.
func (n *Node) crowd() int64 { return int64(n.wheel.waiting()) + n.restarting.Load() }
