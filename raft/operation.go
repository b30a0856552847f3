package raft

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/raft/core"
)

// Query reads a machine's state on the goroutine that applies: it must return soon, must not change the state and must
// not keep any of it that is not a copy. arg must not be changed.
type Query func(machine Machine, arg []byte) (result []byte, err error)

// The operations that a client asks a server for, on this node or another.
type (
	// opCommand is a command for the log.
	opCommand struct{ ticket }
	// opQuery runs a query: of a name over the network, else the function.
	opQuery struct {
		name  string
		arg   []byte
		f     func(Machine) (any, error)
		level queryLevel
		// at is what must be applied before, of opLocal.
		at   EntryID
		done func(answer)
		// group is whose read it shares, while one is asked for, and slot its place there. They belong to whoever runs the
		// server's mailbox.
		group *readGroup
		slot  int
	}
	// opMembers asks for the configuration.
	opMembers struct{}
	// opChange changes the membership.
	opChange struct{ change core.ChangeMembership }
	// opReplace puts another server of the node that asks in the place of a member there, whose log is damaged.
	opReplace struct {
		replaces core.Incarnation
		by       core.Identity
	}
	// opTransfer hands leadership over.
	opTransfer struct{ to ServerID }
	// opTrigger starts an election, unless a leader is known if that is asked for.
	opTrigger struct{ unlessLed bool }
	// opAux hands a command to the companion of the machine.
	opAux struct {
		command []byte
		cast    bool // nobody waits
		// consistent has it wait for all that was committed before.
		consistent bool
		ref        uint64 // the core's read while one is asked for, of whoever runs the mailbox
	}
	// opProgress asks the leader how far its peers are.
	opProgress struct{}
	// opOverview asks for everything there is to say.
	opOverview struct{}
	// opIdentity asks for a server's life, for whoever wants to add it.
	opIdentity struct{}
)

// queryLevel is how late a query runs. The numbers are frozen: they travel between nodes.
type queryLevel uint8

const (
	queryLocal queryLevel = iota
	queryLeader
	queryConsistent
)

// perform carries out an operation, which is the server's own then, and calls done once, by any goroutine.
func (s *server) perform(op any, done func(answer)) {
	if err := s.stopError(); err != nil {
		done(s.afterStop(op, err))
		return
	}
	switch op := op.(type) {
	case *opCommand:
		if !op.kind.Proposable() && op.kind != CommandKind(core.KindDelete) {
			done(failed(fmt.Errorf("%w: %v is no command of a client's", ErrMalformed, op.kind), NotApplied, false, ServerID{}))
			return
		}
		op.done = done
		s.enqueue(&op.ticket)
	case *opQuery:
		op.done = done
		s.query(op)
	default:
		s.owned(done, func() { s.performOwned(op, done) })
	}
}

// afterStop is the answer of a server that has stopped. Who asks it for the members hears who they were when it
// knew, and of no leader: a client that knows nobody else finds the cluster by them.
func (s *server) afterStop(op any, why error) answer {
	if _, ok := op.(*opMembers); ok {
		if v := s.leader.Load(); v != nil && len(v.members) > 0 {
			return answer{any: core.Configuration{Members: v.members}}
		}
	}
	return failed(why, NotApplied, true, ServerID{})
}

// owned has f run by whoever runs the mailbox; done hears when there is nobody any more.
func (s *server) owned(done func(answer), f func()) {
	lost := func() { done(failed(s.stopError(), NotApplied, true, ServerID{})) }
	if !s.mail.do(f, lost) {
		lost()
	}
}

// performOwned carries out what needs the core.
func (s *server) performOwned(op any, done func(answer)) {
	switch op := op.(type) {
	case *opMembers:
		c, i := s.core.Configuration()
		done(answer{any: c, index: i, leader: s.core.Leader()})
	case *opChange:
		in := op.change
		in.Ref = s.expect(s.resultTo(done))
		s.step(in)
	case *opReplace:
		s.step(core.ChangeMembership{Ref: s.expect(s.resultTo(done)), Change: core.ReplaceMember, Replaces: op.replaces,
			Member: core.Member{Identity: op.by}})
	case *opTransfer:
		s.step(core.TransferLeadership{Ref: s.expect(s.resultTo(done)), To: op.to})
	case *opShrink:
		s.step(core.ForceShrink{Ref: s.expect(s.resultTo(done)), Epoch: op.epoch})
	case *opTrigger:
		if !op.unlessLed || s.core.Leader().IsZero() {
			s.step(core.TriggerElection{})
		}
		done(answer{leader: s.core.Leader()})
	case *opAux:
		s.count(CounterAuxCommands, 1)
		if op.consistent {
			s.consistentAux(op, done)
			return
		}
		s.aux(op, done)
	case *opProgress:
		s.progress(done)
	case *opOverview:
		s.overviewOf(done)
	case *opIdentity:
		done(answer{any: s.record.identity(s.id.Node), leader: s.core.Leader()})
	default:
		done(failed(fmt.Errorf("raft: operation %T is unknown", op), NotApplied, false, ServerID{}))
	}
}

func failed(err error, o Outcome, retriable bool, leader ServerID) answer {
	return answer{err: &ProposalError{Err: err, Outcome: o, Retriable: retriable, Leader: leader}, leader: leader}
}

// resultTo answers with the end of what the core was asked for.
func (s *server) resultTo(done func(answer)) func(core.Result) {
	return func(r core.Result) {
		a := answer{index: r.Index, leader: s.core.Leader()}
		if r.Err != nil {
			o := NotApplied
			if r.Maybe {
				o = MaybeApplied
			}
			again := errors.Is(r.Err, core.ErrNotLeader) || errors.Is(r.Err, core.ErrNotReady) ||
				errors.Is(r.Err, core.ErrChangeInProgress) || errors.Is(r.Err, core.ErrTransferring) || errors.Is(r.Err, core.ErrTransferTimeout)
			a = failed(r.Err, o, again, s.core.Leader())
		}
		done(a)
	}
}

// query runs a query as late as its level demands: a local one at once or when its entry is applied, a leader's where this
// server leads, a consistent one behind everything that was committed before it was asked.
func (s *server) query(op *opQuery) {
	if op.level == queryConsistent {
		s.count(CounterConsistentQueries, 1)
	} else {
		s.count(CounterLocalQueries, 1)
	}
	switch op.level {
	case queryLocal:
		s.applies.when(op.at.Index, op)
	case queryLeader:
		s.owned(op.done, func() {
			if s.core.Role() != core.RoleLeader {
				op.done(failed(ErrNotLeader, NotApplied, true, s.core.Leader()))
				return
			}
			s.applies.when(0, op)
		})
	default:
		if !s.mail.read(op) {
			op.done(failed(s.stopError(), NotApplied, true, ServerID{}))
		}
	}
}

// withdraw ends the waiting of an operation that nobody wants to hear of any more, if it waits for the core or for entries
// and has not begun.
func (s *server) withdraw(op any) {
	switch op := op.(type) {
	case *opQuery:
		s.mail.do(func() {
			s.withdrawRead(op)
			s.applies.withdraw(op)
		}, nil)
	case *opAux:
		if op.consistent {
			s.mail.do(func() { s.cancelRead(&op.ref) }, nil)
		}
	}
}

// cancelRead ends a read of the core's, 0 for none.
func (s *server) cancelRead(ref *uint64) {
	if *ref != 0 {
		delete(s.results, *ref)
		s.step(core.CancelRead{Ref: *ref})
		*ref = 0
	}
}

// withdrawable reports whether withdraw does anything about an operation.
func withdrawable(op any) bool {
	if aux, ok := op.(*opAux); ok {
		return aux.consistent
	}
	_, query := op.(*opQuery)
	return query
}

// runQuery runs on the goroutine that applies.
func (s *server) runQuery(op *opQuery) {
	if op.at.Index > 0 && s.applies.machine().At().Index >= op.at.Index {
		if t, err := s.log.Term(op.at.Index); err == nil && op.at.Term != 0 && t != op.at.Term {
			op.done(failed(ErrLost, NotApplied, false, ServerID{}))
			return
		}
	}
	a := answer{index: s.applies.applied}
	var err error
	m := s.applies.machine().Machine()
	refused := guard("Query", s.applies.applied, func() {
		if op.f != nil {
			a.any, err = op.f(m)
			return
		}
		q, ok := s.node.queries.get(op.name)
		if !ok {
			err = fmt.Errorf("%w: %q", ErrUnknownQuery, op.name)
			return
		}
		a.reply, err = q(m, op.arg)
	})
	if refused != nil {
		err = refused
	}
	if err != nil {
		a = failed(err, NotApplied, false, ServerID{})
	}
	op.done(a)
}

// aux asks the machine's companion.
func (s *server) aux(op *opAux, done func(answer)) {
	event := AuxEvent{Kind: AuxCall, Command: op.command}
	if op.cast {
		event.Kind = AuxCast
	}
	lost := func() { done(failed(s.stopError(), MaybeApplied, true, ServerID{})) }
	ok := s.applies.ask(func() error {
		reply, effects, err := s.applies.machine().Aux(event)
		if errors.Is(err, ErrMachine) {
			done(failed(err, NotApplied, false, ServerID{}))
			return err
		}
		s.applies.effects.carry(effects)
		if err != nil {
			done(failed(err, NotApplied, false, ServerID{}))
			return nil
		}
		done(answer{reply: reply})
		return nil
	}, lost)
	if !ok {
		lost()
	}
}
