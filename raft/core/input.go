package core

// Input is one thing that happened to a server: one of the types of this file.
type Input interface{ isInput() }

type (
	// Recovered ends RoleRecover. The shell applies up to the commit index of Restore before anything else, now or meanwhile.
	Recovered struct{}
	// Received is a message from another server. It may be handed over by its address; it is neither changed nor kept.
	Received struct{ Message Message }
	// Timeout is the end of a timer that Effects.Timers set; Generation is that of the setting.
	Timeout struct {
		Timer      Timer
		Generation uint64
	}
	// Proposed are commands for the log, in their order. A server that does not lead, or must not
	// accept them now, answers with one Result for each. It may be handed over by its address; it is not kept.
	Proposed struct{ Proposals []Proposal }
	// Written says that the log is durable up to that entry, as the log itself has it. It may be handed over by its
	// address; it is not kept.
	Written struct{ ID EntryID }
	// HardStateWritten says that this record of Effects.HardState is durable, and those before it.
	HardStateWritten struct{ State HardState }
	// AppendFailed says that the log refused what the last Effects asked it to append, and how it ends
	// now; all other effects were carried out, a truncation too. LogReady follows.
	AppendFailed struct{ Last EntryID }
	// LogReady says that the log takes entries again.
	LogReady struct{}
	// Sent answers an Effects.Sends: entries up to Last, of that many bytes, are on their way.
	Sent struct {
		To    ServerID
		Last  Index
		Bytes int
	}
	// SendFailed answers an Effects.Sends whose entries could not be read or sent.
	SendFailed struct{ To ServerID }
	// Dispatched answers several Effects.Sends at once. It is handed over by its address, and not kept.
	Dispatched struct {
		Sent   []Sent
		Failed []SendFailed
	}
	// NodeDown says that a node had no contact with ours in both directions for the detection bound.
	NodeDown struct{ Node NodeID }
	// NodeUp says that there is contact with a node again.
	NodeUp struct{ Node NodeID }
	// LinkReset says that messages to a node may have been lost: a new connection, a dropped outbox.
	LinkReset struct{ Node NodeID }
	// LeaderLost says that a server may lead a term no longer: the connection to it was reset. With Over it
	// never leads that term again, from a notice of its node or because the node has a new life: then
	// nothing that it sent before brings the belief back. A leader that its node has given such a notice of steps down.
	LeaderLost struct {
		Leader ServerID
		Term   Term
		Over   bool
	}
	// TriggerElection makes a voter that does not lead start an election.
	TriggerElection struct{}
	// ChangeMembership asks the leader for one change of the configuration. Its Result follows when the
	// change is committed.
	ChangeMembership struct {
		Ref    uint64
		Change Change
		Member Member // of which a removal needs the address only, and a replacement the identity
		// Replaces is the life that a replacement ends.
		Replaces Incarnation
		// Expected is the index of the configuration that the change is meant for, 0 for any.
		Expected Index
	}
	// TransferLeadership asks the leader to hand over to a voter. The Result follows when this
	// server has another leader, or when the transfer failed.
	TransferLeadership struct {
		Ref uint64
		To  ServerID
	}
	// DiskStalled says that this node's log makes no progress, or takes no entries: a leader hands over if another voter seems to be
	// better off.
	DiskStalled struct{}
	// ForceShrink makes this server the only voter of a cluster with a new epoch, against all rules
	// of consensus: for disasters only. Epoch is drawn at random by the shell.
	ForceShrink struct {
		Ref   uint64
		Epoch uint64
	}
	// Read asks for an index behind which a read of the machine is linearizable. Its Ref travels, so it
	// is one that this incarnation never used, in an earlier life of the process neither.
	Read struct{ Ref uint64 }
	// CancelRead ends a Read without a Result.
	CancelRead struct{ Ref uint64 }
	// SnapshotTaken says that a snapshot is durable and the log released up to it. It is never taken at
	// or behind a KindDelete entry, which the server has to find again when it starts.
	SnapshotTaken struct{ ID EntryID }
	// SnapshotOffered carries a leader's offer to a peer: the shell chose the snapshot that Effects.Snapshots asked for.
	SnapshotOffered struct {
		To       ServerID
		Transfer uint64
		Snapshot SnapshotMeta
	}
	// SnapshotSent ends a transfer to a peer, well or not.
	SnapshotSent struct {
		To       ServerID
		Transfer uint64
		OK       bool
	}
	// SnapshotProgress says that bytes of a transfer arrived.
	SnapshotProgress struct{ Transfer uint64 }
	// SnapshotReceived says that all bytes of a transfer are here and verified, nothing is published.
	SnapshotReceived struct{ Transfer uint64 }
	// SnapshotFailed ends the receiving side of a transfer, also when an Effects.Install failed.
	SnapshotFailed struct{ Transfer uint64 }
	// Installed says that the log was replaced by a snapshot, durably.
	Installed struct{ Snapshot SnapshotMeta }
)

// Proposal is a command for the log.
type Proposal struct {
	// Kind is KindDelete or one of the shell's own.
	Kind uint8
	// Data is the payload. It must not be changed any more. The payload of KindDelete is the core's own.
	Data []byte
	// Ref is the shell's name for it.
	Ref uint64
}

// Change is how a configuration changes.
type Change uint8

const (
	// AddMember adds a member that is not one, with the membership that is asked for.
	AddMember Change = 1
	// RemoveMember removes a member. A leader may remove itself.
	RemoveMember Change = 2
	// SetMembership changes what a member counts for.
	SetMembership Change = 3
	// ReplaceMember puts another life of a server in the place of the one that is a member, whose log is lost. It has promised
	// nothing: a voter is promotable until it has caught up.
	ReplaceMember Change = 4
)

// Timer names a timer of a server.
type Timer uint8

const (
	// TimerElection starts an election.
	TimerElection Timer = iota
	// TimerRetransmit sends again what peers did not acknowledge.
	TimerRetransmit
	// TimerRead sends again what confirms or asks for reads.
	TimerRead
	// TimerTransfer ends a transfer of leadership.
	TimerTransfer
	// TimerSnapshot ends the receiving of a snapshot that makes no progress.
	TimerSnapshot
	// TimerVersions asks peers for their machine version.
	TimerVersions
	// TimerAwait ends a wait for a missing entry.
	TimerAwait
	Timers
)

func (Recovered) isInput()          {}
func (Received) isInput()           {}
func (Timeout) isInput()            {}
func (Proposed) isInput()           {}
func (Written) isInput()            {}
func (HardStateWritten) isInput()   {}
func (AppendFailed) isInput()       {}
func (LogReady) isInput()           {}
func (Sent) isInput()               {}
func (SendFailed) isInput()         {}
func (*Dispatched) isInput()        {}
func (NodeDown) isInput()           {}
func (NodeUp) isInput()             {}
func (LinkReset) isInput()          {}
func (LeaderLost) isInput()         {}
func (TriggerElection) isInput()    {}
func (ChangeMembership) isInput()   {}
func (TransferLeadership) isInput() {}
func (DiskStalled) isInput()        {}
func (ForceShrink) isInput()        {}
func (Read) isInput()               {}
func (CancelRead) isInput()         {}
func (SnapshotTaken) isInput()      {}
func (SnapshotOffered) isInput()    {}
func (SnapshotSent) isInput()       {}
func (SnapshotProgress) isInput()   {}
func (SnapshotReceived) isInput()   {}
func (SnapshotFailed) isInput()     {}
func (Installed) isInput()          {}
