package raft

import (
	"errors"

	"github.com/rawl-db/rawl/raft/core"
)

// lowPerTurn is how many commands of low priority one turn appends.
const lowPerTurn = 16

// proposeAll appends commands: those of normal priority, and of the others as many as there is room for in a turn.
func (s *server) proposeAll(calls []*ticket) {
	normal := calls[:0] // nobody else has the slice
	for _, c := range calls {
		if c.priority == Low {
			s.low = append(s.low, c)
		} else {
			normal = append(normal, c)
		}
	}
	n := min(lowPerTurn, len(s.low))
	normal = append(normal, s.low[:n]...)
	if s.low = s.low[n:]; len(s.low) > 0 {
		s.mail.do(func() { s.proposeAll(nil) }, nil)
	} else {
		s.low = nil
	}
	s.propose(normal)
}

// propose appends commands that the session table and the bounds admit.
func (s *server) propose(calls []*ticket) {
	now := s.node.clock()
	admitted := calls[:0] // what is done with makes room
	proposals := s.turn.proposed.Proposals
	flight := s.pending.flight()
	for _, c := range calls {
		if s.dead {
			c.fail(s.stopError(), NotApplied, true)
			continue
		}
		if !s.admit(c, flight) {
			continue
		}
		if c.kind >= FirstCommandKind {
			if err := StampCommand(c.data, now); err != nil {
				c.fail(err, NotApplied, false)
				continue
			}
		}
		flight += len(c.data)
		proposals = append(proposals, core.Proposal{Kind: uint8(c.kind), Data: c.data, Ref: uint64(len(admitted))})
		admitted = append(admitted, c)
	}
	if len(admitted) == 0 {
		return
	}
	s.turn.proposed.Proposals = proposals
	e := s.core.Step(&s.turn.proposed)
	s.turn.proposed.Proposals = kept(proposals)
	for _, r := range e.Results {
		if r.Ref < uint64(len(admitted)) && admitted[r.Ref] != nil {
			s.refuse(admitted[r.Ref], r.Err)
			admitted[r.Ref] = nil
		}
	}
	e.Results = e.Results[:0]
	s.pending.add(admitted, e.Append)
	s.countProposed(admitted)
	if n := len(e.Append); n > 0 {
		s.sample.begin(s, e.Append[n-1].Index)
	}
	s.carry(e)
	s.drain()
}

// admit reports whether a command may be appended; if not its caller is answered.
func (s *server) admit(c *ticket, flight int) bool {
	if s.core.Role() != core.RoleLeader {
		s.refuse(c, ErrNotLeader)
		return false
	}
	if flight+len(c.data) > s.node.opts.UnappliedBytes && flight > 0 {
		s.count(CounterRefused, 1)
		c.fail(ErrBusy, NotApplied, true)
		return false
	}
	if c.kind == KindSessionOpen {
		if err := s.applies.machine().AdmitOpen(c.open); err != nil {
			c.fail(err, NotApplied, false)
			return false
		}
	}
	if c.session.ID == 0 || c.kind != KindUser {
		return true
	}
	a, err := s.applies.machine().Admit(c.session, c.priority)
	switch {
	case err != nil:
		c.fail(err, NotApplied, errors.Is(err, ErrBusy))
		return false
	case a.Answered:
		c.answer(answer{reply: a.Reply, status: a.Status, leader: s.id})
		return false
	}
	return true
}

// refuse answers a command that the core did not take.
func (s *server) refuse(c *ticket, err error) {
	e := &ProposalError{Err: err, Outcome: NotApplied, Retriable: true, Leader: s.core.Leader()}
	switch {
	case errors.Is(err, core.ErrRefused), errors.Is(err, core.ErrTransferring):
		e.Err = errors.Join(ErrBusy, err)
	case errors.Is(err, core.ErrDeleting):
		e.Retriable = false
	}
	c.answer(answer{err: e, leader: e.Leader})
}
