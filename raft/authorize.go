package raft

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/raft/core"
)

// ErrForbidden says that the node of a server does not allow the call: NodeOptions.Authorize there refused it. It was not
// performed.
var ErrForbidden = errors.New("raft: the node does not allow the call")

// RemoteCall is what another node asks of a server here, for NodeOptions.Authorize.
type RemoteCall struct {
	// From is the node that asks, as the transport proved it.
	From NodeID
	// To is the server; on a call that starts one the one that is to be.
	To   ServerID
	Kind CallKind
}

// CallKind says what a call is about.
type CallKind uint8

// The kinds of calls. Look-ups are Members, MembersInfo, ServerOverview, and the questions who leads and which life of a server
// there is.
const (
	CallCommand    CallKind = iota + 1 // a command for the machine, a session's opening and closing among them
	CallQuery                          // a query that is registered here
	CallAux                            // a command for the machine's companion
	CallLookup                         // asks for what the server knows of itself and its cluster
	CallRejoin                         // puts a server without promises in the place of a member on the asking node, whose log is damaged
	CallMembership                     // adds, removes or changes a member
	CallLeadership                     // hands leadership over, or starts an election
	CallStart                          // starts a server, for a new cluster or to be added to one, or takes that back
	CallRestart                        // runs a server again that was stopped
	CallStop                           // stops a server
	CallDelete                         // deletes the cluster, or the server alone
	CallShrink                         // goes on without the others, for good
)

var callNames = [...]string{CallCommand: "command", CallQuery: "query", CallAux: "aux", CallLookup: "lookup",
	CallRejoin: "rejoin", CallMembership: "membership", CallLeadership: "leadership", CallStart: "start",
	CallRestart: "restart", CallStop: "stop", CallDelete: "delete", CallShrink: "shrink"}

// String is the kind's name.
func (k CallKind) String() string {
	if k == 0 || int(k) >= len(callNames) {
		return fmt.Sprintf("CallKind(%d)", uint8(k))
	}
	return callNames[k]
}

// Operator reports whether the kind is for operators, not for clients: it changes where servers are, or which of them leads.
func (k CallKind) Operator() bool { return k >= CallMembership }

// kindOf is 0 for what may not come from another node.
func kindOf(op any) CallKind {
	switch op := op.(type) {
	case *opCommand:
		if op.kind == CommandKind(core.KindDelete) {
			return CallDelete
		}
		return CallCommand
	case *opQuery:
		return CallQuery
	case *opAux:
		return CallAux
	case *opMembers, *opProgress, *opOverview, *opIdentity:
		return CallLookup
	case *opChange:
		return CallMembership
	case *opReplace:
		return CallRejoin
	case *opTransfer, *opTrigger:
		return CallLeadership
	case *opStart:
		return CallStart
	case *opServer:
		return [...]CallKind{callStart: CallStart, callRestart: CallRestart, callStop: CallStop, callDelete: CallDelete}[op.what]
	case *opShrink:
		return CallShrink
	}
	return 0
}

// authorize asks whether another node's call may be performed. Errors: ErrForbidden, wrapping what the user's hook says;
// ErrUnknownFormat for one that this code does not know.
func (n *Node) authorize(from NodeID, r *request) error {
	if op, ok := r.call.(*opUnknown); ok {
		return op.err()
	}
	kind := kindOf(r.call)
	if kind == 0 {
		return fmt.Errorf("%w: not from another node", ErrForbidden)
	}
	if n.opts.Authorize == nil {
		return nil
	}
	if err := n.opts.Authorize(RemoteCall{From: from, To: r.to, Kind: kind}); err != nil {
		return fmt.Errorf("%w: %v to %v: %w", ErrForbidden, kind, r.to, err)
	}
	return nil
}
