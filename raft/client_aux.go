package raft

import (
	"context"

	"github.com/rawl-db/rawl/raft/core"
)

// AuxCommand hands a command to the AuxHandler of a member's machine, as an AuxCall, and returns its reply. It may come to an old
// state. Errors: ErrNoAux, the handler's own, ErrMachine, ErrUnknownServer, ErrStopped, ErrUnreachable, ErrLost, ctx's.
func (n *Node) AuxCommand(ctx context.Context, at ServerID, command []byte) ([]byte, error) {
	a := n.await(ctx, at, &opAux{command: clone(command)}, len(command))
	return a.reply, a.queryError()
}

// AuxCast hands a command to the AuxHandler of a member's machine, as an AuxCast, without waiting: it may be
// lost, and nobody hears of errors.
func (n *Node) AuxCast(at ServerID, command []byte) {
	n.ask(at, &opAux{command: clone(command), cast: true}, len(command), func(answer) {})
}

// ConsistentAux is AuxCommand behind every command that was answered before the call, on the member to, or on
// another when to cannot serve it: the leader confirms that it leads, as for ConsistentQuery. Errors: those of
// AuxCommand; a command whose answer was lost is not repeated.
func (n *Node) ConsistentAux(ctx context.Context, to ServerID, command []byte) ([]byte, error) {
	own := clone(command)
	a := n.insistAnywhere(ctx, to, func(at ServerID) answer {
		return n.await(ctx, at, &opAux{command: own, consistent: true}, len(own))
	}, ifNotApplied)
	return a.reply, a.queryError()
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

// consistentAux asks the machine's companion behind a round of the leader's.
func (s *server) consistentAux(op *opAux, done func(answer)) {
	op.ref = s.expect(func(r core.Result) {
		op.ref = 0
		if r.Err != nil {
			done(failed(r.Err, NotApplied, true, s.core.Leader()))
			return
		}
		s.applies.wait(applyWait{index: r.Index, call: &ticket{done: done}, run: func() { s.aux(op, done) }})
	})
	s.step(core.Read{Ref: op.ref})
}
