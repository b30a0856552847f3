package core

// receiving is a snapshot whose bytes arrive.
type receiving struct {
	transfer uint64 // 0 while there is none
	meta     *SnapshotMeta
	// installing says that the log is being replaced: that cannot be called off.
	installing bool
}

// receiveOffer accepts a snapshot that this server needs, and says what it has when it does not.
func (s *Server) receiveOffer(m *Message, b Offer) {
	switch {
	case s.receiving.transfer == b.Transfer && b.Transfer != 0:
		s.reply(m, OfferReply(OfferReply{Transfer: b.Transfer}))
		return
	case s.receiving.installing || s.role == RoleTerminating || b.Transfer == 0:
		return
	case b.Snapshot.Configuration.Validate() != nil:
		return
	}
	if s.log.has(b.Snapshot.ID) { // what the log has of committed entries needs no snapshot
		s.matched = max(s.matched, b.Snapshot.ID.Index)
		s.moveCommit(b.Snapshot.ID.Index)
	}
	if b.Snapshot.ID.Index <= s.commit {
		s.acknowledge()
		return
	}
	if b.Snapshot.Machine > s.opts.Machine {
		return // the code that could read it is not here; the leader offers it again
	}
	s.abortReceiving()
	s.found()
	s.receiving = receiving{transfer: b.Transfer, meta: &b.Snapshot}
	s.eff.Accept = &Accept{From: m.From, Transfer: b.Transfer, Snapshot: b.Snapshot}
	s.rest()
	s.setTimer(TimerSnapshot, s.opts.SnapshotMS, s.opts.SnapshotMS, 0)
	s.reply(m, OfferReply{Transfer: b.Transfer})
}

// appendWhileReceiving answers probes: the leader is to know that this server lives.
func (s *Server) appendWhileReceiving(m *Message, b Append) {
	if b.Probe {
		s.reply(m, OfferReply{Transfer: s.receiving.transfer})
	}
}

func (s *Server) stepReceiving(in Input) {
	switch in := in.(type) {
	case SnapshotProgress:
		if s.receives(in.Transfer) && !s.receiving.installing {
			s.setTimer(TimerSnapshot, s.opts.SnapshotMS, s.opts.SnapshotMS, 0)
		}
	case SnapshotReceived:
		if s.receives(in.Transfer) && !s.receiving.installing {
			s.install()
		}
	case SnapshotFailed:
		if s.receives(in.Transfer) {
			s.receiving.installing = false
			s.abortReceiving()
			s.rest() // without an answer: the leader's timer is to decide when it tries again
		}
	case Installed:
		s.installed(in.Snapshot)
	}
}

func (s *Server) receives(transfer uint64) bool {
	return s.receiving.transfer == transfer && transfer != 0
}

// install replaces the log, unless what came meanwhile made the snapshot superfluous.
func (s *Server) install() {
	if s.receiving.meta.ID.Index <= s.commit {
		s.abortReceiving()
		s.rest()
		s.acknowledge()
		return
	}
	s.receiving.installing = true
	s.stopTimer(TimerSnapshot)
	s.eff.Install, s.eff.InstallTransfer = s.receiving.meta, s.receiving.transfer
}

// installed takes over the snapshot's end as the end of the log. Nothing of the old log counts, a membership
// change that was not committed neither.
func (s *Server) installed(m SnapshotMeta) {
	s.receiving = receiving{}
	s.stopTimer(TimerSnapshot)
	if m.ID.Index <= s.commit {
		s.fail("snapshot %v was installed over a log committed to %d", m.ID, s.commit)
		return
	}
	s.log.reset(m.ID)
	s.history.reset(m)
	s.eff.Reconfigured = true
	s.commit, s.matched = m.ID.Index, m.ID.Index
	s.await.missing = false
	s.rest()
	s.acknowledge()
}

// abortReceiving ends the receiving of a snapshot, unless the log is being replaced already.
func (s *Server) abortReceiving() {
	if s.receiving.transfer == 0 || s.receiving.installing {
		return
	}
	s.eff.Abort = s.receiving.transfer
	s.receiving = receiving{}
	s.stopTimer(TimerSnapshot)
	if s.role == RoleReceiveSnapshot {
		s.rest()
	}
}
