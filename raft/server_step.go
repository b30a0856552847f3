package raft

import (
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/raft/core"
)

// step feeds one input to the core and carries out what follows, and what follows from that.
func (s *server) step(in core.Input) {
	if s.dead {
		return
	}
	s.carry(s.core.Step(in))
	s.drain()
}

// drain feeds what the last effects brought about.
func (s *server) drain() {
	for s.turn.fed < len(s.turn.again) && !s.dead {
		next := s.turn.again[s.turn.fed]
		s.turn.again[s.turn.fed] = nil
		s.turn.fed++
		e := s.core.Step(next)
		if next == core.Input(&s.turn.dispatched) {
			s.turn.dispatched.Sent, s.turn.dispatched.Failed = s.turn.dispatched.Sent[:0], s.turn.dispatched.Failed[:0]
		}
		s.carry(e)
	}
	s.turn.fed, s.turn.again = 0, s.turn.again[:0]
}

// carry carries out effects, in the order of their fields.
func (s *server) carry(e *core.Effects) {
	if e.Fault != nil {
		s.fail(e.Fault)
		return
	}
	if err := s.write(e); err != nil {
		s.fail(err)
		return
	}
	if e.Install != nil {
		s.install(*e.Install, e.InstallTransfer)
	}
	s.countEffects(e)
	for i := range e.Messages {
		s.send(&e.Messages[i])
	}
	if len(e.Sends) > 0 {
		s.fillAll(e.Sends)
	}
	for i := range e.Snapshots {
		s.offer(e.Snapshots[i])
	}
	if e.Accept != nil {
		s.accept(*e.Accept)
	}
	if e.Abort != 0 {
		s.abortIncoming(e.Abort)
	}
	for i := range e.Markers {
		s.marker(e.Markers[i])
	}
	s.applies.commit(e.Commit)
	if len(e.Timers) > 0 {
		s.setTimers(e.Timers)
	}
	for i := range e.Results {
		s.finish(e.Results[i])
	}
	if e.Reconfigured {
		s.reconfigured()
	}
	if e.NewLeader {
		s.newLeader()
	}
	if e.Ended != 0 {
		s.endAs(e.Ended)
	}
}

// endAs ends the server behind all that it has committed: callers wait for that.
func (s *server) endAs(why core.Ending) {
	s.applies.do(func() error {
		s.node.spawn(func() { s.node.serverEnded(s, why) })
		return nil
	})
}

// fail stops the server for something that went wrong in a step.
func (s *server) fail(err error) {
	s.dead = true
	s.stop(fmt.Errorf("raft: server %v: %w", s.id, err))
}

// durableState is the newest durable hard state: what the log was given and has written.
func (s *server) durableState() core.HardState { return s.log.DurableHardState() }

// send hands a message to the network. What it does not take is lost, as the network may lose it.
func (s *server) send(m *core.Message) {
	s.countSent(s.node.sendRaft(newRaftPacket(m.Head, m.Body)))
}

// marker tells the machine of a change of role, at its place among the entries.
func (s *server) marker(m core.Marker) {
	switch m.Role {
	case core.RoleLeader:
		s.pending.begin(m.Term)
	case core.RoleTerminating, core.RoleEnded: // what is appended is committed, and about to be applied
	default:
		s.pending.drop(ErrLost)
	}
	s.applies.marker(m)
}

// newLeader shows whom the server follows.
func (s *server) newLeader() {
	old := s.leader.Load()
	v := &leaderView{leader: s.core.Leader(), term: s.core.State().Term, members: old.members}
	s.show(v)
	s.watch() // also a leader that is no member any more
	s.node.leads(s, old, v)
}

// reconfigured takes over the configuration in effect: whom to watch, and who votes where.
func (s *server) reconfigured() {
	c, _ := s.core.Configuration()
	old := *s.leader.Load()
	old.members = c.Members
	s.show(&old)
	s.watch()
	if s.outgoing.used() {
		s.node.spawn(func() { s.leaveTransfers(&old) })
	}
}

// watch asks the detector for the nodes of the other members, and of the leader, and gives up those of former ones.
func (s *server) watch() {
	v := s.leader.Load()
	var nodes []NodeID
	add := func(n NodeID) {
		if n != "" && n != s.id.Node && !slices.Contains(nodes, n) {
			nodes = append(nodes, n)
		}
	}
	for i := range v.members {
		add(v.members[i].ID.Node)
	}
	add(v.leader.Node)
	for _, n := range nodes {
		if !slices.Contains(s.watching, n) {
			s.node.watch(s, n)
		}
	}
	for _, n := range s.watching {
		if !slices.Contains(nodes, n) {
			s.node.unwatch(s, n)
		}
	}
	s.watching = nodes
}

// finish ends what the core was asked for.
func (s *server) finish(r core.Result) {
	if f := s.results[r.Ref]; f != nil {
		delete(s.results, r.Ref)
		f(r)
	}
}

// expect names something that the core is asked for; f hears of its end.
func (s *server) expect(f func(core.Result)) uint64 {
	if s.results == nil {
		s.results = make(map[uint64]func(core.Result))
	}
	s.ref++
	s.results[s.ref] = f
	return s.ref
}
