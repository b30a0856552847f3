package raft

import (
	"errors"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// writablePause is after how long a server tries again what its log had no room for, and nobody tells when it has.
const writablePause = 100 * time.Millisecond

// owed is what the log is to be given before anything else. It has no room for it while thousands of its records wait for the
// device, or has to look at the disk for it. The core knows it as done: nothing that depends on it leaves before the log
// has it durably, no vote and no acknowledgement, and entries behind it are refused.
type owed struct {
	hard *core.HardState // the newest, nil for none
	cut  bool            // behind to, or behind what was released since
	to   Index
	busy bool // another goroutine cuts the log
}

// write queues what the log is to hold. An error is one that ends the server.
func (s *server) write(e *core.Effects) error {
	if err := s.control(e); err != nil {
		return err
	}
	if len(e.Append) == 0 {
		return nil
	}
	err := error(engine.ErrBusy)
	if s.owed == nil {
		err = s.log.Append(e.Prev, e.Append)
	}
	switch {
	case errors.Is(err, engine.ErrBusy), errors.Is(err, engine.ErrReadOnly),
		len(e.Append) > 1 && errors.Is(err, engine.ErrTooLarge): // fewer may fit
		s.turn.again = append(s.turn.again, core.AppendFailed{Last: e.Prev})
		s.pending.lose(e.Prev.Index, ErrBusy)
		if !errors.Is(err, engine.ErrBusy) { // nobody tells when it takes entries again
			s.node.wheel.after(writablePause, func() { s.mail.Ready(nil) })
		}
		return nil
	case err == nil:
		s.count(CounterEntries, len(e.Append))
	}
	return err
}

// control gives the log the hard state and the truncation that a step asks for, behind those that it is owed.
func (s *server) control(e *core.Effects) error {
	if e.HardState == nil && !e.Truncate {
		return nil
	}
	if s.owed == nil {
		s.owed = new(owed)
	}
	if e.HardState != nil {
		s.owed.hard = e.HardState
	}
	if e.Truncate {
		s.owed.cut, s.owed.to = true, e.TruncateTo.Index // never above an earlier one: nothing was appended since
		s.pending.drop(ErrLost)                          // who still holds what is cut may commit it yet
	}
	return s.pay()
}

// pay gives the log what it is owed, as far as it takes that now. An error is one that ends the server.
func (s *server) pay() error {
	o := s.owed
	if o == nil || o.busy {
		return nil
	}
	if o.hard != nil {
		if err := s.log.SetHardState(*o.hard); err != nil {
			return s.payLater(err)
		}
		o.hard = nil
	}
	if o.cut {
		to := max(o.to, s.log.First()-1) // a snapshot may have been installed since
		if to >= s.log.First() && len(s.log.ReadMemory(nil, to, to, 0)) == 0 {
			s.cutCold(to)
			return nil
		}
		if err := s.log.TruncateTo(to); err != nil {
			return s.payLater(err)
		}
	}
	s.owed = nil
	return nil
}

// payLater tries again what the log did not take for a reason that passes.
func (s *server) payLater(err error) error {
	if !errors.Is(err, engine.ErrBusy) && !errors.Is(err, engine.ErrCompacted) {
		return err
	}
	s.node.wheel.after(writablePause, func() { s.mail.Ready(nil) })
	return nil
}

// cutCold cuts the log behind an entry that is not in memory. The engine reads from the disk what its term is, and a disk
// may hang: the server goes on meanwhile, but does not end.
func (s *server) cutCold(to Index) {
	o := s.owed
	wanted := o.to
	o.busy = true
	s.begun()
	s.node.spawn(func() {
		defer s.ended()
		err := s.log.TruncateTo(to)
		s.mail.do(func() {
			o.busy, o.cut = false, err != nil || o.to != wanted
			if err != nil {
				s.paid(s.payLater(err))
				return
			}
			s.logReady()
		}, nil)
	})
}

// logReady tries again what the log did not take.
func (s *server) logReady() {
	if !s.dead {
		s.paid(s.pay())
	}
}

// paid goes on behind an attempt to give the log what it is owed.
func (s *server) paid(err error) {
	switch {
	case err != nil:
		s.fail(err)
	case s.owed == nil:
		s.step(core.LogReady{})
	}
}
