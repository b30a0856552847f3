package core

// snapshotOffered sends the offer of the snapshot that the shell chose for the peer.
func (s *Server) snapshotOffered(p *peer, in SnapshotOffered) {
	if p.mode != modeSnapshot || in.Transfer == 0 {
		return
	}
	p.transfer, p.offered, p.accepted = in.Transfer, in.Snapshot, false
	s.send(s.to(p.id, p.inc), Offer{Transfer: p.transfer, Snapshot: p.offered})
}

// offerAgain repeats an offer that may have been lost.
func (s *Server) offerAgain(p *peer) {
	if p.transfer != 0 && !p.accepted {
		s.send(s.to(p.id, p.inc), Offer{Transfer: p.transfer, Snapshot: p.offered})
	}
}

// snapshotSent ends a transfer. After one that failed the timer decides when the next begins.
func (p *peer) snapshotSent(in SnapshotSent) {
	if p.mode != modeSnapshot || in.Transfer != p.transfer {
		return
	}
	p.rewind()
	if in.OK {
		p.next = max(p.next, p.offered.ID.Index+1)
	} else {
		p.waiting = true
	}
	p.offered = SnapshotMeta{}
}
