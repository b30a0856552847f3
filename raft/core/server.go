package core

import (
	"fmt"
)

// Role is the state of a server (RA.md names them).
type Role uint8

const (
	// RoleRecover waits for the shell to be ready.
	RoleRecover Role = iota
	// RoleFollower follows a leader, or waits for one.
	RoleFollower
	// RolePreVote asks whether an election could be won.
	RolePreVote
	// RoleCandidate asks for votes.
	RoleCandidate
	// RoleLeader leads.
	RoleLeader
	// RoleAwaitCondition follows, and waits for a missing entry or for its log to take entries.
	RoleAwaitCondition
	// RoleReceiveSnapshot follows, and its log is about to be replaced.
	RoleReceiveSnapshot
	// RoleTerminating replicates or makes durable the deletion of its cluster.
	RoleTerminating
	// RoleEnded does nothing any more.
	RoleEnded
)

// String renders the role as Ra names it.
func (r Role) String() string {
	names := [...]string{"recover", "follower", "pre_vote", "candidate", "leader", "await_condition", "receive_snapshot", "terminating", "ended"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// Server is one member of a cluster. It belongs to one goroutine at a time.
type Server struct {
	opts Options

	// state is the hard state, durable what of it the device is known to have. Until they are equal no
	// message leaves: they wait in held.
	state, durable HardState
	held           []Message

	log     log
	commit  Index
	history history

	// leader is whom this server follows in its term, itself when it leads; zero when nobody is known.
	leader    ServerID
	leaderInc Incarnation
	// lostLeader says that the belief in it ended, until it is heard again; leaderOver that it ended for good.
	lostLeader, leaderOver bool
	role                   Role
	// over is the newest notice of a leadership's end: it may come before the leader's last messages do.
	over LeaderLost
	// matched is up to where the log is known to be that of this term's leader.
	matched Index
	// leaderCommit is the newest commit index that this term's leader told.
	leaderCommit Index

	// joining is what the leader's message said. It tells in which cluster and epoch a server is whose log
	// has no configuration with it: a log may begin with configurations of an older epoch.
	joining home

	// removed is the newest committed entry of this epoch by which this server was said to be no member.
	removed Index

	election  election
	lead      *leadership // while it leads
	handover  *transfer   // of a leadership that is over: who asked is to hear of the new leader; nil for none
	shrink    shrink
	await     await
	receiving receiving
	reads     []uint64        // reads that a leader elsewhere is asked for
	down      map[NodeID]bool // nodes without two-way contact; nil while there are none
	armed     [Timers]bool
	// generations number how often each timer was set or stopped.
	generations [Timers]uint64
	eff         *Effects // of the step that runs or was the last; lent, or its own; nil for none
	scratch     []Index
}

// home is what a server is a member of.
type home struct {
	cluster ClusterID
	epoch   uint64
}

// New returns a server in RoleRecover. The shell steps it with Recovered when it can carry out effects.
// Errors: those of Options, and ErrBadEntry or ErrVersion for what Restore holds.
func New(o Options, r Restore) (*Server, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Server{opts: o, state: r.State, durable: r.State, commit: max(r.Commit, r.Snapshot.ID.Index)}
	s.log.base, s.log.last = r.Snapshot.ID, r.Snapshot.ID
	if r.Last.Index > s.log.last.Index {
		s.log.last = r.Last
	}
	s.log.written = s.log.last
	for _, id := range r.Terms {
		s.log.runs = append(s.log.runs, run{first: id.Index, term: id.Term})
	}
	if err := checkRuns(&s.log); err != nil {
		return nil, err
	}
	if s.log.last.Term > s.state.Term {
		return nil, fmt.Errorf("%w: the log ends at %v, the hard state has term %d: what it voted since is lost",
			ErrBadEntry, s.log.last, s.state.Term)
	}
	if s.commit > s.log.last.Index {
		return nil, fmt.Errorf("%w: committed up to %d, the log ends at %v", ErrBadEntry, s.commit, s.log.last)
	}
	s.history.reset(r.Snapshot)
	for i := range r.Entries {
		f, err := factOf(&r.Entries[i])
		if err != nil {
			return nil, err
		}
		s.history.add(f)
	}
	s.history.settle(s.commit)
	s.matched = s.commit
	return s, nil
}

// checkRuns reports what cannot be the terms of a log.
func checkRuns(l *log) error {
	at := l.base
	for k, r := range l.runs {
		first := k == 0
		if first && (r.first != at.Index+1 || r.term < at.Term) || !first && (r.first <= at.Index || r.term <= at.Term) {
			return fmt.Errorf("%w: term %d begins at %d behind %v", ErrBadEntry, r.term, r.first, at)
		}
		at = EntryID{Term: r.term, Index: r.first}
	}
	if at.Term != l.last.Term || at.Index > l.last.Index || len(l.runs) == 0 && l.last != l.base {
		return fmt.Errorf("%w: the log ends at %v, its last term begins at %v", ErrBadEntry, l.last, at)
	}
	return nil
}

// Step takes one input and returns what follows from it. It waits for nothing and never fails.
func (s *Server) Step(in Input) *Effects {
	if s.eff == nil {
		s.eff = new(Effects)
	}
	s.eff.reset()
	switch {
	case s.role == RoleEnded:
		s.refuseAll(in, ErrEnded)
	case s.role == RoleRecover:
		s.stepRecover(in)
	default:
		s.dispatch(in)
		if s.lead != nil {
			s.settleLeader()
		} else {
			s.settleElection()
		}
	}
	s.eff.Commit = s.commit
	return s.eff
}

// Lend has the steps that follow put their effects into e, until the next Lend, so that servers at rest need no memory for
// them. After Lend(nil) a server uses its own.
func (s *Server) Lend(e *Effects) { s.eff = e }

func (e *Effects) reset() {
	clear(e.Messages)
	clear(e.Append)
	*e = Effects{
		Append: e.Append[:0], Messages: e.Messages[:0], Sends: e.Sends[:0], Snapshots: e.Snapshots[:0],
		Markers: e.Markers[:0], Timers: e.Timers[:0], Results: e.Results[:0],
	}
}

func (s *Server) dispatch(in Input) {
	switch in := in.(type) {
	case Received:
		s.receive(&in.Message)
	case *Received: // what comes often is not copied
		s.receive(&in.Message)
	case Timeout:
		s.timeout(in)
	case Written:
		s.written(in.ID)
	case *Written:
		s.written(in.ID)
	case HardStateWritten:
		s.hardStateWritten(in.State)
	case AppendFailed:
		s.appendFailed(in.Last)
	case LogReady:
		s.logReady()
	case NodeDown:
		s.nodeDown(in.Node)
	case NodeUp:
		s.nodeUp(in.Node)
	case LinkReset:
		s.linkReset(in.Node)
	case LeaderLost:
		s.leaderLost(in)
	case TriggerElection:
		s.triggerElection()
	case ForceShrink:
		s.forceShrink(in)
	case Read:
		s.read(in.Ref)
	case CancelRead:
		s.cancelRead(in.Ref)
	case SnapshotTaken:
		s.snapshotTaken(in.ID)
	case SnapshotProgress, SnapshotReceived, SnapshotFailed, Installed:
		s.stepReceiving(in)
	default:
		s.stepLeading(in)
	}
}

// Role returns the server's role.
func (s *Server) Role() Role { return s.role }

// State returns the hard state, durable or not.
func (s *Server) State() HardState { return s.state }

// Leader returns whom this server takes for the leader of its term, zero for nobody.
func (s *Server) Leader() ServerID { return s.leader }

// Commit returns the commit index.
func (s *Server) Commit() Index { return s.commit }

// Last returns the newest entry of the log, and the newest that is durable.
func (s *Server) Last() (last, written EntryID) { return s.log.last, s.log.written }

// Configuration returns the configuration in effect and the entry it came with.
func (s *Server) Configuration() (Configuration, Index) {
	c := s.history.config()
	return c.configuration, c.index
}

// Removed returns the committed entry by which this server was told that it is no member any more, 0 for none; one that
// was added again since has a newer configuration.
func (s *Server) Removed() Index { return s.removed }

// Machine returns the version of the machine that the newest noop of the log names.
func (s *Server) Machine() uint64 { return s.history.machine() }

// become changes the role and lets the machine know at which point of the log.
func (s *Server) become(r Role) {
	if s.role == r || s.role == RoleEnded {
		return
	}
	s.role = r
	s.eff.Markers = append(s.eff.Markers, Marker{Role: r, Term: s.state.Term, After: s.commit})
}

// fail ends a server that met the impossible.
func (s *Server) fail(format string, args ...any) {
	if s.eff.Fault == nil {
		s.eff.Fault = fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
	}
	s.end(0)
}

// end makes the server do nothing any more.
func (s *Server) end(why Ending) {
	s.eff.Ended = why
	s.dropLeadership()
	for _, ref := range s.reads {
		s.result(Result{Ref: ref, Err: ErrEnded})
	}
	s.reads = nil
	s.endHandover(ErrEnded)
	if s.shrink.epoch != 0 {
		s.result(Result{Ref: s.shrink.ref, Err: ErrEnded})
		s.shrink = shrink{}
	}
	s.held = nil
	for t := range Timers {
		s.stopTimer(t)
	}
	s.become(RoleEnded)
}

// setState changes the hard state.
func (s *Server) setState(h HardState) {
	s.state = h
	s.eff.HardState = &h
	s.held = nil // of an older term, or without the vote
}

func (s *Server) hardStateWritten(h HardState) {
	if h != s.state {
		return // another one follows
	}
	s.durable = h
	s.eff.Messages = append(s.eff.Messages, s.held...)
	s.held = nil
	if s.role == RoleCandidate {
		s.countVotes()
	}
}

// maxHeld bounds the messages that wait for the hard state. What is beyond is lost like any message.
const maxHeld = 256

// send sends a message in the server's term, once that is durable.
func (s *Server) send(h Head, b Body) {
	h.Term = s.state.Term
	m := Message{Head: h, Body: b}
	switch {
	case s.state == s.durable:
		s.eff.Messages = append(s.eff.Messages, m)
	case len(s.held) < maxHeld:
		s.held = append(s.held, m)
	}
}

// reply answers a message. A server that is not yet in a cluster answers as a member of the sender's.
func (s *Server) reply(m *Message, b Body) {
	s.send(Head{Cluster: m.Cluster, Epoch: m.Epoch, From: m.To, FromInc: m.ToInc, To: m.From, ToInc: m.FromInc}, b)
}

// to is the head of a message to a member.
func (s *Server) to(id ServerID, inc Incarnation) Head {
	cluster, epoch := s.cluster()
	return Head{
		Cluster: cluster, Epoch: epoch, Term: s.state.Term,
		From: s.opts.Self.ID, FromInc: s.opts.Self.Incarnation, To: id, ToInc: inc,
	}
}

// cluster is what this server is a member of, as far as it knows.
func (s *Server) cluster() (ClusterID, uint64) {
	c := &s.history.config().configuration
	if s.joining.cluster == (ClusterID{}) || c.Has(s.opts.Self.ID, s.opts.Self.Incarnation) {
		return c.Cluster, c.Epoch
	}
	return s.joining.cluster, s.joining.epoch
}

func (s *Server) setTimer(t Timer, lo, hi uint32, attempt uint8) {
	s.generations[t]++
	s.armed[t] = true
	s.eff.Timers = append(s.eff.Timers, SetTimer{
		Timer: t, Generation: s.generations[t], MinMS: lo, MaxMS: hi, Attempt: attempt})
}

func (s *Server) stopTimer(t Timer) {
	if !s.armed[t] {
		return
	}
	s.generations[t]++
	s.armed[t] = false
	s.eff.Timers = append(s.eff.Timers, SetTimer{Timer: t, Generation: s.generations[t]})
}

func (s *Server) timeout(in Timeout) {
	if in.Timer >= Timers || !s.armed[in.Timer] || s.generations[in.Timer] != in.Generation {
		return // it was set anew, or stopped
	}
	s.armed[in.Timer] = false
	switch in.Timer {
	case TimerElection:
		s.electionTimeout()
	case TimerRead:
		s.readTimeout()
	case TimerSnapshot:
		s.abortReceiving()
	case TimerAwait:
		s.awaitTimeout()
	case TimerTransfer:
		s.transferTimeout()
	default:
		if s.lead != nil {
			s.leaderTimeout(in.Timer)
		}
	}
}

func (s *Server) result(r Result) { s.eff.Results = append(s.eff.Results, r) }
