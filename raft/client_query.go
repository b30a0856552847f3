package raft

import "context"

// QueryOptions say when a local query may run.
type QueryOptions struct {
	// Applied, when its index is not 0, delays the query until that entry is applied here: a client reads what it wrote
	// (Reply.ID). When an entry of another term stands there the error is ErrLost; term 0 is any.
	Applied EntryID
}

// LocalQuery runs f with the machine of a server of this node, on the goroutine that applies; what Query says of f holds. What it
// sees may be old. Errors: ErrUnknownServer, ErrStopped, ErrLost, f's own, ctx's; ErrMachine when f panics.
func (n *Node) LocalQuery(ctx context.Context, name string, f func(Machine) (any, error), o QueryOptions) (any, error) {
	a := n.await(ctx, ServerID{Name: name, Node: n.id}, &opQuery{f: f, level: queryLocal, at: o.Applied}, 0)
	return a.any, a.queryError()
}

// QueryMember runs a registered query on the machine of any member. What it sees may be old. arg is copied. Errors: those of
// LocalQuery, ErrUnknownQuery, ErrUnreachable, ErrBusy and ErrTooLarge, when the outbox to its node is full, or smaller than arg.
func (n *Node) QueryMember(ctx context.Context, at ServerID, query string, arg []byte, o QueryOptions) ([]byte, error) {
	a := n.await(ctx, at, &opQuery{name: query, arg: clone(arg), level: queryLocal, at: o.Applied}, len(arg))
	return a.reply, a.queryError()
}

// LeaderQuery runs a registered query on the machine of the leader: what it sees may be old only while a partition leaves
// two servers that believe to lead. Errors: those of QueryMember, ErrNoLeader.
func (n *Node) LeaderQuery(ctx context.Context, to ServerID, query string, arg []byte) ([]byte, error) {
	own := clone(arg)
	a := n.insist(ctx, to, func(at ServerID) answer {
		return n.await(ctx, at, &opQuery{name: query, arg: own, level: queryLeader}, len(own))
	}, ifRetriable)
	return a.reply, a.queryError()
}

// ConsistentQuery runs a registered query on the machine of a member, behind every command that was answered before the
// call: a linearizable read, without a write (Raft thesis §6.4). The member asks the leader for the index; when
// to is on this node it runs here. Errors: those of QueryMember.
func (n *Node) ConsistentQuery(ctx context.Context, to ServerID, query string, arg []byte) ([]byte, error) {
	own := clone(arg)
	a := n.insistAnywhere(ctx, to, func(at ServerID) answer {
		return n.await(ctx, at, &opQuery{name: query, arg: own, level: queryConsistent}, len(own))
	}, ifRetriable)
	return a.reply, a.queryError()
}

// ConsistentRead is ConsistentQuery for a function and a server of this node.
func (n *Node) ConsistentRead(ctx context.Context, name string, f func(Machine) (any, error)) (any, error) {
	a := n.await(ctx, ServerID{Name: name, Node: n.id}, &opQuery{f: f, level: queryConsistent}, 0)
	return a.any, a.queryError()
}

// queryError is the cause alone: a query changes nothing.
func (a *answer) queryError() error {
	if a.err != nil {
		return a.err.Err
	}
	return nil
}
