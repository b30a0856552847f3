package raft

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/raft/core"
)

// Errors of nodes and servers.
var (
	// ErrClosed means that the node is closed, or was while the call waited.
	ErrClosed = errors.New("raft: node is closed")
	// ErrUnknownServer means that no server of that name is on the node.
	ErrUnknownServer = errors.New("raft: unknown server")
	// ErrStopped means that the server is stopped, or failed; the cause is wrapped.
	ErrStopped = errors.New("raft: server is stopped")
	// ErrRunning means that the server runs already.
	ErrRunning = errors.New("raft: server runs already")
	// ErrExists means that a server of that name, or a log of that uid, is there already.
	ErrExists = errors.New("raft: name or uid is in use")
	// ErrUnknownMachine means that no machine of that name is registered on the node.
	ErrUnknownMachine = errors.New("raft: unknown machine")
	// ErrUnknownQuery means that no query of that name is registered on the node.
	ErrUnknownQuery = errors.New("raft: unknown query")
	// ErrTooLarge means that a command exceeds the node's MaxCommandBytes.
	ErrTooLarge = errors.New("raft: command too large")
	// ErrNoLeader means that no leader was found before the context ended.
	ErrNoLeader = errors.New("raft: no leader")
	// ErrNotLeader means that the server does not lead.
	ErrNotLeader = core.ErrNotLeader
	// ErrUnreachable means that the node of the server cannot be reached now.
	ErrUnreachable = errors.New("raft: node cannot be reached")
	// ErrLost means that leadership, or the connection, was lost while the command was on its way.
	ErrLost = errors.New("raft: lost track of the command")
	// ErrNoAnswer means that no answer came for so long that it may be lost.
	ErrNoAnswer = errors.New("raft: no answer yet")
	// ErrClusterNotFormed means that a new cluster found no leader; what was started was deleted.
	ErrClusterNotFormed = errors.New("raft: cluster was not formed")
	// ErrMustJoin means that other members know the cluster: this one must be added to it, not start it.
	ErrMustJoin = errors.New("raft: the cluster exists, join it")
)

// Outcome says what may have become of a command whose proposal failed.
type Outcome uint8

// The outcomes.
const (
	// NotApplied means that the command was not applied and never will be by this attempt.
	NotApplied Outcome = iota
	// MaybeApplied means that it may have been applied, or may still be.
	MaybeApplied
)

// String names the outcome.
func (o Outcome) String() string {
	if o == NotApplied {
		return "not applied"
	}
	return "maybe applied"
}

// ProposalError is the error of every proposal that failed.
type ProposalError struct {
	// Err is why: one of this package's errors, or the context's.
	Err error
	// Outcome says what may have become of the command.
	Outcome Outcome
	// Retriable says that the same call may succeed later. With MaybeApplied a retry may apply the
	// command twice, but for the command of a session.
	Retriable bool
	// Leader is who may know better, zero when nobody is known.
	Leader ServerID
}

// Error describes the failure.
func (e *ProposalError) Error() string {
	return fmt.Sprintf("raft: proposal (%v): %v", e.Outcome, e.Err)
}

// Unwrap returns the cause.
func (e *ProposalError) Unwrap() error { return e.Err }
