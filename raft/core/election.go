package core

// election is what a server knows of the elections it holds.
type election struct {
	// token is that of the newest pre-vote round.
	token uint64
	// failed counts the rounds since a leader was believed.
	failed uint8
	// engaged says that a candidacy is under way for which this server voted, its own or another's: until it had time to
	// end, by its leader or by this server's timer, no other one is encouraged.
	engaged bool
	// promised is the life that was granted a pre-vote since the timer was set, promisedLast the end of its log: until the timer runs
	// out no other one is encouraged but by a newer log, without which this one may never win. Who has failed twice itself heeds it no more.
	promised     Incarnation
	promisedLast EntryID
	// again says that a candidacy may still ask once more in its term: nobody has refused.
	again bool
	// votes are the voters that granted, by address.
	votes []ServerID
}

// grant notes a voter's grant: the same one counts once.
func (e *election) grant(id ServerID) {
	for _, v := range e.votes {
		if v == id {
			return
		}
	}
	e.votes = append(e.votes, id)
}

// protocol is the newest version of the messages that this program speaks.
const protocol = 1

// mayCampaign reports whether this life of this server votes in the configuration in effect, or in the
// committed one before it: who appended its own removal may be the only one that has the newest entries
// (Raft thesis §4.2.2).
func (s *Server) mayCampaign() bool {
	self := &s.opts.Self
	if !s.canServe(s.opts.Machine) {
		return false // it could apply nothing
	}
	if s.removed > s.history.config().index {
		return false
	}
	return s.history.config().configuration.votes(self.ID, self.Incarnation) ||
		s.history.settled().configuration.votes(self.ID, self.Incarnation)
}

// awaitElection sets the election timer of a voter anew.
func (s *Server) awaitElection(lo, hi uint32) {
	s.election.engaged, s.election.promised = false, 0
	if !s.mayCampaign() || s.role == RoleTerminating || s.lead != nil {
		s.stopTimer(TimerElection)
		return
	}
	for range min(s.election.failed, 8) {
		hi = min(2*hi, s.opts.ElectionMaxMS)
	}
	s.setTimer(TimerElection, lo, hi, 0)
}

// settleElection gives who votes and believes in no leader its timer, whatever made it so.
func (s *Server) settleElection() {
	if s.armed[TimerElection] || s.role == RoleEnded || s.believes() {
		return
	}
	s.awaitElection(s.opts.SuspectMinMS, s.opts.SuspectMaxMS)
}

func (s *Server) electionTimeout() {
	if s.waitsForVotes() {
		return
	}
	s.election.engaged, s.election.promised = false, 0
	if s.lead != nil || s.believes() || !s.mayCampaign() || s.role == RoleTerminating || s.shrink.epoch != 0 {
		return
	}
	if s.election.failed < 255 {
		s.election.failed++
	}
	s.abortReceiving()
	if s.await.log || s.receiving.installing { // its log could not take the entry that opens a term
		s.awaitElection(s.opts.SuspectMinMS, s.opts.SuspectMaxMS)
		return
	}
	s.startPreVote()
}

// waitsForVotes gives an election more time when it is the device that is slow, or asks once more for votes that may be lost: a
// newer term would make void what is on its way.
func (s *Server) waitsForVotes() bool {
	voting := s.role == RoleCandidate && s.shrink.epoch == 0
	switch {
	case !voting && !s.election.engaged:
		return false
	case s.state != s.durable:
	case voting && s.election.again:
		s.election.again = false
		s.askVoters(Vote{Last: s.log.last})
	default:
		return false
	}
	s.setTimer(TimerElection, s.opts.SuspectMinMS, s.opts.SuspectMaxMS, 0)
	return true
}

// triggerElection starts one without waiting, whatever is believed.
func (s *Server) triggerElection() {
	idle := s.role == RoleFollower || s.role == RolePreVote || s.role == RoleCandidate
	if idle && s.shrink.epoch == 0 && s.mayCampaign() {
		s.startPreVote()
	}
}

// won reports whether the grants are a majority of the voters in effect.
func (s *Server) won() bool {
	c, n := &s.history.config().configuration, 0
	for _, id := range s.election.votes {
		if m, ok := c.Member(id); ok && m.Membership == Voter {
			n++
		}
	}
	return n >= c.Quorum()
}

// askVoters sends a body to each other voter.
func (s *Server) askVoters(b Body) {
	c := &s.history.config().configuration
	for i := range c.Members {
		m := &c.Members[i]
		if m.Membership == Voter && m.ID != s.opts.Self.ID {
			s.send(s.to(m.ID, m.Incarnation), b)
		}
	}
}
