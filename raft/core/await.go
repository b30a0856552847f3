package core

// await is what a server in RoleAwaitCondition waits for.
type await struct {
	// missing says that entries do not fit until the leader sends from further back. The refusal was
	// sent; those that were on their way are dropped without an answer.
	missing bool
	// log says that the log takes no entries.
	log bool
}

// found ends the wait for a missing entry.
func (s *Server) found() {
	if s.await.missing {
		s.await.missing = false
		s.stopTimer(TimerAwait)
	}
}

// awaitTimeout lets the next message that does not fit be answered again.
func (s *Server) awaitTimeout() {
	s.await.missing = false
	if s.role == RoleAwaitCondition {
		s.rest()
	}
}

// appendFailed takes back entries that the log refused. A leader that cannot append what opens its term, or
// its next entry, leads on: the proposals are the shell's to answer.
func (s *Server) appendFailed(last EntryID) {
	if last.Index < s.commit || !s.log.has(last) {
		s.fail("the log ends at %v, committed is %d", last, s.commit)
		return
	}
	if last != s.log.last {
		s.cut(last.Index)
	}
	if s.lead != nil {
		s.leaderAppendFailed(last)
		return
	}
	s.await.log = true
	if s.role == RoleFollower || s.role == RolePreVote || s.role == RoleCandidate {
		s.rest()
	}
}

func (s *Server) logReady() {
	if !s.await.log {
		return
	}
	s.await.log = false
	if s.role == RoleAwaitCondition {
		s.rest()
	}
	s.acknowledge() // so that the leader sends again
	s.resume()
}
