package core

// endDeleted ends a follower whose cluster is deleted, when its own log has that durably: whoever
// comes back finds the deletion.
func (s *Server) endDeleted() {
	d := s.history.deletion
	if s.role != RoleTerminating || s.lead != nil || d == 0 || d > s.commit || s.log.written.Index < d {
		return
	}
	s.end(EndDeleted)
}

// endDeletion ends a leader that deleted its cluster, when all members have the deletion and know that it
// is committed.
func (s *Server) endDeletion() {
	d := s.history.deletion
	if d == 0 || d > s.commit {
		return
	}
	s.become(RoleTerminating)
	for _, p := range s.lead.peers {
		if !p.gone && (p.match < d || p.commit < d) {
			return
		}
	}
	s.end(EndDeleted)
}
