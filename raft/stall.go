package raft

import (
	"sync"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// stall hands leaders over while their system's device answers nothing, or is full: the node's heartbeats go on, so nobody else
// would take their place. There is one attempt in twice the detection bound, however often the device changes its mind.
type stall struct {
	system *system
	after  time.Duration // for how long the device may take

	mu      sync.Mutex
	stalled bool
	next    int64 // when leaders may be told again
	again   alarm // a transfer may fail, and a server may have won while the device stalled
}

// heard takes an event of the engine, on the engine's goroutine. A device that failed is nothing to build on: the servers
// stop, and say so to their peers.
func (s *stall) heard(e engine.Event) {
	if e.Kind != engine.EventHealth {
		return
	}
	if e.Health == engine.HealthFailed {
		for _, x := range s.system.running() {
			x.mail.do(func() { x.fail(e.Err) }, nil)
		}
	}
	s.mu.Lock()
	was := s.stalled
	s.stalled = e.Health == engine.HealthStalled || e.Health == engine.HealthReadOnly
	now := s.stalled
	s.mu.Unlock()
	if now && !was {
		s.ring()
	}
}

// ring has every leader here hand over, and looks again later.
func (s *stall) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stalled {
		return
	}
	n := s.system.node
	if now := n.now(); now < s.next {
		n.wheel.set(&s.again, s.next)
		return
	}
	for _, x := range s.system.running() {
		if core.Role(x.role.Load()) == core.RoleLeader {
			x.mail.put(core.DiskStalled{})
		}
	}
	s.next = n.now() + int64(2*n.opts.DetectionBound)
	n.wheel.set(&s.again, s.next)
}

// stallAfter is the default for how long the device of a system may take.
func stallAfter(detectionBound, slowAfter time.Duration) time.Duration {
	return max(2*detectionBound, slowAfter, time.Second)
}
