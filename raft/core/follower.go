package core

// receiveAppend takes entries of this term's leader, or its commit index (Raft thesis §3.5). The log is cut
// only where an entry conflicts; the commit index follows only what was checked against the leader.
func (s *Server) receiveAppend(m *Message, b Append) {
	facts, ok := checkEntries(m.Term, b)
	if !ok {
		return // no leader sends such
	}
	switch {
	case s.receiving.transfer != 0:
		s.appendWhileReceiving(m, b)
		return
	}
	b = s.aboveBase(b)
	if !s.log.has(b.Prev) {
		s.reject(m, b)
		return
	}
	s.found()
	fresh := s.skipKnown(b)
	matched := b.Prev.Index + Index(len(b.Entries))
	if len(fresh) > 0 && s.await.log {
		return // the leader comes back to it, ever more slowly
	}
	s.leaderCommit = max(s.leaderCommit, b.Commit)
	if len(fresh) > 0 {
		if !s.adopt(fresh, facts) {
			return
		}
		s.matched = max(s.matched, matched)
		s.moveCommit(min(s.leaderCommit, fresh[0].Index-1)) // the log may still refuse what is fresh
	} else {
		s.matched = max(s.matched, matched)
		s.moveCommit(min(s.leaderCommit, s.matched))
		s.acknowledge() // else when they are durable
	}
	if s.role != RoleTerminating {
		s.rest()
	}
}

// checkEntries decodes what the entries mean to the core, and reports whether a leader of that term can
// have sent them.
func checkEntries(term Term, b Append) (facts []fact, ok bool) {
	at := b.Prev
	for i := range b.Entries {
		e := &b.Entries[i]
		if e.Index != at.Index+1 || e.Term < at.Term || e.Term > term {
			return nil, false
		}
		at = e.ID()
		f, err := factOf(e)
		if err != nil {
			return nil, false
		}
		if f.kind != 0 {
			facts = append(facts, f)
		}
	}
	return facts, true
}

// aboveBase leaves out what this server's snapshot stands for: that is committed, so it matches.
func (s *Server) aboveBase(b Append) Append {
	base := s.log.base
	if b.Prev.Index >= base.Index {
		return b
	}
	n := min(int(base.Index-b.Prev.Index), len(b.Entries))
	b.Entries = b.Entries[n:]
	b.Prev = base
	return b
}

// skipKnown returns the entries from the first on that the log does not have.
func (s *Server) skipKnown(b Append) []Entry {
	for i := range b.Entries {
		if !s.log.has(b.Entries[i].ID()) {
			return b.Entries[i:]
		}
	}
	return nil
}

// adopt appends entries, and cuts what conflicts with the first of them.
func (s *Server) adopt(fresh []Entry, facts []fact) bool {
	prev := fresh[0].Index - 1
	if prev < s.log.last.Index {
		if prev < s.commit {
			s.fail("entry %v replaces one that is committed, %v", fresh[0].ID(), s.log.id(prev+1))
			return false
		}
		s.eff.Truncate, s.eff.TruncateTo = true, s.log.id(prev)
		s.cut(prev)
	}
	s.eff.Prev = s.log.last
	for i := range fresh {
		s.log.append(fresh[i].ID())
	}
	s.eff.Append = append(s.eff.Append, fresh...)
	for _, f := range facts {
		if f.index > prev {
			s.note(f)
		}
	}
	return true
}

// cut forgets what lies above i.
func (s *Server) cut(i Index) {
	s.log.truncate(i)
	s.matched = min(s.matched, i)
	if s.history.truncate(i) {
		s.eff.Reconfigured = true
	}
}

// note takes over what an appended entry means. A configuration is in effect at once (Raft thesis §4.1).
func (s *Server) note(f fact) {
	s.history.add(f)
	if f.kind == KindConfiguration {
		s.eff.Reconfigured = true
	}
}

// reject says that the entry before b's is not in the log. What was sent behind it will not fit either.
func (s *Server) reject(m *Message, b Append) {
	if s.await.missing && !b.Probe {
		return
	}
	s.await.missing = true
	s.rest()
	s.setTimer(TimerAwait, s.opts.AwaitMS, s.opts.AwaitMS, 0)
	hint := s.log.id(s.log.agree(b.Prev.Index, b.Prev.Term))
	s.reply(m, AppendReply{
		Durable: s.checked(), Next: hint.Index + 1, Commit: s.commit, Rejected: b.Prev, Hint: hint,
	})
}

// checked is the newest entry that is durable and known to be the leader's.
func (s *Server) checked() EntryID {
	return s.log.id(max(min(s.log.written.Index, s.matched), s.log.base.Index))
}

// acknowledge tells the leader how far this log is durable and committed.
func (s *Server) acknowledge() {
	if s.leader.IsZero() || s.leader == s.opts.Self.ID {
		return
	}
	s.send(s.to(s.leader, s.leaderInc), AppendReply{
		Durable: s.checked(), Next: s.matched + 1, Commit: s.commit,
	})
}

// moveCommit raises the commit index.
func (s *Server) moveCommit(i Index) {
	if i <= s.commit {
		return
	}
	s.commit = i
	s.history.settle(i)
	if d := s.history.deletion; d != 0 && d <= i && s.lead == nil {
		s.rest()
	}
}
