// Package raft is the replicated layer above package engine: clusters of servers, each with a log and a machine of
// the user's, on the nodes of a distributed service.
//
// # Nodes and servers
//
// A Node is a place in the network, and one storage engine or several: its systems. It hosts any number of servers, each a
// member of a cluster: a log in one of the engines, a machine, and a name that is unique on the node. A server is started by
// StartCluster or StartServer and runs until StopServer, DeleteServer, Leave or the end of its cluster; a node that is opened again
// runs those that were not stopped (Servers tells why one does not). An orderly stop leaves a recovery checkpoint, so that
// the next start applies little again.
//
// NodeOptions.Dir is the default system's. Others, on disks of their own for example, are named in NodeOptions.Systems, and by
// the ServerConfig or ClusterConfig of the servers that are to be there: a system is where a member's log is, and members of one
// cluster need not agree on it. The default system also numbers the lives of the node.
//
// A node that has lost the disk of its default system is opened with an empty directory, under its old name: its life is numbered
// above the earlier ones by the clock, so that its peers hear it. The members that it had are no more. What asks for them is told so:
// StartOrRestart fails with ErrMustJoin, MembersInfo on the leader shows "gone", and messages to them count as
// CounterRefusedMessages if there is another server of that name. They vote and acknowledge nothing, since nobody knows what they had
// promised. RemoveMember, StartServer and AddMember put others in their place, which become voters when they have caught up.
//
// A member whose log or snapshot is damaged does not run, and Servers says what was found. It has lost what it promised, maybe its
// term and vote too, and so it does not come back as the voter that it was. It comes back as another one, by itself: when the leader sends
// to it, its node has that put an empty server in its place, which receives snapshot and log like a new member. The damaged log is
// deleted when a majority has committed that, not before; where none is left, all damaged logs stay for engine.Repair.
//
// Where the list of a system's servers is itself damaged the node does not open: a *DirectoryError says so. The logs of the
// servers are as they were, yet who was a member here, in which of its lives, is not known for certain, so none may vote. The node
// is opened with an empty directory, as one that has lost this disk, and its members are put back in the same way; what the old
// directory holds the command rawl shows. engine.Repair can give up the records that are lost. The servers that they name are
// forgotten then, and their logs deleted: that is for clusters that have no majority elsewhere.
//
// What fails stays where it is: a machine that panics, a log that is damaged, or entries that cannot be read, end one server, whose
// leadership is over at once; a machine that blocks holds up its own cluster, and in Restore for ten seconds at most those that wait for
// their turn to restore. A device that fails ends the servers of its system. A leader whose device answers nothing, or takes nothing, or
// that is itself held up for as long, loses its leadership, though its node lives; what clients on its node ask a member that is held up
// waits until it goes on.
//
// What a node does with its servers another one may have it do: StartServerOn, RestartServerOn, StopServerOn, DeleteServerOn. Whether
// it does so, and whatever else others ask of it, NodeOptions.Authorize decides, call by call.
//
// There is no call for what is called the context of a snapshot elsewhere, what a member is asked before one is sent to it. The offer
// of a snapshot is that question: it carries the machine's version and the position, and a member that cannot read it, or needs none,
// refuses it or says what it has. The answer to the header says from where on chunks are wanted. So what was asked cannot be out of
// date when the snapshot comes. Operators see it in Transfers. A transfer that was interrupted goes on there, under another leader
// too, as long as that has the same snapshot: a machine whose states are large releases its cursor with NoSnapshotSends, and no
// member takes a newer one while one is on its way, nor finishes one that it is writing when a transfer begins.
//
// Nodes of one process meet by InProcess, nodes of different ones by OverTCP. What they tell each other has bytes in packet form,
// beside their types in the files wire*.go; functions and closures do not travel, and an error is on another node what errors.Is
// finds in it here, as far as it is one of the errors of this package, of core or of engine, and its text.
//
// # Clusters
//
// StartCluster makes a new cluster of voters, StartOrRestart brings up a node's member of a listed one, whether it is
// new or not. AddMember, RemoveMember, SetMembership and Leave change the members, one change at a time; each returns when its
// change is committed, and MemberOptions.Expected lets it happen only to the configuration that the caller has seen.
// A new member joins as core.Promotable and becomes a voter by itself when it has caught up. TransferLeadership moves the
// leader, DeleteCluster ends the cluster with all its logs, ForceShrink goes on with one member when a majority is lost
// for ever.
//
// # Clients
//
// Any node is a client of any cluster: it needs the address of one member, and finds the leader from there.
//
//	Process            one command, and its reply; redirected to the leader, sent again while that is safe
//	Pipeline           many commands without waiting, each with a notice
//	ClientSession      commands that are applied exactly once, and events from the machine
//	LocalQuery         reads a member's machine as it is, or behind an entry that the caller knows
//	LeaderQuery        reads the leader's: old only while two believe to lead
//	ConsistentQuery    a linearizable read, without a write, on the member that is asked
//	Leaderboard        who leads, by one atomic load; KeyMetrics has the figures of a server that hangs
//
// A query that another node is to run is a registered function, by its name; functions themselves stay in the process.
//
// # Errors
//
// Every failed proposal, a change of the membership too, is a *ProposalError. Outcome says what may have become of it, Retriable
// whether the same call may go well later:
//
//	outcome        retriable  what to do
//	NotApplied     yes        call again, later or elsewhere
//	NotApplied     no         the call is wrong: ErrTooLarge, ErrMalformed, the node is closed
//	MaybeApplied   yes        call again if twice does no harm, or in a session
//	MaybeApplied   no         the caller's context ended, or the reply could not be had (ErrReplyTooLarge)
//
// A context that has ended keeps a call from doing anything: NotApplied. One that ends while an attempt is under way
// leaves MaybeApplied, whatever that attempt was waiting for: the network, the log, a majority, the machine. One that ends
// between attempts leaves NotApplied, with ErrNoLeader when none was found. The causes:
//
//	no such server or cluster          ErrUnknownServer
//	no such system on the node         ErrUnknownSystem
//	a node that does not allow it      ErrForbidden
//	a node that cannot be reached      ErrUnreachable
//	machine not registered             ErrUnknownMachine; behind ErrStopped for a server that was there before
//	machine of another format          ErrMachine, with its Restore's error, behind ErrStopped
//	machine older than asked for       ErrMachineVersion
//	started already, name or uid used  ErrRunning, ErrExists
//	cluster started twice              ErrClusterNotFormed with ErrExists, ErrMustJoin
//	change during another change       core.ErrChangeInProgress, with the end of the context that waited for it
//	change of another configuration    core.ErrConfigurationMoved
//	command above the limit            ErrTooLarge
//	reply above the limit              ErrReplyTooLarge: the command was applied
//	machine that panicked              ErrMachine, behind ErrLost for commands that it leaves open, behind ErrStopped for others
//	machine that blocks                the caller's context; KeyMetrics shows Applied behind Commit
//	too much under way                 ErrBusy
//
// An error that comes from another node is by errors.Is what it is there, as far as this package, core, engine and context have
// names for it, and says the same, in at most 1 KiB. What else it is, for errors.As, stays there.
//
// # Limits
//
// MaxCommandBytes bounds a command, MaxReply a reply, core.MaxMembers the members of a cluster. MailboxBytes bounds what
// waits for one server: beyond it messages of peers are dropped, as a network may do, and commands refused
// with ErrBusy; UnappliedBytes bounds what a leader has appended and not applied. Nobody who sends to a server ever
// waits for it. What the log says it has written takes one place, however often it says so.
//
// # Machines
//
// A Machine is an ordinary Go value with three methods: Apply changes the state by a command and returns
// the reply, Snapshot captures the state at once in a View that is written while later commands are
// applied, Restore takes over what such a View wrote. Simple makes one of a fold function, Typed puts types
// on commands and replies. Everything else is optional, by interfaces that the server looks for:
//
//	EventApplier       sessions that end, nodes up and down, timers, a new machine version
//	StateEnterer       its server becomes leader, follower and so on
//	Ticker             now and then on the leader
//	AuxHandler         a local companion of each member
//	LiveIndexer        state that stays in the log
//	SnapshotInstalled  it took the place of another machine
//	Overviewer         what operators are shown
//	Versioned          rules that change with the code's version
//
// Every member applies the same commands in the same order and must come to the same state: package
// machinetest proves it for a machine of yours.
//
// # Effects
//
// What a machine wants done in the world it does not do itself but asks for, as data (Effects). Every member's
// machine asks for the same; which member carries it out is the server's business:
//
//	effect                                leader           others        replay
//	SendMsg, LogRead, LogPlan             yes              no            no
//	  the same, addressed to a member     if no voter is   if the voter  no
//	                                      on that node     is here
//	Call, Append                          yes              no            no
//	TryAppend                             yes              yes           no
//	Monitor, Demonitor for the machine    yes              no            no
//	Monitor, Demonitor for aux            yes              yes           no
//	Timer, TimerAt, CancelTimer           yes              no            no
//	ReleaseCursor, PromoteCheckpoint      yes              yes           no
//	Checkpoint, Aux                       yes              yes           no
//
// Replay is a server that applies again, at start, what it had applied before. Across a change of leaders
// an effect may be lost or happen twice; a machine asks again when StateEnter says that its server leads.
//
// # Sessions
//
// A command that is sent again because its answer did not come may be applied twice. A client that cares opens
// a session and numbers its commands, per priority from 1. Then each number is applied at most once, and
// exactly once if it was ever answered as applied:
//
//   - Every command carries the lowest number whose answer the client lacks. Numbers below it are settled:
//     what of them was not applied never will be, and their replies are forgotten.
//   - From that number on the table keeps what was applied, and the replies. A number that comes again is
//     answered by the kept reply, on whatever member and after whatever restart: the table is in every snapshot.
//   - Numbers may come in any order and with gaps, as they do when a pipeline meets a change of leaders: each is
//     applied when it comes. In a session opened as Ordered a number above a gap is refused
//     with ErrOutOfOrder, and so its commands are applied in the order of their numbers.
//   - A number may be as far above the lowest unacknowledged one as the session's window, by default 1,024. A
//     leader answers ErrBusy beyond it, before it appends anything.
//   - Sessions are opened, kept alive, closed and expired by committed entries only, never by a clock. A session
//     lives as long as the node of its client. When a node was gone for too long, the leader commits the expiry
//     of its sessions, together with the highest index that it had applied when it judged; a session that was
//     active behind that index stays.
//   - Memory is bounded (MaxSessionReplies, MaxSessionTable): a reply for which there is no room is not kept, and a
//     command that would not fit at all is refused with ErrSessionsFull.
//
// SessionNumbers is the client's half: it numbers commands and knows which are settled.
//
// # Format of entries
//
// The type of an entry (Entry.Type) is its CommandKind. 0 to 15 are the core's own. Numbers called uvarint
// are unsigned varints in their shortest form, all others little-endian; a name is its length (uvarint, 1
// to 255) and its bytes. Checksums are the log's.
//
//	offset  size  field
//	0       1     version, 1; another is ErrUnknownFormat
//	1       1     flags: 1 session header, 2 low priority, 4 origin, 8 and 16 reply mode
//	2       8     leader's clock, milliseconds since 1970 (UTC)
//	10            session header: session, number, lowest unacknowledged (uvarints)
//	              origin: node (name), request (uvarint)
//	              replying node (name), when the reply mode is 3
//	              body
//
//	type  kind                body
//	16    user                payload, to the end
//	17    session-open        open id (16), window (uvarint), ordered (1: 0 or 1), owner
//	18    session-keep-alive  session (uvarint), owner, lowest unacknowledged normal, low (uvarints; 0 none)
//	19    session-close       session (uvarint)
//	20    session-expire      session (uvarint, 0 for those of the node), owner (name may be empty), armed (uvarint)
//	21    timeout             timer (name), armed (uvarint)
//	22    node-up             node, armed (uvarint)
//	23    node-down           node, armed (uvarint)
//	24    machine-version     version (uvarint)
//
// An owner or node is a name and its incarnation (uvarint). Session headers belong to type 16 only; from
// type 20 on all flags are 0. No byte follows the body.
//
// # Format of the snapshot context
//
// What stands beside a machine's state in a snapshot (Capture.Context). Equal tables have equal bytes.
//
//	1        version, 1; another is ErrUnknownFormat
//	uvarint  machine version
//	uvarint  time of the last entry
//	uvarint  number of sessions; then each, ascending:
//	  uvarint  id minus that of the session before, or minus 0
//	  16       open id
//	  name     owner, then its incarnation (uvarint)
//	  uvarint  window
//	  1        ordered: 0 or 1
//	  uvarint  index of the last activity minus id
//	  for normal, then low priority:
//	  uvarint  lowest number not settled
//	  uvarint  number of commands applied from there on; then each, ascending:
//	    uvarint  number minus the least that it can be
//	    1        reply: 0 kept, 1 above MaxReply, 2 no room
//	    uvarint  length of a kept reply, and its bytes
//
// # Faults and their tests
//
// The fault model's rows about the hard state (A7), lives (C7), damage (C9), snapshots (E), elections and replication (F), membership (G), reads, clocks and
// devices that hang (H), and where each is tested by name. Most tests have a fault that they must notice, in internal/planted. Of H3
// there is nothing to test: no lease, no wall clock. G3 is about joint configurations, which there are none of.
//
//	A7   core.TestA7HardStateThatStaysVolatile core.TestF12HardStateBehindLog raft.TestLogWithoutRoom
//	C7   raft.TestC7WipedMember core.TestC7ReplacedMember core.TestShrinkAndStrangers engine.TestDeleted
//	C9   raft.TestC9DamagedMemberRejoins raft.TestC9DamageMetWhileServing raft.TestC9DamagedMemberBehindTheLog raft.TestC9DamagedVote
//	E1   raft.TestE1OwnSnapshotBesideInstall engine.TestInstallRefusals
//	E2   raft.TestE2SnapshotReplacedWhileSent
//	E3   snapshotwriter.TestFailure engine.TestKthOperationFails
//	E4   snapshot.TestCheckChunk snapshotwriter.TestReceive
//	E5   core.TestE5LogBelowTheSnapshot core.TestE5OldTail engine.TestCutInstall
//	E6   core.TestE6UncommittedMembershipAndInstall
//	E7   core.TestE7InstallWhileCandidateOrReceiving raft.TestClusterSnapshotInterrupted
//	E8   core.TestE8TargetHasIt
//	E9   core.TestE9SnapshotBelowCommit raft.TestE9E12InstallBehindQueuedApply engine.TestInstallKeepsCommitted
//	E10  core.TestE10TwoSnapshots
//	E11  core.TestE11LogOfASnapshotOnly engine.TestInstall
//	E12  core.TestE12ReleaseWhilePeersRead raft.TestE9E12InstallBehindQueuedApply
//	E13  raft.TestE13DamageOnAMajority
//	E14  snapshotwriter.TestPowerCut engine.TestPowerCuts engine.TestCutInstall
//	F1   core.TestF1Figure8, Figure 8 of the Raft paper
//	F2   core.TestF2CommitOfUncheckedLog
//	F3   core.TestF3PreVoteLeavesNoMark core.TestF3ScatteredPromises
//	F4   core.TestF4CandidateAndPreVoter
//	F5   core.TestF5HigherTermInEveryReply core.TestF5NoticeOutlivesLateMessages raft.TestF5ResetBehindMessages raft.TestF5NoticeOfTheEnd
//	F6   core.TestF6DuplicateVote
//	F7   core.TestF7ReorderedAnswers
//	F8   core.TestF8TermOfCompactedEntry
//	F9   core.TestF9CommitNeverRegresses
//	F10  core.TestF10WindowLeaksNothing
//	F11  core.TestF11NonVoterAndRemoved
//	F12  core.TestF12HardStateBehindLog raft.TestKilledNodes
//	F13  core.TestF13EmptyAppend
//	F14  core.TestF14TransferWaitsForTheTarget raft.TestClusterTransfer
//	F15  core.TestF15EveryRequestIsAnswered raft.TestF15LateAnswers raft.TestF15DeviceFails raft.TestPipelineLeaderLost
//	G1   core.TestG1ChangeBeforeTheNoop, the single-server membership bug
//	G2   core.TestG2ConfigurationBehindCommit raft.TestKilledNodes
//	G4   core.TestG4OverwrittenConfiguration
//	G5   core.TestG5RemovalUnblocks core.TestG5PromotionAfterTransfer core.TestG5PromotionOfWhoAnswers
//	     core.TestG5PromotionAfterAnotherChange
//	G6   core.TestG6RemovalNeedsAMajority
//	G7   core.TestG7RemovedMembersFormNoQuorum core.TestShrinkAndStrangers
//	H1   core.TestH1ReadBeforeTheNoop
//	H2   core.TestH2OldContact
//	H4   core.TestH4ReadSeesACommit core.TestH4ReadAcrossEpochs core.TestH4ReadWhileRecovering
//	H5   core.TestH5HandsOverToWhoIsBetterOff core.TestH5LeaderToldOfItsEnd raft.TestH5DeviceHangs raft.TestH5AllDevicesHang raft.TestH5LeadersDiskFull raft.TestH5LeadersHeldUp
//	H6   core.TestH6StalledFollower raft.TestH6StalledFollower
//	H7   raft.TestH7HeartbeatsBesideApply raft.TestH5DeviceHangs
//	H8   raft.TestH8SmallQueues
//	H9   core.TestH9Bridge core.TestH9BridgeLosesItsLeader sim.TestH9BridgeUndisturbed
//	H10  raft.TestH10LaggardUnderLoad
//
// # Figures and their tests
//
// The figures that the fault model wants to hold, as far as they are about clusters. What is measured in time is in virtual time, in
// internal/sim, or reported by package bench. Members come and go in every world of sim.TestSeeds, while nodes crash and networks part.
//
//	figure 16  sim.TestSeeds raft.TestC9DamagedMemberRejoins raft.TestC9DamageMetWhileServing raft.TestE13DamageOnAMajority
//	figure 17  nstest.TestNamespaces sim.TestSeeds
//	figure 19  sim.TestFigure19Pauses nstest.TestNamespaces
//	figure 21  sim.TestFigure21DiskHangs raft.TestH5DeviceHangs raft.TestH5AllDevicesHang
//	figure 22  sim.TestFigure22SlowFollower raft.TestH10LaggardUnderLoad raft.TestH6StalledFollower raft.TestColdReadsHoldUpNobody
//	figure 23  sim.TestFigure23Partitions
//	figure 24  sim.TestSeeds
//	figure 25  bench.TestKill engine.TestReaderModel raft.TestTransferInterrupted
//	figure 26  raft.TestHostilePeers raft.TestHalfOpenConnections tcp.TestStrangersAreClosed tcp.TestBadFrames tcp.TestBadHellos
package raft
