package core

import "slices"

// advance moves the commit index to what a majority of the voters has durably, if that is of this
// leader's term (Raft thesis §3.6.2). The leader counts itself by what its own device has.
func (s *Server) advance() {
	c := &s.history.config().configuration
	match := s.scratch[:0]
	for i := range c.Members {
		m := &c.Members[i]
		switch {
		case m.Membership != Voter:
		case m.ID == s.opts.Self.ID:
			match = append(match, s.log.written.Index)
		default:
			match = append(match, s.matchOf(m.ID))
		}
	}
	s.scratch = match
	if len(match) == 0 {
		return
	}
	slices.Sort(match)
	i := match[(len(match)-1)/2]
	if t, ok := s.log.term(i); i <= s.commit || !ok || t != s.state.Term {
		return
	}
	s.moveCommit(i)
	s.committed()
}

func (s *Server) matchOf(id ServerID) Index {
	if p := s.peer(id); p != nil {
		return p.match
	}
	return 0
}

// committed does what a leader does with entries of its own that became committed.
func (s *Server) committed() {
	lead := s.lead
	if !lead.ready && lead.noop <= s.commit {
		lead.ready = true
		s.startRound()
	}
	if c := lead.change; c.index != 0 && c.index <= s.commit {
		lead.change = change{}
		s.result(Result{Ref: c.ref, Index: c.index})
	}
	settled := s.history.settled()
	if !settled.configuration.votes(s.opts.Self.ID, s.opts.Self.Incarnation) && settled.index <= s.commit {
		lead.leaving = true
		return
	}
	s.promote()
	s.upgrade()
}
