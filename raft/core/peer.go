package core

// peer is a leader's view of one other member (Raft thesis §3.5, §10.2).
type peer struct {
	id  ServerID
	inc Incarnation
	// next is the entry to send next. match is the newest that is known to be durable there, and equal;
	// it never falls within the term.
	next, match Index
	// commit is the commit index that it acknowledged, commitSent the one it was told.
	commit, commitSent Index
	mode               mode
	// sending says that entries are being read for it; stale that they are not wanted any more.
	sending, stale bool
	// waiting says that nothing is sent until it answers or the timer runs out.
	waiting bool
	// probe asks for an answer to the next message, whatever its state.
	probe bool
	// progress says that an answer moved something since the last retransmission.
	progress bool
	// gone says that its node deleted it with its cluster. absent says that its node knew no such server when it answered last.
	gone, absent bool
	// flights are the messages on their way, oldest first, of bytes in all.
	flights []flight
	bytes   int
	// machine is the newest version of the machine that it said it has.
	machine uint64
	// transfer is that of the snapshot on its way; accepted that the peer takes it.
	transfer uint64
	offered  SnapshotMeta
	accepted bool
}

// idleFlights is the room for flights that a peer at rest keeps.
const idleFlights = 8

type flight struct {
	last  Index
	bytes int
}

// mode says how a peer is sent entries.
type mode uint8

const (
	// modeProbe sends one message and waits: it is not known where the logs part.
	modeProbe mode = iota
	// modeStream sends as many as the window allows.
	modeStream
	// modeSnapshot sends nothing: a snapshot is on its way.
	modeSnapshot
)

func (s *Server) peer(id ServerID) *peer {
	if s.lead == nil {
		return nil
	}
	for _, p := range s.lead.peers {
		if p.id == id {
			return p
		}
	}
	return nil
}

// syncPeers makes the peers those of the configuration in effect.
func (s *Server) syncPeers() {
	c := &s.history.config().configuration
	var peers []*peer
	for i := range c.Members {
		m := &c.Members[i]
		if m.ID == s.opts.Self.ID {
			continue
		}
		p := s.peer(m.ID)
		if p == nil || p.inc != m.Incarnation {
			p = &peer{id: m.ID, inc: m.Incarnation, next: max(s.lead.noop, s.log.base.Index+1)}
		}
		peers = append(peers, p)
	}
	s.lead.peers = peers
	s.lead.evaluate = true
}

// quiet reports whether the peer has acknowledged everything there is to tell.
func (p *peer) quiet(s *Server) bool {
	return p.gone || p.match == s.log.last.Index && p.commit == s.commit
}

// owed reports whether nothing is missing but word of the commit index, which was deferred.
func (p *peer) owed(s *Server) bool {
	return p.mode == modeStream && p.match == s.log.last.Index && p.commitSent < s.commit
}

// rewind sends again what is not known to be durable.
func (p *peer) rewind() {
	p.next = p.match + 1
	p.clearFlights()
	p.mode, p.waiting, p.probe = modeProbe, false, true
	p.transfer, p.accepted = 0, false
}

func (p *peer) clearFlights() {
	p.flights, p.bytes = nil, 0
	p.stale = p.sending
}

// replicate sends a peer what it lacks, as far as its mode and its window allow.
func (s *Server) replicate(p *peer) {
	if p.sending || p.waiting || p.mode == modeSnapshot || p.gone || s.down[p.id.Node] {
		return
	}
	last := s.log.last.Index
	window := p.match + Index(s.opts.WindowEntries)
	switch {
	case p.next <= s.log.base.Index:
		p.mode, p.transfer, p.accepted = modeSnapshot, 0, false
		s.eff.Snapshots = append(s.eff.Snapshots, s.to(p.id, p.inc))
	case p.next <= last && (p.mode == modeProbe || p.next <= window && p.bytes < s.opts.WindowBytes):
		p.sending = true
		p.commitSent = s.commit
		s.eff.Sends = append(s.eff.Sends, Send{
			Head: s.to(p.id, p.inc), Prev: s.log.id(p.next - 1), First: p.next,
			Last:     min(last, p.next+Index(s.opts.BatchEntries)-1, max(window, p.next)),
			MaxBytes: max(1, min(s.opts.BatchBytes, s.opts.WindowBytes-p.bytes)), Commit: s.commit, Probe: p.probe,
		})
		p.probe = false
	case p.probe || p.commitSent < s.commit && !s.defersCommit():
		s.send(s.to(p.id, p.inc), Append{Prev: s.log.id(p.next - 1), Commit: s.commit, Probe: p.probe})
		p.commitSent, p.probe = s.commit, false
		p.waiting = p.mode == modeProbe
	}
}

// defersCommit reports whether a commit index may wait for the next entries, or for the retransmit timer: under a steady
// load it costs no message of its own, at other times followers hear of it at once.
func (s *Server) defersCommit() bool {
	return s.lead.steady && !s.lead.leaving && s.history.deletion == 0 && s.lead.transfer == nil
}

// sendFailed waits with a peer to which entries could not be sent.
func (s *Server) sendFailed(in SendFailed) {
	if p := s.peer(in.To); p != nil {
		p.sending, p.stale, p.waiting = false, false, true
	}
}

// takeSent takes note that entries are on their way.
func (s *Server) takeSent(in *Sent) {
	p := s.peer(in.To)
	if p == nil || !p.sending {
		return
	}
	p.sending = false
	if p.stale {
		p.stale = false
		return
	}
	if in.Last < p.next {
		return // the peer had it already
	}
	if in.Last > s.log.last.Index {
		p.waiting = true // the log was cut meanwhile: the timer begins anew
		return
	}
	p.next = in.Last + 1
	p.flights = append(p.flights, flight{last: in.Last, bytes: in.Bytes})
	p.bytes += in.Bytes
	p.waiting = p.mode == modeProbe
}

// receiveAppendReply raises match to what the peer has durably, if it is the same entry here.
func (s *Server) receiveAppendReply(p *peer, b AppendReply) {
	if c := min(b.Commit, s.commit); c > p.commit {
		p.commit, p.progress = c, true
	}
	if b.Durable.Index > p.match && s.log.has(b.Durable) {
		p.match, p.progress = b.Durable.Index, true
		p.land()
		s.lead.evaluate = true
	}
	switch {
	case b.Rejected != EntryID{}:
		s.refit(p, b)
		return
	case p.mode == modeSnapshot:
		if p.accepted && b.Next <= s.log.base.Index && p.match < s.log.base.Index {
			return // from before the snapshot
		}
		p.transfer, p.accepted = 0, false
	}
	p.mode, p.waiting = modeStream, false
	p.next = max(p.next, p.match+1)
	if b.Next > p.next && b.Next <= s.log.last.Index+1 {
		p.next = b.Next
	}
	s.promote()
}

// land forgets the messages that arrived.
func (p *peer) land() {
	n := 0
	for n < len(p.flights) && p.flights[n].last <= p.match {
		p.bytes -= p.flights[n].bytes
		n++
	}
	p.flights = append(p.flights[:0], p.flights[n:]...)
	if len(p.flights) == 0 && cap(p.flights) > idleFlights {
		p.flights = nil
	}
}

// refit looks for where the logs part, by the peer's hint. An answer that comes late does no harm: next never
// falls to what is known to match.
func (s *Server) refit(p *peer, b AppendReply) {
	if b.Rejected.Index <= p.match || p.mode == modeSnapshot {
		return
	}
	next := s.log.agree(b.Hint.Index, b.Hint.Term) + 1
	if b.Hint.Index < s.log.base.Index {
		next = b.Hint.Index + 1 // the log there is gone: a snapshot it is
	}
	p.next = max(p.match+1, min(next, b.Rejected.Index))
	p.progress = true
	p.clearFlights()
	p.mode, p.waiting, p.probe = modeProbe, false, true // one that waits answers nothing else
}

// retransmit sends again to the peers that did not get on since the last time.
func (s *Server) retransmit() {
	s.lead.steady, s.lead.appended = s.lead.appended, false
	answered := false
	for _, p := range s.lead.peers {
		if s.down[p.id.Node] || p.quiet(s) {
			continue
		}
		switch {
		case p.owed(s):
			answered, p.probe = true, true
		case p.progress: // what is on its way may yet come
			answered = true
			if p.mode != modeSnapshot {
				p.waiting = false
			}
		case p.mode == modeSnapshot:
			s.offerAgain(p)
		default:
			p.rewind()
		}
		p.progress = false
	}
	if answered {
		s.lead.attempt = 0
	} else if s.lead.attempt < 16 {
		s.lead.attempt++
	}
}

// resetPeers starts anew with the members on a node, to which messages may have been lost.
func (s *Server) resetPeers(n NodeID) {
	for _, p := range s.lead.peers {
		if p.id.Node != n {
			continue
		}
		p.machine = 0 // another program may be there
		if p.mode != modeSnapshot && !p.quiet(s) {
			p.rewind()
		}
	}
}

// probeSoon sends to a peer that seems not to hear this leader.
func (s *Server) probeSoon(id ServerID) {
	if p := s.peer(id); p != nil && p.mode != modeSnapshot {
		p.rewind()
	}
}
