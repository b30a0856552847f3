package core

import "iter"

// PeerState is what a leader knows of a peer.
type PeerState struct {
	Incarnation Incarnation
	Match, Next Index
	Since       any // identifies the record
}

// Peers yields a leader's peers.
func (s *Server) Peers() iter.Seq2[ServerID, PeerState] {
	return func(yield func(ServerID, PeerState) bool) {
		if s.lead == nil {
			return
		}
		for _, p := range s.lead.peers {
			if !yield(p.id, PeerState{Incarnation: p.inc, Match: p.match, Next: p.next, Since: p}) {
				return
			}
		}
	}
}

// Leads reports whether the server leads, also while it ends its cluster.
func (s *Server) Leads() bool { return s.lead != nil }
