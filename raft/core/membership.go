package core

import "fmt"

// change is a membership change that is not committed.
type change struct {
	ref   uint64
	index Index
}

// changeMembership appends a configuration that differs in one member (Raft thesis §4.1), which is in
// effect at once.
func (s *Server) changeMembership(in ChangeMembership) {
	c, err := s.changed(in)
	if err != nil {
		s.result(Result{Ref: in.Ref, Err: err})
		return
	}
	s.lead.change = change{ref: in.Ref, index: s.reconfigure(c)}
	s.checkQuorum() // there may be contact to a majority of the old voters only
}

// changed is the configuration that a change makes.
func (s *Server) changed(in ChangeMembership) (Configuration, error) {
	if err := s.refusal(); err != nil {
		return Configuration{}, err
	}
	now := s.history.config()
	switch {
	case !s.lead.ready:
		return Configuration{}, ErrNotReady
	case now.index > s.commit:
		return Configuration{}, ErrChangeInProgress
	case in.Expected != 0 && in.Expected != now.index:
		return Configuration{}, fmt.Errorf("%w: it came with entry %d", ErrConfigurationMoved, now.index)
	}
	c := now.configuration
	old, member := c.Member(in.Member.ID)
	switch in.Change {
	case AddMember:
		if member {
			return Configuration{}, ErrAlreadyMember
		}
		c = c.with(s.withTarget(in.Member))
	case RemoveMember:
		if !member {
			return Configuration{}, ErrNotMember
		}
		c = c.without(in.Member.ID)
	case SetMembership:
		if !member {
			return Configuration{}, ErrNotMember
		}
		old.Membership = in.Member.Membership
		c = c.with(s.withTarget(old))
	case ReplaceMember:
		m, err := s.replacement(old, in)
		if err != nil {
			return Configuration{}, err
		}
		c = c.with(s.withTarget(m))
	default:
		return Configuration{}, fmt.Errorf("%w: %d", ErrBadMember, in.Change)
	}
	if err := c.Validate(); err != nil {
		return Configuration{}, fmt.Errorf("%w: %w", ErrBadMember, err)
	}
	if !hasVoter(c) {
		return Configuration{}, fmt.Errorf("%w: no voter would be left", ErrBadMember)
	}
	return c, nil
}

// replacement is the member that takes the place of an earlier life. No more than one voter goes by that, and none comes.
func (s *Server) replacement(old Member, in ChangeMembership) (m Member, err error) {
	switch {
	case old.Incarnation == in.Member.Incarnation && old.Incarnation != 0:
		return m, ErrAlreadyMember
	case old.Incarnation != in.Replaces || in.Replaces == 0:
		return m, fmt.Errorf("%w: that life of it", ErrNotMember)
	case old.ID == s.opts.Self.ID:
		return m, fmt.Errorf("%w: the leader's log is not lost", ErrBadMember)
	}
	m = Member{Identity: in.Member.Identity, Membership: old.Membership}
	if m.Membership == Voter {
		m.Membership = Promotable
	}
	return m, nil
}

func hasVoter(c Configuration) bool {
	for i := range c.Members {
		if c.Members[i].Membership == Voter {
			return true
		}
	}
	return false
}

// withTarget sets how far a promotable member has to come: to the entry that makes it one.
func (s *Server) withTarget(m Member) Member {
	m.Target = 0
	if m.Membership == Promotable {
		m.Target = s.log.last.Index + 1
	}
	return m
}

func (s *Server) reconfigure(c Configuration) Index {
	i := s.appendOwn(KindConfiguration, c.Marshal())
	s.syncPeers()
	return i
}

// promote makes a voter of a promotable member that has come to its target and says so, unless another
// change is on its way: then it is tried again when that is committed. A member that was up to date once may be gone by the
// time the entry is committed that lets it join, or the entry of the change that was made meanwhile; as a voter it would be missed.
// That it knows the newest configuration, which is never below its target, to be committed can only be its answer to what it was
// told since.
func (s *Server) promote() {
	now := s.history.config()
	if !s.lead.ready || now.index > s.commit || s.refusal() != nil {
		return
	}
	for i := range now.configuration.Members {
		m := now.configuration.Members[i]
		if p := s.peer(m.ID); m.Membership == Promotable && p != nil && min(p.match, p.commit) >= now.index {
			m.Membership, m.Target = Voter, 0
			s.reconfigure(now.configuration.with(m))
			return
		}
	}
}
