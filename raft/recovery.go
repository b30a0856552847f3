package raft

import (
	"errors"
	"io"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/sched"
)

// recoveryWriters is how many servers of a node write their recovery checkpoints at a time.
const recoveryWriters = 2

// recoveryPatience is for how long a server that stops waits for what it has applied to be durable here: it may have
// been committed by the others.
const recoveryPatience = time.Second

// orderly reports whether a server that stops for this reason is to go on some day where it was.
func orderly(why error) bool { return errors.Is(why, ErrClosed) || errors.Is(why, errStopServer) }

// leaveRecovery has a server that has stopped leave a recovery checkpoint, if that spares the next start enough. It reports
// whether it will: then the server's end is told when it is done. Nothing of the server runs any more.
func (s *server) leaveRecovery() bool {
	if !orderly(s.stopError()) || !s.wantsRecovery() {
		return false
	}
	f := func() {
		sched.Wait(s.node.world, s.node.recoveries, nil, nil)
		s.writeRecovery()
		s.node.recoveries <- struct{}{} // there is room: it was taken from there
		s.tellEnd()
	}
	if errors.Is(s.stopError(), ErrClosed) {
		s.node.spawn(f) // Close waits for it
		return true
	}
	return s.node.background(f)
}

// wantsRecovery reports whether the newest captured state is far enough behind the machine.
func (s *server) wantsRecovery() bool {
	least := s.node.optionsOf(s.record).RecoveryInterval
	if least < 0 || s.applies.machine().Failed() {
		return false
	}
	newest := Index(0)
	if list := s.log.Snapshots(); len(list) > 0 {
		newest = list[len(list)-1].ID.Index
	}
	return s.applies.applied >= newest+Index(least)
}

// writeRecovery writes the checkpoint. One that cannot be written costs the next start time, and nothing else.
func (s *server) writeRecovery() {
	q := &s.applies
	if !s.awaitDurable(q.applied) {
		return
	}
	c, err := q.machine().Capture()
	if err == nil {
		err = s.captureRecovery(c)
	}
	if err != nil {
		s.node.opts.Logger.Warn("no recovery checkpoint", "server", s.id.String(), "at", uint64(q.applied), "err", err)
	}
}

func (s *server) captureRecovery(c *Capture) error {
	defer closeCapture(s, c)
	q := &s.applies
	done := make(chan error, 1)
	err := s.log.Capture(engine.Capture{
		Kind: engine.KindRecovery, At: c.At, Context: sealContext(q.config, q.configIndex, c.Context),
		State: func(w io.Writer) error {
			_, err := c.WriteTo(w)
			return err
		},
		Done: func(_ engine.Snapshot, err error) { done <- err },
	})
	if err != nil {
		return err
	}
	err, _ = sched.Wait(s.node.world, done, nil, nil)
	return err
}

// awaitDurable waits until the log is durable up to an entry, and reports whether it is.
func (s *server) awaitDurable(at Index) bool {
	moved := make(movedHandler, 1)
	s.log.SetHandler(moved)
	defer s.log.SetHandler(nil)
	sleep := s.node.world.Sleeper()
	defer sleep.Close()
	until := s.node.now() + int64(recoveryPatience)
	for s.log.LastWritten().Index < at {
		if sleep.Until(until, moved, nil) == sched.Due {
			return false
		}
	}
	return true
}

// movedHandler hears that something of a log is durable.
type movedHandler chan struct{}

// Written implements engine.Handler.
func (m movedHandler) Written(engine.Written) {
	select {
	case m <- struct{}{}:
	default:
	}
}

// Ready implements engine.Handler.
func (m movedHandler) Ready(*engine.Log) {}
