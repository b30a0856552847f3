// Package core is consensus as a pure function: one Server is one member of a Raft cluster, Step takes one
// input and returns what follows from it. A server has no clock, no randomness, no I/O and no log of messages:
// the shell around it carries out effects and tells what came of them. A server belongs to one goroutine at a
// time. Equal inputs give equal effects.
//
// # Driving a server
//
// New takes what the log and the snapshot hold (Restore). When the machine has what was committed then,
// Recovered begins. From there on the shell steps the server with what happens:
//
//	Received                             a message, whole and verified; from whom it says is to be trusted
//	Written, HardStateWritten            what the log has durably
//	AppendFailed, LogReady               what the log refused, and when it accepts again
//	Timeout                              the end of a timer, with the generation of its setting
//	NodeDown, NodeUp, LinkReset          contact between nodes
//	LeaderLost                           a leadership that is over, or that may be
//	Proposed, Read, CancelRead, ChangeMembership, TransferLeadership, ForceShrink, TriggerElection, DiskStalled
//	Sent, SendFailed                     the answer to each Effects.Sends; Dispatched answers many
//	SnapshotOffered, SnapshotSent        the answers to each Effects.Snapshots; SnapshotSent ends a transfer
//	SnapshotProgress, SnapshotReceived, SnapshotFailed, Installed    the receiving side
//	SnapshotTaken                        the log was released up to a snapshot of this server's own
//
// Effects are carried out in the order of their fields, before the next input. What the log is asked for
// becomes durable in the order in which it was asked: a hard state before the entries behind it. Entries of
// an Effects.Sends are read from the log as it is when they are read; where it does not hold Prev any more the answer is
// SendFailed. Written is what the log has above its last truncation: a completion for entries that were
// cut since counts for nothing, even where equal ones followed.
//
// # Answers
//
// ChangeMembership, TransferLeadership, Read and ForceShrink are answered by exactly one Result, a CancelRead ends
// a Read without one. A proposal is answered by a Result only when it was refused and is in no log; one that was
// appended is the shell's to answer, when the entry at its index and term is committed or was overwritten. A
// server that has ended refuses everything with ErrEnded.
//
// # Roles
//
//	recover            nothing is answered but with a refusal
//	follower           follows a leader, or waits for one
//	pre_vote           asks whether it could win; nothing durable changes
//	candidate          asks for votes in a new term, once its own is durable
//	leader             replicates; its first entry, a noop, opens the term
//	await_condition    a follower that misses entries, or whose log takes none
//	receive_snapshot   a follower whose log is to be replaced
//	terminating        the cluster's deletion is committed; a leader waits until all have it
//	ended              nothing any more
//
// # Joining
//
// A promotable member becomes a voter by its own answer: that it has the newest configuration durably, and knows that to be
// committed. The match index alone, by which Ra promotes, may be that of a member that has gone since, and a voter more that does not
// answer can be the one by which the majority is missed. For the same reason an answer from before another change does not count.
//
// # What may be lost
//
// Any message may be lost, repeated, delayed or reordered: that costs time. A server keeps messages that name a term or
// a vote until the device has that; up to 256 of them, and a newer term drops them. Reads go on at the next
// leader. A crash loses what was not durable, and every request that was not answered.
//
// A newer leader's connection must not bring messages of an older connection: what is sent before the notice of
// a leadership's end and arrives behind it is told apart only while the process lives.
//
// # Formats
//
// Kinds of entries and their payloads: KindNoop (MarshalNoop), KindConfiguration (Configuration.Marshal), KindDelete
// (MarshalDelete). Each begins with its version byte. A newer one is ErrVersion, damage is ErrBadEntry. An append
// that holds either is dropped unread. A vote stands in HardState.Vote as the incarnation in 16 hexadecimal digits, a slash and
// the address.
//
// # Faults and their tests
//
// Every row of the fault model's tables A, C and E to H that concerns the core, and where it is tested by name; TestSimulation
// tries random histories besides. Rows about files, sessions and applying belong to other packages.
//
//	A7   TestA7HardStateThatStaysVolatile          term and vote that the disk does not take
//	C7   TestC7ReplacedMember, TestC7ReplacedNonVoter  a member whose log was lost
//	E5   TestE5LogBelowTheSnapshot, TestE5OldTail  log below an installed snapshot, and behind it
//	E6   TestE6UncommittedMembershipAndInstall     uncommitted membership survives an install
//	E7   TestE7InstallWhileCandidateOrReceiving    install while candidate, or while receiving
//	     TestE7FailedInstallWaits                  who could not install one is not sent the next at once
//	E8   TestE8TargetHasIt                         the target has the snapshot already
//	E9   TestE9SnapshotBelowCommit                 snapshot below what is committed
//	E10  TestE10TwoSnapshots                       two in a short time
//	E11  TestE11LogOfASnapshotOnly                 log that begins with a snapshot
//	E12  TestE12ReleaseWhilePeersRead              release under a reader
//	F1   TestF1Figure8                             Figure 8 of the Raft paper: commit by counting
//	F2   TestF2CommitOfUncheckedLog                commit passes what was checked
//	F3   TestF3PreVoteLeavesNoMark                 pre-vote leaves marks
//	F3   TestF3ScatteredPromises                   five members that have promised themselves to one another elect nobody
//	F4   TestF4CandidateAndPreVoter                candidate and pre-voter block each other
//	F5   TestF5HigherTermInEveryReply, TestF5NoticeOutlivesLateMessages
//	F6   TestF6DuplicateVote, TestF6VoteOutlivesRestart    a vote counted twice, or given twice
//	F7   TestF7ReorderedAnswers                    match goes back
//	F8   TestF8TermOfCompactedEntry                term of a compacted entry
//	F9   TestF9CommitNeverRegresses                committed entries regress
//	F10  TestF10WindowLeaksNothing                 bytes in flight leak
//	F11  TestF11NonVoterAndRemoved, TestF11RemovedLearns    non-voters and removed members disturb
//	F12  TestF12HardStateBehindLog                 vote of an old term
//	F13  TestF13EmptyAppend                        empty append truncates
//	F14  TestF14TransferWaitsForTheTarget          transfer to who is behind
//	F15  TestF15EveryRequestIsAnswered             an answer never comes
//	G1   TestG1ChangeBeforeTheNoop                 the single-server membership bug
//	G2   TestG2ConfigurationBehindCommit           configuration recovered up to the commit index only
//	G4   TestG4OverwrittenConfiguration            overwritten configuration stays
//	G5   TestG5RemovalUnblocks, TestG5PromotionAfterTransfer, TestG5PromotionOfWhoAnswers,
//	     TestG5PromotionAfterAnotherChange
//	G6   TestG6RemovalNeedsAMajority               partition and removal
//	G7   TestG7RemovedMembersFormNoQuorum          removed members' quorum; TestShrinkAndStrangers, TestShrinkForgetsRemoval, TestShrinkOvertaken,
//	     TestShrunkLeaderThatLeaves
//	H1   TestH1ReadBeforeTheNoop                   read before the term's first commit
//	H2   TestH2OldContact                          stale read after a pause
//	H4   TestH4ReadSeesACommit                     read of what no quorum has
//	     TestH4ReadAcrossEpochs                    read through an older epoch
//	     TestH4ReadWhileRecovering                 read before the machine has its state
//	H5   TestH5HandsOverToWhoIsBetterOff           a leader whose disk stalls or is full
//	H5   TestH5LeaderToldOfItsEnd                  a leader whose own turn hangs
//	H6   TestH6StalledFollower                     replication resumes after a stall
//	H9   TestH9Bridge, TestH9BridgeLosesItsLeader  bridges
package core
