package core

// startPreVote asks the voters whether an election could be won. Nothing durable changes (Raft thesis §9.6).
func (s *Server) startPreVote() {
	s.become(RolePreVote)
	s.election.token++
	s.election.votes = append(s.election.votes[:0], s.opts.Self.ID)
	s.awaitElection(s.opts.SuspectMinMS, s.opts.SuspectMaxMS)
	if s.won() {
		s.startCandidacy(false)
		return
	}
	s.askVoters(PreVote{
		Token: s.election.token, Next: s.state.Term + 1, Last: s.log.last, Protocol: protocol, Machine: s.opts.Machine,
	})
}

// receivePreVote answers in every state. A server that believes in a leader refuses, and one that has just voted: its
// candidate may lead already, and a newer term would depose it.
func (s *Server) receivePreVote(m *Message, b PreVote) {
	if s.lead != nil {
		s.probeSoon(m.From) // it does not hear us
	}
	s.confessed(m, s.state.Term)
	granted := s.lead == nil && !s.believes() && !s.election.engaged && s.role != RoleTerminating && b.Next > s.state.Term &&
		s.log.upToDate(b.Last) && b.Protocol <= protocol && s.canServe(b.Machine) && s.yields(m, b.Last)
	if granted {
		s.promise(m, b.Last)
	}
	s.reply(m, PreVoteReply{Token: b.Token, Granted: granted})
	if now, settled := s.history.config(), s.history.settled(); settled.index > 0 &&
		!now.configuration.Has(m.From, m.FromInc) && !settled.configuration.Has(m.From, m.FromInc) {
		s.reply(m, Removed{Index: settled.index})
	}
}

// yields reports whether this server lets another one try that could win. It encourages one at a time, and while the first
// round of its own is under way only who ranks higher: of two that ask at the same time one goes on, where both would win and
// then split the votes. In later rounds it asks neither: who ranks high may be one that cannot win, and where each of five has
// promised itself to another one nobody can, for whoever asks is new to all but the last that asked.
func (s *Server) yields(m *Message, last EntryID) bool {
	e := &s.election
	switch {
	case e.failed > 1:
		return true
	case e.promised != 0:
		return e.promised == m.FromInc || newer(last, e.promisedLast)
	case s.role == RolePreVote && last == s.log.last:
		return m.FromInc > s.opts.Self.Incarnation
	}
	return true
}

// newer reports whether a log that ends at a is more up to date than one that ends at b.
func newer(a, b EntryID) bool { return a.Term > b.Term || a.Term == b.Term && a.Index > b.Index }

// promise gives a server that was granted a pre-vote the time to win, and a round of this server's own up. One that does not
// vote here holds up nobody.
func (s *Server) promise(m *Message, last EntryID) {
	if s.election.promised == m.FromInc || !s.memberVotes(m) {
		return
	}
	s.awaitElection(s.opts.SuspectMinMS, s.opts.SuspectMaxMS)
	if s.armed[TimerElection] {
		s.election.promised, s.election.promisedLast = m.FromInc, last
	}
	if s.role == RolePreVote {
		s.rest()
	}
}

// receiveRemoved ends the elections of a server that learns of its removal. It lacks a committed entry, so it could win
// none; if it was added again since, or is later, the entry that does so lets it campaign again.
func (s *Server) receiveRemoved(b Removed) {
	if s.lead != nil || b.Index <= s.history.config().index {
		return
	}
	s.removed = max(s.removed, b.Index)
	s.stopTimer(TimerElection)
	if s.role == RolePreVote || s.role == RoleCandidate {
		s.rest()
	}
}

// canServe reports whether a leader whose machine has that version could lead this server's cluster.
func (s *Server) canServe(version uint64) bool { return version >= s.history.machine() }

func (s *Server) receivePreVoteReply(m *Message, b PreVoteReply) {
	if s.role != RolePreVote || b.Token != s.election.token || !b.Granted || !s.memberVotes(m) {
		return
	}
	s.election.grant(m.From)
	if s.won() {
		s.startCandidacy(false)
	}
}

// memberVotes reports whether the sender's life is a voter of the configuration in effect.
func (s *Server) memberVotes(m *Message) bool {
	return s.history.config().configuration.votes(m.From, m.FromInc)
}
