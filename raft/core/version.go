package core

// askVersions asks the members whether they have this leader's version of the machine.
func (s *Server) askVersions() {
	if s.opts.Machine <= s.history.machine() {
		return
	}
	for _, p := range s.lead.peers {
		if p.machine < s.opts.Machine {
			s.send(s.to(p.id, p.inc), Info{})
		}
	}
	s.setTimer(TimerVersions, s.opts.VersionsMS, s.opts.VersionsMS, 0)
	s.upgrade()
}

// upgrade moves the cluster to this leader's version of the machine when every member has it.
func (s *Server) upgrade() {
	if s.opts.Strategy != VersionAll || !s.lead.ready || s.opts.Machine <= s.history.machine() || s.refusal() != nil {
		return
	}
	for _, p := range s.lead.peers {
		if p.machine < s.opts.Machine {
			if !s.armed[TimerVersions] {
				s.askVersions()
			}
			return
		}
	}
	s.appendOwn(KindNoop, MarshalNoop(s.opts.Machine))
	s.stopTimer(TimerVersions)
}
