package core

// shrink is a forced shrink that waits for its term to be durable.
type shrink struct {
	ref   uint64
	epoch uint64
}

// forceShrink starts a term that nobody voted for: the configuration that opens it has this server as its only
// voter, and another epoch, so that the members that are left behind are strangers from then on.
func (s *Server) forceShrink(in ForceShrink) {
	c := s.history.config().configuration
	if in.Epoch == 0 || in.Epoch == c.Epoch || c.Cluster == (ClusterID{}) || s.await.log ||
		s.receiving.installing || s.history.deletion != 0 || s.shrink.epoch != 0 {
		s.result(Result{Ref: in.Ref, Err: ErrRefused})
		return
	}
	s.stepDown()
	s.shrink = shrink{ref: in.Ref, epoch: in.Epoch}
	self := s.opts.Self
	s.setState(HardState{Term: s.state.Term + 1, Vote: voteFor(self.ID, self.Incarnation)})
	s.become(RoleCandidate)
}

// appendShrunk puts the configuration of a forced shrink into the log.
func (s *Server) appendShrunk() {
	c := s.history.config().configuration
	c.Epoch = s.shrink.epoch
	c.Members = []Member{{Identity: s.opts.Self, Membership: Voter}}
	s.lead.change = change{ref: s.shrink.ref, index: s.appendOwn(KindConfiguration, c.Marshal())}
	s.shrink = shrink{}
	s.removed = 0 // it was told so by those who are strangers now
}

// dropShrink ends one whose term was overtaken.
func (s *Server) dropShrink() {
	if s.shrink.epoch != 0 {
		s.result(Result{Ref: s.shrink.ref, Err: ErrRefused})
		s.shrink = shrink{}
	}
}
