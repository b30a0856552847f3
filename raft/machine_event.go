package raft

// Event is what a machine hears of beside its users' commands: one of VersionChanged, SessionDown, NodeUp,
// NodeDown and TimedOut. Later versions may add others: ignore what you do not know.
type Event interface{ isEvent() }

// VersionChanged says that the machine version in force was raised. Meta.Version is the new one already.
type VersionChanged struct{ From, To uint64 }

// SessionDown says that a client session has ended. No command of it comes any more.
type SessionDown struct {
	Session SessionID
	Reason  DownReason
}

// NodeUp says that a monitored node is reachable. Armed is the index of the entry that asked for the
// monitor, 0 when StateEnter or another call did.
type NodeUp struct {
	Node        NodeID
	Incarnation uint64
	Armed       Index
}

// NodeDown says that a monitored node is not reachable; it may be alive. Armed is as in NodeUp.
type NodeDown struct {
	Node        NodeID
	Incarnation uint64
	Armed       Index
}

// TimedOut says that a timer ran out. Armed is the index of the entry that set it, 0 when StateEnter or
// another call did. A machine that sets a timer of the same name anew remembers the index when it set it, and
// ignores a TimedOut that was armed elsewhere.
type TimedOut struct {
	Name  string
	Armed Index
}

// DownReason says why a session ended.
type DownReason uint8

const (
	// SessionClosed means that the client closed it.
	SessionClosed DownReason = iota
	// SessionExpired means that its client's node was gone for too long.
	SessionExpired
)

func (VersionChanged) isEvent() {}
func (SessionDown) isEvent()    {}
func (NodeUp) isEvent()         {}
func (NodeDown) isEvent()       {}
func (TimedOut) isEvent()       {}
