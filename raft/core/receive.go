package core

// receive takes a message: first whether it is meant for this life of this server, then its term, then
// what it says.
func (s *Server) receive(m *Message) {
	if m.Body == nil {
		return
	}
	if s.eff.Refused = s.addressed(m); s.eff.Refused != 0 {
		return
	}
	switch b := m.Body.(type) {
	case PreVote:
		s.receivePreVote(m, b)
		return
	case Vote:
		s.receiveVote(m, b)
		return
	case Info:
		s.reply(m, InfoReply{Machine: s.opts.Machine})
		return
	case ReadIndex:
		s.receiveReadIndex(m, b)
		return
	case Removed:
		s.receiveRemoved(b)
		return
	case PreVoteReply:
		if m.Term <= s.state.Term { // it may be granted by who is behind
			s.receivePreVoteReply(m, b)
			return
		}
	}
	if m.Term < s.state.Term {
		s.receiveOld(m)
		return
	}
	switch b := m.Body.(type) {
	case Append:
		if s.follow(m) {
			s.receiveAppend(m, b)
		}
	case Round:
		if s.follow(m) {
			s.reply(m, RoundReply(b))
		}
	case Offer:
		if s.follow(m) {
			s.receiveOffer(m, b)
		}
	case TimeoutNow:
		s.receiveTimeoutNow(m, b)
	default:
		s.receiveReply(m)
	}
}

// addressed says why the message is not meant for this life of this server in its cluster and epoch, 0 when it
// is. Who has no configuration with itself in it, and follows nobody yet, hears whoever knows its
// incarnation: in its cluster if it has one, of any epoch.
func (s *Server) addressed(m *Message) Refusal {
	self := &s.opts.Self
	if m.To != self.ID || m.ToInc != self.Incarnation || m.From == self.ID {
		return RefusedAddress
	}
	cluster, epoch := s.cluster()
	switch {
	case m.Cluster == ClusterID{}, cluster != ClusterID{} && m.Cluster != cluster:
		return RefusedCluster
	case m.Epoch == epoch:
		return 0
	}
	if s.lead == nil && s.joining.cluster == (ClusterID{}) && !s.named() {
		return 0
	}
	return RefusedEpoch
}

// named reports whether the configuration in effect, or the committed one before it, has this life of this server.
func (s *Server) named() bool {
	self := &s.opts.Self
	return s.history.config().configuration.Has(self.ID, self.Incarnation) ||
		s.history.settled().configuration.Has(self.ID, self.Incarnation)
}

// receiveOld answers what a leader of an older term sends, so that it learns of the newer one.
func (s *Server) receiveOld(m *Message) {
	switch b := m.Body.(type) {
	case Append:
		s.reply(m, AppendReply{Next: s.log.last.Index + 1, Commit: s.commit, Rejected: b.Prev})
	case Round:
		s.reply(m, RoundReply{}) // confirms nothing
	case Offer:
		s.reply(m, AppendReply{Next: s.log.last.Index + 1, Commit: s.commit})
	}
}

// follow makes the sender this server's leader, which it is in the message's term. It returns false when
// that cannot be.
func (s *Server) follow(m *Message) bool {
	if m.Term > s.state.Term {
		s.enterTerm(m.Term)
	}
	switch {
	case s.lead != nil || s.leader == s.opts.Self.ID:
		s.fail("%v leads term %d, and so does this server", m.From, m.Term)
		return false
	case s.leader == m.From && s.leaderInc == m.FromInc:
		// known
	case !s.leader.IsZero():
		s.fail("%v and %v both lead term %d", m.From, s.leader, m.Term)
		return false
	default:
		s.leader, s.leaderInc = m.From, m.FromInc
		s.joining = home{m.Cluster, m.Epoch}
		s.leaderOver = s.over.Term == m.Term && s.over.Leader == m.From
		s.matched, s.leaderCommit = s.commit, 0
		s.eff.NewLeader = true
		if h := s.handover; h != nil && m.From == h.to {
			s.endHandover(nil)
		} else {
			s.endHandover(ErrTransferTimeout)
		}
		s.readAgain()
	}
	if s.role == RolePreVote || s.role == RoleCandidate {
		s.dropShrink() // somebody else won that term
		s.rest()
	}
	s.lostLeader = false
	s.heardLeader()
	return true
}

// enterTerm moves to a newer term, in which this server has no vote and knows no leader.
func (s *Server) enterTerm(t Term) {
	s.dropShrink()
	s.setState(HardState{Term: t})
	s.stepDown()
}

// stepDown makes the server a follower that knows no leader, in its term.
func (s *Server) stepDown() {
	s.dropLeadership()
	if !s.leader.IsZero() {
		s.leader, s.leaderInc = ServerID{}, 0
		s.eff.NewLeader = true
	}
	s.lostLeader, s.leaderOver = false, false
	s.matched, s.leaderCommit = s.commit, 0
	s.found()
	s.abortReceiving()
	s.rest()
	s.awaitElection(s.opts.SuspectMinMS, s.opts.SuspectMaxMS)
}

// receiveReply takes an answer, in this server's term or a newer one.
func (s *Server) receiveReply(m *Message) {
	if m.Term > s.state.Term {
		// Who was removed must not end the term of a leader that is believed.
		undisturbed := s.lead == nil && !s.believes()
		if undisturbed || s.history.config().configuration.Has(m.From, m.FromInc) {
			s.enterTerm(m.Term)
		}
		return
	}
	switch b := m.Body.(type) {
	case VoteReply:
		s.receiveVoteReply(m, b)
	case ReadIndexReply:
		s.receiveReadIndexReply(m, b)
	default:
		if s.lead != nil {
			s.receiveLeading(m)
		}
	}
}

func (s *Server) nodeDown(n NodeID) {
	if s.down[n] {
		return
	}
	if s.down == nil {
		s.down = make(map[NodeID]bool)
	}
	s.down[n] = true
	if s.lead != nil {
		s.checkQuorum()
	} else if s.leader.Node == n {
		s.awaitElection(s.opts.SuspectMinMS, s.opts.SuspectMaxMS)
	}
}

func (s *Server) nodeUp(n NodeID) {
	delete(s.down, n)
	if len(s.down) == 0 {
		s.down = nil
	}
	switch {
	case s.lead != nil:
		s.resetPeers(n)
	case s.leader.Node == n:
		s.heardLeader()
		s.readAgain()
	}
}

func (s *Server) linkReset(n NodeID) {
	if s.lead != nil {
		s.resetPeers(n)
	} else if s.leader.Node == n {
		s.readAgain()
	}
}

// leaderLost ends the belief in a leader of this term, and the leadership of a server that is told so of itself: its followers
// were told too.
func (s *Server) leaderLost(in LeaderLost) {
	if in.Over && in.Term > s.over.Term {
		s.over = in
	}
	if s.lead != nil && s.role != RoleTerminating && in.Over && in.Term == s.state.Term && in.Leader == s.opts.Self.ID {
		s.stepDown()
		return
	}
	if s.lead != nil || in.Term != s.state.Term || in.Leader != s.leader || s.leader.IsZero() {
		return
	}
	believed := s.believes()
	s.lostLeader = true
	s.leaderOver = s.leaderOver || in.Over
	if believed {
		s.awaitElection(1, s.opts.ResetMS)
	}
}

// confessed ends the belief in a leader that sends what only who left this term's leadership does: a
// pre-vote in this term, which a candidate of this term does not win any more, or anything of a newer one.
func (s *Server) confessed(m *Message, least Term) {
	if m.FromInc == s.leaderInc && m.Term >= least {
		s.leaderLost(LeaderLost{Leader: m.From, Term: s.state.Term, Over: true})
	}
}

// believes reports whether this server takes its leader to be alive: it heard from it in this term, no
// notice of its end came, and there is contact with its node in both directions.
func (s *Server) believes() bool {
	return !s.leader.IsZero() && !s.lostLeader && !s.leaderOver && !s.down[s.leader.Node]
}

// heardLeader stops the election that a believed leader makes superfluous.
func (s *Server) heardLeader() {
	if s.believes() {
		s.election.failed, s.election.engaged = 0, false
		s.stopTimer(TimerElection)
	}
}

// written takes what the log says is durable. What belongs to entries that were replaced since moves nothing.
func (s *Server) written(id EntryID) {
	if id.Index <= s.log.written.Index || !s.log.has(id) {
		return
	}
	s.log.written = id
	switch {
	case s.lead != nil:
		s.lead.evaluate = true
	default:
		s.moveCommit(min(s.leaderCommit, s.matched))
		s.acknowledge()
		s.endDeleted()
	}
}

// snapshotTaken forgets the log up to a snapshot of this server's own.
func (s *Server) snapshotTaken(id EntryID) {
	if id.Index > s.log.base.Index && s.log.has(id) {
		s.log.compact(id)
	}
}
