package core

// rounds confirm that a leader leads, for many reads at once (Raft thesis §6.4).
type rounds struct {
	number  uint64
	running bool
	index   Index // the commit index when the round began
	acks    []ServerID
	current []reader // served by the round that runs
	waiting []reader // by the next one
}

// reader is who waits for a read index: this server, or another.
type reader struct {
	ref  uint64
	from Head // of the request, zero for a read of this server's own
}

// read asks for an index behind which a read is linearizable, from this leader or from another one. The
// answer comes as a Result, sooner or later.
func (s *Server) read(ref uint64) {
	if s.lead != nil {
		s.lead.rounds.waiting = append(s.lead.rounds.waiting, reader{ref: ref})
		s.startRound()
		return
	}
	s.reads = append(s.reads, ref)
	s.ask(ref)
}

// ask sends a read to the leader, or to each voter while none is known: a member of a group at rest may
// have missed who leads. It comes back to it. A configuration without this server may be that of an older
// epoch, whose voters know nothing of what the newer one committed.
func (s *Server) ask(ref uint64) {
	self := &s.opts.Self
	switch {
	case !s.leader.IsZero():
		s.send(s.to(s.leader, s.leaderInc), ReadIndex{Ref: ref})
	case s.history.config().configuration.Has(self.ID, self.Incarnation):
		s.askVoters(ReadIndex{Ref: ref})
	}
	if !s.armed[TimerRead] {
		s.setTimer(TimerRead, s.opts.ReadMS, s.opts.ReadMS, 0)
	}
}

// readAgain asks a new leader, or over a new connection.
func (s *Server) readAgain() {
	for _, ref := range s.reads {
		s.ask(ref)
	}
}

func (s *Server) cancelRead(ref uint64) {
	s.reads = dropRef(s.reads, ref)
	if s.lead == nil {
		return
	}
	r := &s.lead.rounds
	r.current, r.waiting = dropReader(r.current, ref), dropReader(r.waiting, ref)
}

func dropRef(refs []uint64, ref uint64) []uint64 {
	for i := range refs {
		if refs[i] == ref {
			return append(refs[:i], refs[i+1:]...)
		}
	}
	return refs
}

func dropReader(readers []reader, ref uint64) []reader {
	for i := range readers {
		if readers[i].ref == ref && readers[i].from.From.IsZero() {
			return append(readers[:i], readers[i+1:]...)
		}
	}
	return readers
}

// receiveReadIndex answers in every state: at once when this server does not lead.
func (s *Server) receiveReadIndex(m *Message, b ReadIndex) {
	if s.lead == nil || m.Term > s.state.Term {
		s.reply(m, ReadIndexReply{Ref: b.Ref})
		return
	}
	r := &s.lead.rounds
	for _, w := range r.waiting {
		if w.ref == b.Ref && w.from.From == m.From {
			return // asked again
		}
	}
	r.waiting = append(r.waiting, reader{ref: b.Ref, from: m.Head})
	s.startRound()
}

func (s *Server) receiveReadIndexReply(m *Message, b ReadIndexReply) {
	if !b.OK {
		if m.FromInc == s.leaderInc { // or it said so before it led
			s.leaderLost(LeaderLost{Leader: m.From, Term: m.Term})
		}
		return // the timer asks again
	}
	if s.lead == nil && m.From == s.leader && m.FromInc == s.leaderInc { // word of the commit index, which may have been deferred
		s.leaderCommit = max(s.leaderCommit, b.Index)
		s.moveCommit(min(s.leaderCommit, s.matched))
	}
	for _, ref := range s.reads {
		if ref == b.Ref {
			s.reads = dropRef(s.reads, ref)
			s.result(Result{Ref: ref, Index: b.Index})
			break
		}
	}
	if len(s.reads) == 0 {
		s.stopTimer(TimerRead)
	}
}

// startRound begins a round for all reads that wait, unless one runs, or the leader does not yet know
// what is committed: that the first entry of its own term tells.
func (s *Server) startRound() {
	r := &s.lead.rounds
	if r.running || !s.lead.ready || len(r.waiting) == 0 {
		return
	}
	r.number++
	r.running, r.index = true, s.commit
	r.current, r.waiting = r.waiting, r.current[:0]
	r.acks = append(r.acks[:0], s.opts.Self.ID)
	if s.confirmed() {
		s.endRound()
		return
	}
	s.askVoters(Round{Number: r.number})
	s.setTimer(TimerRead, s.opts.ReadMS, s.opts.ReadMS, 0)
}

// confirmed reports whether a majority of the voters answered this round.
func (s *Server) confirmed() bool {
	c, n := &s.history.config().configuration, 0
	for _, id := range s.lead.rounds.acks {
		if m, ok := c.Member(id); ok && m.Membership == Voter {
			n++
		}
	}
	return n >= c.Quorum()
}

func (s *Server) receiveRoundReply(m *Message, b RoundReply) {
	r := &s.lead.rounds
	if !r.running || b.Number != r.number || !s.memberVotes(m) {
		return
	}
	for _, id := range r.acks {
		if id == m.From {
			return
		}
	}
	r.acks = append(r.acks, m.From)
	s.settleRound()
}

// settleRound ends the round that runs when a majority answered it: also one of the voters that a removal
// leaves.
func (s *Server) settleRound() {
	if s.lead.rounds.running && s.confirmed() {
		s.endRound()
		s.startRound()
	}
}

func (s *Server) endRound() {
	r := &s.lead.rounds
	r.running = false
	s.stopTimer(TimerRead)
	for _, w := range r.current {
		if w.from.From.IsZero() {
			s.result(Result{Ref: w.ref, Index: r.index})
		} else {
			s.send(s.to(w.from.From, w.from.FromInc), ReadIndexReply{Ref: w.ref, Index: r.index, OK: true})
		}
	}
	clear(r.current)
	r.current = r.current[:0]
}

// readTimeout sends again what was not answered.
func (s *Server) readTimeout() {
	if s.lead == nil {
		s.readAgain()
		return
	}
	if r := &s.lead.rounds; r.running {
		s.askVoters(Round{Number: r.number})
		s.setTimer(TimerRead, s.opts.ReadMS, s.opts.ReadMS, 0)
	}
}

// takeReads makes the reads that another leader was asked for this leader's own.
func (s *Server) takeReads() {
	for _, ref := range s.reads {
		s.lead.rounds.waiting = append(s.lead.rounds.waiting, reader{ref: ref})
	}
	s.reads = nil
	s.stopTimer(TimerRead)
}

// returnReads keeps this server's own reads for the next leader. Others ask again.
func (s *Server) returnReads(lead *leadership) {
	for _, w := range append(lead.rounds.current, lead.rounds.waiting...) {
		if w.from.From.IsZero() {
			s.reads = append(s.reads, w.ref)
		}
	}
	if len(s.reads) > 0 {
		s.setTimer(TimerRead, s.opts.ReadMS, s.opts.ReadMS, 0)
	}
}
