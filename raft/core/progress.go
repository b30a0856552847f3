package core

// Progress is how far a leader has brought a peer.
type Progress struct {
	ID ServerID
	// Next is the entry to send next, Match the newest that is known to be durable there and equal, Commit the commit index
	// that it acknowledged.
	Next, Match, Commit Index
	// Mode is how it is sent entries: "probe", "stream" or "snapshot"; "gone" when its node has no such server.
	Mode string
}

// Progress returns that of each peer, nil on a server that does not lead. The caller owns the slice.
func (s *Server) Progress() []Progress {
	if s.lead == nil {
		return nil
	}
	list := make([]Progress, 0, len(s.lead.peers))
	for _, p := range s.lead.peers {
		mode := p.mode.String()
		if p.absent {
			mode = "gone"
		}
		list = append(list, Progress{ID: p.id, Next: p.next, Match: p.match, Commit: p.commit, Mode: mode})
	}
	return list
}

// String names the mode.
func (m mode) String() string {
	switch m {
	case modeStream:
		return "stream"
	case modeSnapshot:
		return "snapshot"
	}
	return "probe"
}
