package core

// transfer is a handing over of leadership.
type transfer struct {
	asked bool // somebody waits for the result
	ref   uint64
	to    ServerID
	// triggered says that the target was told: once in a term.
	triggered bool
}

// transferLeadership stops accepting commands until the target has the whole log and takes over, or time
// runs out (Raft thesis §3.10).
func (s *Server) transferLeadership(in TransferLeadership) {
	if err := s.canTransfer(in.To); err != nil {
		s.result(Result{Ref: in.Ref, Err: err})
		return
	}
	s.startTransfer(&transfer{asked: true, ref: in.Ref, to: in.To})
}

func (s *Server) canTransfer(to ServerID) error {
	if s.lead == nil {
		return ErrNotLeader
	}
	m, ok := s.history.config().configuration.Member(to)
	switch {
	case to == s.opts.Self.ID:
		return ErrAlreadyLeader
	case !ok:
		return ErrNotMember
	case m.Membership != Voter:
		return ErrNotVoter
	case s.lead.transfer != nil:
		return ErrTransferring
	case s.history.deletion != 0:
		return ErrDeleting
	}
	return nil
}

func (s *Server) startTransfer(t *transfer) {
	s.endHandover(ErrTransferTimeout)
	s.lead.transfer = t
	s.setTimer(TimerTransfer, s.opts.TransferMS, s.opts.TransferMS, 0)
}

// settleTransfer triggers the target's election when it has everything.
func (s *Server) settleTransfer() {
	t := s.lead.transfer
	if t == nil || t.triggered {
		return
	}
	if p := s.peer(t.to); p != nil && p.match == s.log.last.Index {
		t.triggered = true
		s.send(s.to(p.id, p.inc), TimeoutNow{Last: s.log.last})
	}
}

// receiveTimeoutNow starts an election that is no disturbance, if the leader of this very term asks for it.
func (s *Server) receiveTimeoutNow(m *Message, b TimeoutNow) {
	if m.Term != s.state.Term || m.From != s.leader || s.lead != nil || s.role != RoleFollower ||
		!s.mayCampaign() || s.log.last != b.Last {
		return
	}
	s.startCandidacy(true)
}

// transferTimeout resumes leading, in the same term.
func (s *Server) transferTimeout() {
	if s.lead != nil && s.lead.transfer != nil {
		s.handover, s.lead.transfer = s.lead.transfer, nil
	}
	s.endHandover(ErrTransferTimeout)
	s.resume()
}

// endHandover answers who asked for a transfer.
func (s *Server) endHandover(err error) {
	h := s.handover
	if h == nil {
		return
	}
	s.handover = nil
	if h.asked {
		s.result(Result{Ref: h.ref, Err: err, Maybe: err != nil})
	}
	s.stopTimer(TimerTransfer)
}

// diskStalled hands over to the reachable voter that has most of the log, if there is one that seems to be better off: it has what this
// server's own disk does not get to hold, or everything, where this server's log takes no more.
func (s *Server) diskStalled() {
	if s.lead == nil || s.lead.transfer != nil {
		return
	}
	var best *peer
	for _, p := range s.lead.peers {
		better := p.match > s.log.written.Index || s.await.log && p.match == s.log.last.Index
		if better && !s.down[p.id.Node] && s.canTransfer(p.id) == nil && (best == nil || p.match > best.match) {
			best = p
		}
	}
	if best != nil {
		s.startTransfer(&transfer{to: best.id})
	}
}
