package core

import "errors"

// Effects is all that one Step asks for, to be carried out in the order of the fields. It and its slices
// belong to the server and are valid until its next Step.
type Effects struct {
	// HardState is queued to the log first: a HardStateWritten follows when it is durable.
	HardState *HardState
	// Truncate cuts the log behind TruncateTo.
	Truncate   bool
	TruncateTo EntryID
	// Append are entries to append behind Prev. If the log refuses them, AppendFailed is the next input.
	Prev   EntryID
	Append []Entry
	// Install publishes the snapshot whose bytes SnapshotReceived announced.
	Install *SnapshotMeta
	// InstallTransfer is its transfer.
	InstallTransfer uint64
	// Messages go out now.
	Messages []Message
	// Sends are entries to read from the log and to send: each is answered by Sent or SendFailed.
	Sends []Send
	// Snapshots are peers that need a snapshot: each is answered by SnapshotOffered or SnapshotSent.
	Snapshots []Head
	// Accept is a snapshot whose bytes are to be received.
	Accept *Accept
	// Abort ends the receiving of that transfer; 0 is none.
	Abort uint64
	// Commit is the commit index. Entries up to it are to be applied.
	Commit Index
	// Markers say from which entry on effects are to be realised, in their order.
	Markers []Marker
	// Timers are set, or stopped.
	Timers []SetTimer
	// Results end what the shell asked for.
	Results []Result
	// Reconfigured says that the configuration in effect is another one.
	Reconfigured bool
	// NewLeader says that what Server.Leader returns has changed.
	NewLeader bool
	// Ended says that this server is done: the cluster was deleted, or it was removed from it.
	Ended Ending
	// Refused says why the message of this Step was dropped unread, 0 when it was not: to be counted.
	Refused Refusal
	// Fault says that the server met what cannot be while everybody keeps the protocol. It
	// does nothing any more.
	Fault error
}

// Send asks for entries to be sent: from First to Last or as many of them, at least one, as MaxBytes
// allow. The message's Prev, Commit and Probe are given.
type Send struct {
	Head     Head
	Prev     EntryID
	First    Index
	Last     Index
	MaxBytes int
	Commit   Index
	Probe    bool
}

// Accept asks for the bytes of a snapshot from a leader.
type Accept struct {
	From     ServerID
	Transfer uint64
	Snapshot SnapshotMeta
}

// Marker is a change of role, as the machine sees it.
type Marker struct {
	Role Role
	Term Term
	// After is the last entry that belongs before it.
	After Index
}

// SetTimer sets a timer anew, to a span drawn between MinMS and MaxMS milliseconds, or stops it when
// MaxMS is 0. For TimerRetransmit the span is twice the round trip time, shifted left by Attempt.
type SetTimer struct {
	Timer        Timer
	Generation   uint64
	MinMS, MaxMS uint32
	Attempt      uint8
}

// Result ends what the shell asked for under Ref.
type Result struct {
	Ref uint64
	// Index is the entry of a change, or behind which a read is linearizable.
	Index Index
	// Err is nil when it was done.
	Err error
	// Maybe says, with an error, that it may have been or may still be done.
	Maybe bool
}

// Ending says why a server ends.
type Ending uint8

const (
	// EndDeleted says that the cluster was deleted and that the deletion is replicated.
	EndDeleted Ending = 1
	// EndRemoved says that this server was removed from the cluster.
	EndRemoved Ending = 2
)

// Refusal says why a message is not for this server.
type Refusal uint8

const (
	// RefusedAddress is the refusal of a message for another server, or for another life of this one.
	RefusedAddress Refusal = 1
	// RefusedCluster is that of a message from another cluster.
	RefusedCluster Refusal = 2
	// RefusedEpoch is that of a message from before or after a forced shrink.
	RefusedEpoch Refusal = 3
)

// Errors of results.
var (
	// ErrNotLeader is the answer of a server that does not lead; Server.Leader may know who does.
	ErrNotLeader = errors.New("core: not the leader")
	// ErrTransferring is the answer to proposals while leadership is handed over.
	ErrTransferring = errors.New("core: leadership is being transferred")
	// ErrDeleting is the answer to everything behind the deletion of the cluster.
	ErrDeleting = errors.New("core: the cluster is being deleted")
	// ErrChangeInProgress says that an earlier change of the configuration is not committed.
	ErrChangeInProgress = errors.New("core: a membership change is in progress")
	// ErrNotReady says that the leader has not yet committed an entry of its term.
	ErrNotReady = errors.New("core: the leader has committed nothing in its term yet")
	// ErrConfigurationMoved says that the configuration is not the expected one.
	ErrConfigurationMoved = errors.New("core: the configuration is another one")
	// ErrAlreadyMember says that the member to add is one.
	ErrAlreadyMember = errors.New("core: already a member")
	// ErrNotMember says that the address is not that of a member.
	ErrNotMember = errors.New("core: not a member")
	// ErrNotVoter says that the member does not vote.
	ErrNotVoter = errors.New("core: not a voter")
	// ErrBadMember says that the member to add is not valid, or that no voter would be left.
	ErrBadMember = errors.New("core: bad membership change")
	// ErrTransferTimeout says that the target of a transfer did not take over in time.
	ErrTransferTimeout = errors.New("core: the target did not take over")
	// ErrAlreadyLeader says that the target of a transfer leads already.
	ErrAlreadyLeader = errors.New("core: already the leader")
	// ErrRefused says that the log takes no entries now.
	ErrRefused = errors.New("core: the log takes no entries now")
	// ErrEnded is the answer of a server that is done: see Effects.Ended.
	ErrEnded = errors.New("core: the server has ended")
	// ErrProtocol is wrapped by faults.
	ErrProtocol = errors.New("core: the protocol was broken")
)
