package raft

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/raft/transport"
)

// outstanding is a request that another node is to answer.
type outstanding struct {
	node NodeID // "" when any member may
	done func(answer)
}

// ask has a server perform an operation; done is called once, by any goroutine, unless it is forgotten before.
func (n *Node) ask(to ServerID, op any, size int, done func(answer)) question {
	if n.closed.Load() {
		done(failed(ErrClosed, NotApplied, false, ServerID{}))
		return question{}
	}
	if to.Node == n.id {
		s := n.server(to)
		if s == nil {
			done(n.absent(to))
			return question{}
		}
		s.perform(op, done)
		return question{server: s, op: op}
	}
	if n.cutOff(to.Node) {
		done(failed(ErrUnreachable, NotApplied, true, ServerID{}))
		return question{}
	}
	id := n.number()
	n.calls.Store(id, &outstanding{node: to.Node, done: done})
	if err := n.net.Send(to.Node, transport.Control, &request{id: id, to: to, call: op, size: size}); err != nil {
		n.complete(id, notSent(err))
	}
	return question{node: n, to: to.Node, id: id, op: op}
}

// notSent is the answer when the network did not take a request.
func notSent(err error) answer {
	switch {
	case errors.Is(err, transport.ErrTooLarge):
		return failed(fmt.Errorf("%w: %w", ErrTooLarge, err), NotApplied, false, ServerID{})
	case errors.Is(err, transport.ErrFull):
		return failed(fmt.Errorf("%w: %w", ErrBusy, err), NotApplied, true, ServerID{})
	}
	return failed(fmt.Errorf("%w: %w", ErrUnreachable, err), NotApplied, true, ServerID{})
}

// question is what a server was asked for: by itself when server is set, over the network when node is, else it is answered.
type question struct {
	server *server
	node   *Node
	to     NodeID
	id     uint64
	op     any
}

// forget says that nobody waits any more, which also ends the waiting of a query.
func (q *question) forget() {
	switch {
	case q.server != nil:
		q.server.withdraw(q.op)
	case q.node != nil:
		q.node.calls.Delete(q.id)
		if withdrawable(q.op) { // one that is lost costs the query's node an answer
			_ = q.node.net.Send(q.to, transport.Control, &withdrawal{q.id})
		}
	}
}

// absent is the answer for a server that does not run here.
func (n *Node) absent(id ServerID) answer {
	if n.knows(id.Name) {
		return failed(n.whyAbsent(id.Name), NotApplied, true, ServerID{})
	}
	return failed(ErrUnknownServer, NotApplied, true, ServerID{})
}

// whyAbsent is why a server of this node does not run that is not there.
func (n *Node) whyAbsent(name string) error {
	if x, ok := n.failures.Load(name); ok {
		return fmt.Errorf("%w: %w", ErrStopped, x.(error))
	}
	return ErrStopped
}

// await is ask for who waits. Nothing is asked when ctx has ended; when it ends later, but before the answer, nobody knows
// what becomes of it.
func (n *Node) await(ctx context.Context, to ServerID, op any, size int) answer {
	if ctx.Err() != nil {
		return failed(context.Cause(ctx), NotApplied, true, ServerID{})
	}
	c := n.callers.caller()
	a, received := n.answerTo(ctx, n.ask(to, op, size, c.done), c.answers)
	if received {
		n.callers.waiting.Put(c)
	}
	return a
}

// complete answers a request of this node.
func (n *Node) complete(id uint64, a answer) {
	if x, ok := n.calls.LoadAndDelete(id); ok {
		x.(*outstanding).done(a)
	}
}

// receiveResponse takes the answer of another node, if it was asked.
func (n *Node) receiveResponse(from NodeID, p *response) {
	if x, ok := n.calls.Load(p.id); ok {
		if asked := x.(*outstanding).node; asked == "" || asked == from {
			n.complete(p.id, p.answer)
		}
	}
}

// valueOf is the value of an answer. Error: ErrMalformed when the node that answered made another one of it.
func valueOf[T any](a *answer) (T, error) {
	v, ok := a.any.(T)
	if !ok {
		return v, malformed("an answer with a %T for a %T", a.any, v)
	}
	return v, nil
}

// failCalls ends the requests to a node, "" for all: it may or may not have performed them.
func (n *Node) failCalls(node NodeID, err error) {
	var list []uint64
	n.calls.Range(func(k, x any) bool {
		if node == "" || x.(*outstanding).node == node {
			list = append(list, k.(uint64))
		}
		return true
	})
	slices.Sort(list)
	for _, id := range list {
		n.complete(id, failed(err, MaybeApplied, node != "", ServerID{}))
	}
}

// receiveRequest performs what another node's client asks for, once, also when the network repeats it.
func (n *Node) receiveRequest(from NodeID, r *request) {
	if !n.windowOf(from).first(r.id) {
		return
	}
	done := func(a answer) { _ = n.net.Send(from, transport.Control, &response{id: r.id, answer: a}) } // the client waits no longer than it likes
	if err := n.authorize(from, r); err != nil {
		done(failed(err, NotApplied, false, ServerID{}))
		return
	}
	switch op := r.call.(type) { // of the node, not of a server that is there
	case *opStart:
		n.spawn(func() { done(n.startFor(n.ctx, op)) })
		return
	case *opServer:
		n.spawn(func() { done(n.answerServer(r.to.Name, op)) })
		return
	}
	s := n.server(r.to)
	if s == nil {
		done(n.absent(r.to))
		return
	}
	switch c := r.call.(type) { // the packet is not ours
	case *opCommand:
		own := *c
		own.data = append([]byte(nil), c.data...) // it is stamped
		s.perform(&own, done)
	case *opQuery:
		own := *c
		n.performQuery(from, r, s, &own, done)
	case *opAux:
		own := *c
		n.performQuery(from, r, s, &own, done)
	default:
		s.perform(r.call, done)
	}
}

// askedQuery names a query that another node's client waits for.
type askedQuery struct {
	from NodeID
	id   uint64
}

// performQuery is perform for an operation of another node, which may be withdrawn.
func (n *Node) performQuery(from NodeID, r *request, s *server, op any, done func(answer)) {
	if !withdrawable(op) {
		s.perform(op, done)
		return
	}
	key := askedQuery{from, r.id}
	n.asked.Store(key, func() { s.withdraw(op) })
	s.perform(op, func(a answer) {
		n.asked.Delete(key)
		done(a)
	})
}

// receiveWithdrawal ends the waiting of a query of another node.
func (n *Node) receiveWithdrawal(from NodeID, w *withdrawal) {
	if f, ok := n.asked.LoadAndDelete(askedQuery{from, w.id}); ok {
		f.(func())()
	}
}

// respond answers a command whose origin is another request, here or elsewhere.
func (n *Node) respond(o Origin, a answer) {
	if o.Node == n.id {
		n.complete(o.Request, a)
		return
	}
	_ = n.net.Send(o.Node, transport.Control, &response{id: o.Request, answer: a})
}

// forward hands a command that nobody waits for to the leader that the server knows, if there is one.
func (n *Node) forward(s *server, c *ticket) {
	if to := s.leader.Load().leader; !to.IsZero() && to != s.id {
		n.ask(to, &opCommand{*c}, len(c.data), func(answer) {})
	}
}
