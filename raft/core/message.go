package core

// Message is what one server tells another. Messages may be lost, repeated, delayed and reordered: that
// costs time, never safety.
type Message struct {
	Head
	Body Body
}

// Head says between whom a message travels, and in which term its sender is.
type Head struct {
	Cluster ClusterID
	Epoch   uint64
	From    ServerID
	To      ServerID
	FromInc Incarnation
	ToInc   Incarnation
	Term    Term
}

// Body is one of the message types of this file.
type Body interface {
	isBody()
	// Size is about how many bytes the body takes beside the head.
	Size() int
}

// Size is about how many bytes the message takes on its way, for bounds of queues.
func (m *Message) Size() int {
	return 72 + len(m.From.Name) + len(m.From.Node) + len(m.To.Name) + len(m.To.Node) + m.Body.Size()
}

type (
	// PreVote asks whether an election could be won (Raft thesis §9.6). It changes nothing at either end.
	PreVote struct {
		// Token tells the rounds of one server apart.
		Token uint64
		// Next is the term that the election would have.
		Next Term
		Last EntryID
		// Protocol and Machine are the versions that the sender could lead with.
		Protocol uint32
		Machine  uint64
	}
	// PreVoteReply answers a PreVote.
	PreVoteReply struct {
		Token   uint64
		Granted bool
	}
	// Vote asks for a vote in the head's term.
	Vote struct {
		Last EntryID
		// Transfer says that the leader asked for this election: it is no disturbance.
		Transfer bool
	}
	// VoteReply answers a Vote.
	VoteReply struct {
		Granted bool
	}
	// Append replicates entries, and with none tells the commit index.
	Append struct {
		Prev   EntryID
		Commit Index
		// Probe wants an answer in every state.
		Probe   bool
		Entries []Entry
	}
	// AppendReply says what the follower's log has in common with the leader's.
	AppendReply struct {
		// Durable is the newest entry that is durable at the follower and was checked
		// against the log of this term's leader.
		Durable EntryID
		// Next is the entry that the follower wants next.
		Next Index
		// Commit is the follower's commit index.
		Commit Index
		// Rejected is the Prev that did not fit, zero when nothing was refused. Hint is then an entry of the
		// follower that may be the newest which both logs have.
		Rejected EntryID
		Hint     EntryID
	}
	// Round asks a voter to confirm that the sender still leads (Raft thesis §6.4).
	Round struct {
		Number uint64
	}
	// RoundReply confirms that very round.
	RoundReply struct {
		Number uint64
	}
	// ReadIndex asks the leader for an index behind which a read is linearizable.
	ReadIndex struct {
		Ref uint64
	}
	// ReadIndexReply answers; OK is false when the receiver does not lead.
	ReadIndexReply struct {
		Ref   uint64
		Index Index
		OK    bool
	}
	// TimeoutNow asks the target of a transfer to start an election in this term (Raft thesis §3.10).
	TimeoutNow struct {
		Last EntryID
	}
	// Offer announces a snapshot that the follower needs; its bytes travel apart.
	Offer struct {
		// Transfer tells the transfers of one leader apart.
		Transfer uint64
		Snapshot SnapshotMeta
	}
	// OfferReply accepts an offer. A follower that does not need the snapshot sends an AppendReply.
	OfferReply struct {
		Transfer uint64
	}
	// Info asks for the version of the machine that a server has.
	Info struct{}
	// InfoReply answers.
	InfoReply struct {
		Machine uint64
	}
	// Gone answers for a server that its node deleted.
	Gone struct{}
	// Removed answers who wants an election and is no member any more. Index is the committed entry by which it is none.
	Removed struct {
		Index Index
	}
)

// SnapshotMeta is what a snapshot says of itself.
type SnapshotMeta struct {
	// ID is the last entry that it stands for.
	ID EntryID
	// Configuration was in effect at ID, from the entry at ConfigurationIndex on.
	Configuration      Configuration
	ConfigurationIndex Index
	// Machine is the version that the machine had at ID.
	Machine uint64
}

func (PreVote) isBody()        {}
func (PreVoteReply) isBody()   {}
func (Vote) isBody()           {}
func (VoteReply) isBody()      {}
func (Append) isBody()         {}
func (AppendReply) isBody()    {}
func (Round) isBody()          {}
func (RoundReply) isBody()     {}
func (ReadIndex) isBody()      {}
func (ReadIndexReply) isBody() {}
func (TimeoutNow) isBody()     {}
func (Offer) isBody()          {}
func (OfferReply) isBody()     {}
func (Info) isBody()           {}
func (InfoReply) isBody()      {}
func (Gone) isBody()           {}
func (Removed) isBody()        {}

// Size implements Body.
func (PreVote) Size() int { return 44 }

// Size implements Body.
func (PreVoteReply) Size() int { return 9 }

// Size implements Body.
func (Vote) Size() int { return 17 }

// Size implements Body.
func (VoteReply) Size() int { return 1 }

// Size implements Body.
func (b Append) Size() int {
	n := 25
	for i := range b.Entries {
		n += 24 + len(b.Entries[i].Data)
	}
	return n
}

// Size implements Body.
func (AppendReply) Size() int { return 64 }

// Size implements Body.
func (Round) Size() int { return 8 }

// Size implements Body.
func (RoundReply) Size() int { return 8 }

// Size implements Body.
func (ReadIndex) Size() int { return 8 }

// Size implements Body.
func (ReadIndexReply) Size() int { return 17 }

// Size implements Body.
func (TimeoutNow) Size() int { return 16 }

// Size implements Body.
func (b Offer) Size() int { return 64 + 64*len(b.Snapshot.Configuration.Members) }

// Size implements Body.
func (OfferReply) Size() int { return 8 }

// Size implements Body.
func (Info) Size() int { return 0 }

// Size implements Body.
func (InfoReply) Size() int { return 8 }

// Size implements Body.
func (Gone) Size() int { return 0 }

// Size implements Body.
func (Removed) Size() int { return 8 }
