package raft

import (
	"context"

	"github.com/rawl-db/rawl/raft/transport"
)

// outstanding is a request that another node is to answer.
type outstanding struct {
	node NodeID // "" when any member may
	done func(answer)
}

// ask has a server perform an operation; done is called once, by any goroutine, unless forget is called before.
func (n *Node) ask(to ServerID, op any, size int, done func(answer)) (forget func()) {
	if n.closed.Load() {
		done(failed(ErrClosed, NotApplied, false, ServerID{}))
		return func() {}
	}
	if to.Node == n.id {
		if s := n.server(to); s != nil {
			s.perform(op, done)
		} else {
			done(n.absent(to))
		}
		return func() {}
	}
	if n.cutOff(to.Node) {
		done(failed(ErrUnreachable, NotApplied, true, ServerID{}))
		return func() {}
	}
	id := n.number()
	n.calls.Store(id, &outstanding{node: to.Node, done: done})
	if err := n.net.Send(to.Node, transport.Control, &request{id: id, to: to, call: op, size: size}); err != nil {
		n.complete(id, failed(ErrUnreachable, NotApplied, true, ServerID{}))
	}
	return func() { n.calls.Delete(id) }
}

// absent is the answer for a server that does not run here.
func (n *Node) absent(id ServerID) answer {
	if _, known := n.dir.get(id.Name); known {
		return failed(ErrStopped, NotApplied, true, ServerID{})
	}
	return failed(ErrUnknownServer, NotApplied, true, ServerID{})
}

// await is ask for who waits. When ctx ends first nobody knows what becomes of it.
func (n *Node) await(ctx context.Context, to ServerID, op any, size int) answer {
	ch := make(chan answer, 1)
	forget := n.ask(to, op, size, func(a answer) { ch <- a })
	select {
	case a := <-ch:
		return a
	case <-ctx.Done():
		forget()
		return failed(context.Cause(ctx), MaybeApplied, false, ServerID{})
	}
}

// complete answers a request of this node.
func (n *Node) complete(id uint64, a answer) {
	if x, ok := n.calls.LoadAndDelete(id); ok {
		x.(*outstanding).done(a)
	}
}

// failCalls ends the requests to a node, "" for all: it may or may not have performed them.
func (n *Node) failCalls(node NodeID, err error) {
	n.calls.Range(func(k, x any) bool {
		if node == "" || x.(*outstanding).node == node {
			n.complete(k.(uint64), failed(err, MaybeApplied, node != "", ServerID{}))
		}
		return true
	})
}

// receiveRequest performs what another node's client asks for.
func (n *Node) receiveRequest(from NodeID, r *request) {
	done := func(a answer) { _ = n.net.Send(from, transport.Control, &response{id: r.id, answer: a}) } // the client waits no longer than it likes
	if start, ok := r.call.(*opStart); ok {
		n.spawn(func() { done(n.startFor(n.ctx, start)) })
		return
	}
	s := n.server(r.to)
	if s == nil {
		done(n.absent(r.to))
		return
	}
	call := r.call
	if c, ok := call.(*opCommand); ok { // the packet is not ours, and the command is stamped
		own := *c
		own.data = append([]byte(nil), c.data...)
		call = &own
	}
	s.perform(call, done)
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
