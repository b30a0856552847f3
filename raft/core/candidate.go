package core

import (
	"encoding/binary"
	"encoding/hex"
)

// voteFor is how a hard state names whom a server voted for: one life of it.
func voteFor(id ServerID, inc Incarnation) string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(inc))) + "/" + id.String()
}

// startCandidacy asks for votes in a new term. The requests leave, and the own vote counts, when term and
// vote are durable. A transfer's mark lets the request pass where a leader is believed.
func (s *Server) startCandidacy(transfer bool) {
	self := s.opts.Self
	s.setState(HardState{Term: s.state.Term + 1, Vote: voteFor(self.ID, self.Incarnation)})
	if !s.leader.IsZero() {
		s.leader, s.leaderInc = ServerID{}, 0
		s.eff.NewLeader = true
	}
	s.lostLeader, s.leaderOver = false, false
	s.matched, s.leaderCommit = s.commit, 0
	s.election.votes = s.election.votes[:0]
	s.become(RoleCandidate)
	s.awaitElection(s.opts.SuspectMinMS, s.opts.SuspectMaxMS)
	s.election.engaged, s.election.again = s.armed[TimerElection], !transfer
	s.askVoters(Vote{Last: s.log.last, Transfer: transfer})
}

// receiveVote answers in every state. While a leader is believed a request without the mark of a transfer
// changes nothing, not even the term. Who knows no configuration in which it is a voter votes all the
// same: the candidate's may be newer, and it counts the votes of its own voters only.
func (s *Server) receiveVote(m *Message, b Vote) {
	s.confessed(m, s.state.Term+1)
	if m.Term > s.state.Term {
		if (s.lead != nil || s.believes()) && !b.Transfer {
			s.reply(m, VoteReply{})
			return
		}
		s.enterTerm(m.Term)
	}
	vote := voteFor(m.From, m.FromInc)
	granted := m.Term == s.state.Term && (s.state.Vote == vote ||
		s.state.Vote == "" && s.leader.IsZero() && s.log.upToDate(b.Last))
	if granted && s.state.Vote == "" {
		s.setState(HardState{Term: s.state.Term, Vote: vote})
		s.awaitElection(s.opts.SuspectMinMS, s.opts.SuspectMaxMS)
		s.election.engaged = s.armed[TimerElection]
	}
	s.reply(m, VoteReply{Granted: granted})
}

func (s *Server) receiveVoteReply(m *Message, b VoteReply) {
	if s.role != RoleCandidate || !s.memberVotes(m) {
		return
	}
	if !b.Granted {
		s.election.again = false
		return
	}
	s.election.grant(m.From)
	s.countVotes()
}

// countVotes makes a candidate the leader when a majority voted for it, its own durable vote included.
func (s *Server) countVotes() {
	if s.state != s.durable {
		return
	}
	s.election.grant(s.opts.Self.ID)
	if s.won() || s.shrink.epoch != 0 {
		s.startLeading()
	}
}
