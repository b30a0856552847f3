package core

import "fmt"

// leadership is what only a leader has. It ends with the term, or with the contact to a majority.
type leadership struct {
	peers []*peer // of the configuration in effect, in its order, without this server
	// noop is the entry that opened the term; ready that it is committed.
	noop  Index
	ready bool
	// evaluate says that a match index moved.
	evaluate bool
	// leaving says that a configuration in which this server does not vote is committed.
	leaving bool
	// attempt counts the retransmissions that nobody answered.
	attempt uint8
	// appended says that commands were appended since the retransmit timer ran out; steady that there were such
	// also in the span before. Then more are to come, and the commit index travels with them.
	appended, steady bool

	change   change
	transfer *transfer // nil for none
	rounds   rounds
}

// startLeading opens the term with a noop (Raft thesis §6.4), and names the version of the machine in it.
func (s *Server) startLeading() {
	s.become(RoleLeader)
	s.stopTimer(TimerElection)
	s.election.failed = 0
	s.leader, s.leaderInc = s.opts.Self.ID, s.opts.Self.Incarnation
	s.joining = home{} // its own log says where it is, also once it removed itself
	s.eff.NewLeader = true
	s.lead = &leadership{evaluate: true}
	if s.shrink.epoch != 0 {
		s.appendShrunk()
	}
	version := s.history.machine()
	if s.opts.Strategy == VersionQuorum {
		version = max(version, s.opts.Machine)
	}
	s.lead.noop = s.appendOwn(KindNoop, MarshalNoop(version))
	s.syncPeers()
	s.takeReads()
	s.checkQuorum()
}

// dropLeadership ends what a leader was about. Reads of its own go on at the next leader.
func (s *Server) dropLeadership() {
	lead := s.lead
	if lead == nil {
		return
	}
	s.lead = nil
	for _, t := range []Timer{TimerRetransmit, TimerVersions, TimerRead} {
		s.stopTimer(t)
	}
	if lead.change.index != 0 {
		s.result(Result{Ref: lead.change.ref, Index: lead.change.index, Err: ErrNotLeader, Maybe: true})
	}
	if lead.transfer != nil {
		s.handover = lead.transfer
	}
	s.returnReads(lead)
}

// appendOwn appends an entry of this leader and returns its index.
func (s *Server) appendOwn(kind uint8, data []byte) Index {
	if len(s.eff.Append) == 0 {
		s.eff.Prev = s.log.last
	}
	e := Entry{Index: s.log.last.Index + 1, Term: s.state.Term, Type: kind, Data: data}
	s.eff.Append = append(s.eff.Append, e)
	s.log.append(e.ID())
	if kind < FirstShellKind {
		f, err := factOf(&e)
		if err != nil {
			s.fail("own entry %v: %v", e.ID(), err)
			return e.Index
		}
		s.note(f)
	}
	return e.Index
}

// stepLeading takes what only a leader can do.
func (s *Server) stepLeading(in Input) {
	switch in := in.(type) {
	case Proposed:
		s.propose(in.Proposals)
	case *Proposed:
		s.propose(in.Proposals)
	case ChangeMembership:
		s.changeMembership(in)
	case TransferLeadership:
		s.transferLeadership(in)
	case DiskStalled:
		s.diskStalled()
	case *Dispatched:
		for i := range in.Sent {
			s.takeSent(&in.Sent[i])
		}
		for i := range in.Failed {
			s.sendFailed(in.Failed[i])
		}
	case Sent:
		s.takeSent(&in)
	case SendFailed:
		s.sendFailed(in)
	case SnapshotOffered:
		if p := s.peer(in.To); p != nil {
			s.snapshotOffered(p, in)
		}
	case SnapshotSent:
		if p := s.peer(in.To); p != nil {
			p.snapshotSent(in)
		}
	}
}

// propose appends commands, or answers each with the reason why not: then it is not applied.
func (s *Server) propose(list []Proposal) {
	for i := range list {
		p := &list[i]
		if err := s.refusal(); err != nil {
			s.refuse(list[i:], err)
			return
		}
		if p.Kind < FirstShellKind && p.Kind != KindDelete {
			s.result(Result{Ref: p.Ref, Err: fmt.Errorf("%w: kind %d is the core's own", ErrBadEntry, p.Kind)})
			continue
		}
		if p.Kind == KindDelete {
			p.Data = MarshalDelete()
		}
		s.appendOwn(p.Kind, p.Data)
		s.lead.evaluate, s.lead.appended = true, true
	}
}

// refusal says why the log takes no command now, nil when it does.
func (s *Server) refusal() error {
	switch {
	case s.lead == nil:
		return ErrNotLeader
	case s.history.deletion != 0:
		return ErrDeleting
	case s.lead.transfer != nil:
		return ErrTransferring
	case s.await.log:
		return ErrRefused
	}
	return nil
}

func (s *Server) refuse(list []Proposal, err error) {
	for i := range list {
		s.result(Result{Ref: list[i].Ref, Err: err})
	}
}

// leaderAppendFailed goes on with the log as it is. Without the noop there is no leading.
func (s *Server) leaderAppendFailed(last EntryID) {
	s.await.log = true
	if c := &s.lead.change; c.index > last.Index {
		s.result(Result{Ref: c.ref, Err: ErrRefused})
		*c = change{}
	}
	if s.lead.noop > last.Index {
		s.stepDown()
		return
	}
	s.syncPeers()
}

// checkQuorum ends a leadership without contact to a majority of the voters (Raft thesis §6.2).
func (s *Server) checkQuorum() {
	if s.role == RoleTerminating {
		return // nothing is left to disagree about, and the others are to hear of it
	}
	c, n := &s.history.config().configuration, 0
	for i := range c.Members {
		m := &c.Members[i]
		if m.Membership == Voter && (m.ID == s.opts.Self.ID || !s.down[m.ID.Node]) {
			n++
		}
	}
	if n < c.Quorum() {
		s.stepDown()
	}
}

// settleLeader does once per step what follows from all that the step changed.
func (s *Server) settleLeader() {
	if s.lead.evaluate {
		s.lead.evaluate = false
		s.advance()
		s.settleRound()
	}
	s.settleTransfer()
	busy := false
	for _, p := range s.lead.peers {
		s.replicate(p)
		busy = busy || !s.down[p.id.Node] && !p.quiet(s)
	}
	if s.lead.leaving {
		s.leave()
		return
	}
	if s.history.deletion != 0 {
		s.endDeletion()
	}
	switch {
	case s.lead == nil:
	case !busy && !s.lead.appended && !s.lead.steady:
		s.lead.attempt = 0
		s.stopTimer(TimerRetransmit)
	case !s.armed[TimerRetransmit]:
		if !busy {
			s.lead.attempt = 0
		}
		s.setTimer(TimerRetransmit, 0, 1, s.lead.attempt)
	}
}

// leave ends the leadership of who votes no longer, and the server when it is no member any more.
func (s *Server) leave() {
	if s.history.settled().configuration.Has(s.opts.Self.ID, s.opts.Self.Incarnation) {
		s.stepDown()
		return
	}
	s.end(EndRemoved)
}

// resume does what waited until the log takes entries again.
func (s *Server) resume() {
	if s.lead != nil {
		s.promote()
		s.upgrade()
	}
}

func (s *Server) leaderTimeout(t Timer) {
	switch t {
	case TimerRetransmit:
		s.retransmit()
	case TimerVersions:
		s.askVersions()
	}
}

// receiveLeading takes the answers of peers.
func (s *Server) receiveLeading(m *Message) {
	p := s.peer(m.From)
	if p == nil || p.inc != m.FromInc {
		return // not of this configuration, or of another life
	}
	p.absent = false
	switch b := m.Body.(type) {
	case AppendReply:
		s.receiveAppendReply(p, b)
	case RoundReply:
		s.receiveRoundReply(m, b)
	case OfferReply:
		if p.mode == modeSnapshot && b.Transfer == p.transfer {
			p.accepted, p.progress = true, true
		}
	case InfoReply:
		p.machine = b.Machine // older than before when its program was put back
		s.upgrade()
	case Gone:
		p.absent = true
		p.gone = s.history.deletion != 0 && s.history.deletion <= s.commit // else it is only not there yet
	}
}

// Slack is how many acknowledgements of its log, those of its own device among them, a leader may leave unread without holding up a
// commit or anything else, 0 for other servers. They are to be read by the time its retransmit timer runs out at the latest.
func (s *Server) Slack() int {
	l, c := s.lead, &s.history.config().configuration
	if l == nil || !l.ready || !s.armed[TimerRetransmit] || s.state != s.durable ||
		l.transfer != nil || l.leaving || l.change.index != 0 || s.history.deletion != 0 {
		return 0
	}
	acks := 0 // of what is not committed; one more of each may commit it
	if s.log.written.Index > s.commit {
		acks++
	}
	for _, p := range l.peers {
		if p.next <= s.log.last.Index && !p.gone && !s.down[p.id.Node] {
			return 0 // an answer makes room, or tells what to send
		}
		if p.match > s.commit {
			acks++
		}
	}
	for i := range c.Members {
		if c.Members[i].Membership != Voter {
			return 0 // an answer may promote it
		}
	}
	return max(0, c.Quorum()-1-acks)
}
