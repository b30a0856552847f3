package core_test

import (
	"errors"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// TestG1ChangeBeforeTheNoop plays the single-server membership bug: a new leader that has committed nothing in its
// term refuses a change, and promotes nobody.
func TestG1ChangeBeforeTheNoop(t *testing.T) {
	s := newScript(t, 4, 1)
	a := s.elect(0, anyone)
	s.settle(anyone)
	if err := a.change(core.AddMember, s.members[4], core.Voter); err != nil { // stays on n0
		t.Fatal(err)
	}
	s.drop()
	b := s.elect(1, votes(1, 2, 3))
	if err := b.change(core.RemoveMember, s.members[0], 0); !errors.Is(err, core.ErrNotReady) {
		t.Fatal(err)
	}
	s.settle(among(1, 2, 3))
	if err := b.change(core.RemoveMember, s.members[0], 0); err != nil {
		t.Fatal(err)
	}
	if err := b.change(core.RemoveMember, s.members[2], 0); !errors.Is(err, core.ErrChangeInProgress) {
		t.Fatal(err)
	}
	s.settle(among(1, 2, 3))
	a.step(core.TriggerElection{}) // with its own configuration of five
	s.deliver(votes(0, 4))
	if a.srv.Role() == core.RoleLeader && a.srv.State().Term >= b.srv.State().Term {
		t.Fatal("two leaders")
	}
}

// TestG2ConfigurationBehindCommit: the configuration that a start finds is the newest of the log, committed or not.
func TestG2ConfigurationBehindCommit(t *testing.T) {
	s := newScript(t, 3, 1)
	a := s.elect(0, anyone)
	s.settle(anyone)
	if err := a.change(core.AddMember, s.members[3], core.NonVoter); err != nil {
		t.Fatal(err)
	}
	_, want := a.srv.Configuration()
	a.start()
	if c, at := a.srv.Configuration(); at != want || len(c.Members) != 4 || a.srv.Commit() != 0 {
		t.Fatalf("configuration %d of %d members, commit %d", at, len(c.Members), a.srv.Commit())
	}
}

// TestG4OverwrittenConfiguration: a configuration that a new leader overwrites is taken back, membership included.
func TestG4OverwrittenConfiguration(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	if err := a.change(core.SetMembership, s.members[2], core.NonVoter); err != nil {
		t.Fatal(err)
	}
	s.drop()
	s.elect(1, votes(1, 2))
	s.settle(anyone)
	c, at := a.srv.Configuration()
	if m, _ := c.Member(s.members[2].self.ID); at != 0 || m.Membership != core.Voter {
		t.Fatalf("configuration %d, n2 is %v", at, m.Membership)
	}
	if r := a.results[len(a.results)-1]; !errors.Is(r.Err, core.ErrNotLeader) || !r.Maybe {
		t.Fatalf("%+v", r)
	}
}

// TestG5RemovalUnblocks: what waited for a member goes on when it is removed: commits, reads, promotions.
func TestG5RemovalUnblocks(t *testing.T) {
	s := newScript(t, 2, 1)
	a := s.elect(0, anyone)
	s.settle(anyone)
	a.step(core.Read{Ref: 7}) // n1 does not answer
	if err := a.change(core.RemoveMember, s.members[1], 0); err != nil {
		t.Fatal(err)
	}
	index := a.propose("alone")
	s.drop()
	a.demandCommit(index)
	found := false
	for _, r := range a.results {
		found = found || r.Ref == 7 && r.Err == nil
	}
	if !found {
		t.Fatalf("the read waits: %+v", a.results)
	}
	if err := a.change(core.AddMember, s.members[2], core.Promotable); err != nil {
		t.Fatal(err)
	}
	s.settle(among(0, 2))
	if m := a.memberOf(s.members[2]).Membership; m != core.Voter {
		t.Fatalf("n2 is %v", m)
	}
}

// TestG5PromotionAfterTransfer: a promotion that a transfer held up follows when the transfer fails.
func TestG5PromotionAfterTransfer(t *testing.T) {
	s := newScript(t, 2, 1)
	a := s.elect(0, anyone)
	s.settle(anyone)
	a.propose("before")
	s.settle(anyone)
	if err := a.change(core.AddMember, s.members[2], core.Promotable); err != nil {
		t.Fatal(err)
	}
	s.deliver(among(0, 1)) // committed; n2 has nothing
	a.step(core.TransferLeadership{Ref: 3, To: s.members[1].self.ID})
	s.deliver(func(m core.Message) bool { _, ok := m.Body.(core.TimeoutNow); return !ok })
	s.wire = nil
	s.settle(among(0, 2))
	a.fire(core.TimerTransfer)
	s.settle(anyone)
	if m := a.memberOf(s.members[2]).Membership; m != core.Voter {
		t.Fatalf("n2 is %v", m)
	}
}

// TestG5PromotionOfWhoAnswers: a member that had everything when it was last heard becomes a voter by an answer only. While one voter of
// three is lost, to be one more that does not answer would leave no majority.
func TestG5PromotionOfWhoAnswers(t *testing.T) {
	s := newScript(t, 3, 1)
	a := s.elect(0, anyone)
	s.settle(anyone)
	if err := a.change(core.AddMember, s.members[3], core.Promotable); err != nil {
		t.Fatal(err)
	}
	s.settle(among(0, 3)) // n3 has the change, which nobody else has
	s.settle(among(0, 1)) // it is committed, and n3 is gone
	if m := a.memberOf(s.members[3]).Membership; m != core.Promotable {
		t.Fatalf("n3, which does not answer, is %v", m)
	}
	commit := a.srv.Commit()
	a.propose("goes on")
	s.settle(among(0, 1))
	a.demandCommit(commit + 1)
	s.settle(anyone)
	if m := a.memberOf(s.members[3]).Membership; m != core.Voter {
		t.Fatalf("n3, which answers, is %v", m)
	}
}

// TestG5PromotionAfterAnotherChange: an answer that came while another change was under way is an old one when that is committed.
func TestG5PromotionAfterAnotherChange(t *testing.T) {
	s := newScript(t, 3, 2)
	a := s.elect(0, anyone)
	s.settle(anyone)
	if err := a.change(core.AddMember, s.members[3], core.Promotable); err != nil {
		t.Fatal(err)
	}
	s.settle(among(0, 1)) // committed
	if err := a.change(core.AddMember, s.members[4], core.NonVoter); err != nil {
		t.Fatal(err)
	}
	_, at := a.srv.Configuration()
	s.settle(among(0, 3)) // n3 has all there is, knows that it may join, and is gone
	s.settle(among(0, 1))
	if a.srv.Commit() < at {
		t.Fatal("the change is not committed")
	}
	if m := a.memberOf(s.members[3]).Membership; m != core.Promotable {
		t.Fatalf("n3, which does not answer, is %v", m)
	}
	s.settle(anyone)
	if m := a.memberOf(s.members[3]).Membership; m != core.Voter {
		t.Fatalf("n3, which answers, is %v", m)
	}
}

// TestG6RemovalNeedsAMajority: a leader that is left with half of the new voters commits nothing and steps down.
func TestG6RemovalNeedsAMajority(t *testing.T) {
	s := newScript(t, 5, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	a.step(core.NodeDown{Node: s.members[3].self.ID.Node})
	a.step(core.NodeDown{Node: s.members[4].self.ID.Node})
	a.demandRole(core.RoleLeader)
	commit := a.srv.Commit()
	if err := a.change(core.RemoveMember, s.members[2], 0); !errors.Is(err, core.ErrNotLeader) {
		t.Fatal(err)
	}
	s.deliver(among(0, 1))
	a.demandCommit(commit)
	if a.srv.Role() == core.RoleLeader {
		t.Fatal("it leads on without a majority")
	}
}

// TestG7RemovedMembersFormNoQuorum: votes and acknowledgements of who was removed, or of a former life, count for nothing.
func TestG7RemovedMembersFormNoQuorum(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	for _, k := range []int{2} {
		if err := a.change(core.RemoveMember, s.members[k], 0); err != nil {
			t.Fatal(err)
		}
		s.settle(among(0, 1))
		s.drop()
	}
	index := a.propose("needs n1")
	s.drop()
	for _, m := range []core.Message{s.forge(2, 0, a.srv.State().Term, core.AppendReply{Durable: a.last(), Next: index + 1}),
		s.forge(1, 0, a.srv.State().Term, core.AppendReply{Durable: a.last(), Next: index + 1})} {
		m.FromInc += 100 * core.Incarnation(index%2+1) // another life
		a.step(core.Received{Message: m})
	}
	if a.srv.Commit() >= index {
		t.Fatal("committed by strangers")
	}
}

// TestShrinkAndStrangers: a forced shrink makes a cluster of one in another epoch; old members and it refuse each
// other, and a new member reads through configurations of the old epoch.
func TestShrinkAndStrangers(t *testing.T) {
	s := newScript(t, 3, 1)
	a := s.elect(0, anyone)
	s.settle(anyone)
	if err := a.change(core.SetMembership, s.members[2], core.NonVoter); err != nil {
		t.Fatal(err)
	}
	s.settle(anyone)
	a.step(core.ForceShrink{Ref: 4, Epoch: 55})
	a.demandRole(core.RoleLeader)
	if r := a.results[len(a.results)-1]; r.Ref != 4 || r.Err != nil {
		t.Fatalf("%+v", r)
	}
	s.members[1].step(core.Received{Message: s.forge(0, 1, 9, core.Append{})})
	s.drop()
	a.step(core.Received{Message: s.forge(1, 0, 30, core.Vote{Last: core.EntryID{Term: 30, Index: 30}})})
	if a.effects.Refused != core.RefusedEpoch || a.srv.Role() != core.RoleLeader {
		t.Fatalf("refused %d, %v", a.effects.Refused, a.srv.Role())
	}
	s.members[0].opts.BatchEntries = 1
	a.start()
	a.fire(core.TimerElection)
	a.demandRole(core.RoleLeader)
	if err := a.change(core.AddMember, s.members[3], core.Voter); err != nil {
		t.Fatal(err)
	}
	index := a.propose("in the new epoch")
	s.settle(among(0, 3))
	s.members[3].demandCommit(index)
}

// TestShrinkForgetsRemoval: who was told that it was removed, and is made the only voter since, campaigns again: those who said so
// are strangers.
func TestShrinkForgetsRemoval(t *testing.T) {
	s := newScript(t, 3, 1)
	a := s.elect(0, anyone)
	s.settle(anyone)
	gone := s.members[2]
	gone.step(core.LeaderLost{Leader: a.self.ID, Term: a.srv.State().Term})
	gone.step(core.Received{Message: s.forge(0, 2, a.srv.State().Term, core.Removed{Index: 100})})
	gone.step(core.TriggerElection{})
	if gone.srv.Role() != core.RoleFollower {
		t.Fatalf("it is %v, and was told of its removal", gone.srv.Role())
	}
	gone.step(core.ForceShrink{Ref: 4, Epoch: 55})
	gone.demandRole(core.RoleLeader)
	if err := gone.change(core.AddMember, s.members[3], core.Voter); err != nil {
		t.Fatal(err)
	}
	s.settle(among(2, 3))
	gone.step(core.NodeDown{Node: s.members[3].self.ID.Node})
	gone.demandRole(core.RoleFollower)
	gone.step(core.NodeUp{Node: s.members[3].self.ID.Node})
	gone.step(core.TriggerElection{})
	gone.demandRole(core.RolePreVote)
}

// TestShrinkOvertaken: a shrink whose term somebody else wins is refused, and the server goes on as before.
func TestShrinkOvertaken(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.members[0]
	a.slow = true
	a.step(core.ForceShrink{Ref: 4, Epoch: 55})
	a.step(core.Received{Message: s.forge(1, 0, a.srv.State().Term, core.Append{})})
	if len(a.results) != 1 || !errors.Is(a.results[0].Err, core.ErrRefused) {
		t.Fatalf("%+v", a.results)
	}
	a.slow = false
	a.sync(false)
	a.demandRole(core.RoleFollower)
	a.step(core.LeaderLost{Leader: s.members[1].self.ID, Term: a.srv.State().Term})
	a.fire(core.TimerElection)
	a.demandRole(core.RolePreVote)
}

// TestShrunkLeaderThatLeaves: a leader that removes itself hears the old epoch as little as before.
func TestShrunkLeaderThatLeaves(t *testing.T) {
	s := newScript(t, 3, 1)
	a := s.elect(0, anyone)
	s.settle(anyone)
	a.step(core.ForceShrink{Ref: 4, Epoch: 55})
	s.drop()
	if err := a.change(core.AddMember, s.members[3], core.Voter); err != nil {
		t.Fatal(err)
	}
	s.settle(among(0, 3))
	s.drop()
	if err := a.change(core.RemoveMember, a, 0); err != nil {
		t.Fatal(err)
	}
	a.step(core.Received{Message: s.forge(1, 0, a.srv.State().Term, core.Append{})})
	if a.effects.Refused != core.RefusedEpoch {
		t.Fatalf("refused %d", a.effects.Refused)
	}
	a.demandRole(core.RoleLeader)
}
