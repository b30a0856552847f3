package core_test

import (
	"errors"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// TestF1Figure8 plays Figure 8 of the Raft paper: an entry of an older term that is on a majority is not
// committed by counting, and may still be replaced.
func TestF1Figure8(t *testing.T) {
	s := newScript(t, 5, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	a.propose("on n0 and n1")
	s.deliver(among(0, 1))
	s.drop()
	s.elect(4, votes(2, 3, 4)) // its noop, in the same place, stays on n4
	for _, k := range []int{2, 3} {
		s.members[k].fire(core.TimerElection) // n4 had its time
	}
	s.drop()
	a.startBehind(votes(0, 1, 2, 3))
	s.elect(0, votes(0, 1, 2, 3))
	old, commit := a.log[1], a.srv.Commit()
	if term := a.srv.State().Term; term != 3 || old.Term != 1 || len(a.log) != 3 {
		t.Fatalf("n0 leads term %d with %v in its log", term, a.log)
	}
	for _, k := range []int{1, 2} { // the old entry reaches a majority, the new noop does not
		s.members[k].step(core.Received{Message: s.forge(0, k, a.srv.State().Term, core.Append{
			Prev: a.log[0].ID(), Commit: commit, Entries: a.log[1:2]})})
	}
	s.deliver(func(m core.Message) bool { return index(m.To.Node) == 0 })
	if m := matchOf(a, 1); m != old.Index || matchOf(a, 2) != old.Index {
		t.Fatalf("n1 has up to %d, n2 up to %d", m, matchOf(a, 2))
	}
	a.demandCommit(commit)
	s.drop()
	s.members[4].startBehind(votes(1, 2, 3, 4))
	b := s.elect(4, votes(1, 2, 3, 4))
	s.settle(among(1, 2, 3, 4))
	if b.srv.Commit() < old.Index || s.members[1].log[1].Term == old.Term {
		t.Fatalf("n4 committed %d, n1 has %v", b.srv.Commit(), s.members[1].log[1].ID())
	}
}

// startBehind begins a life and learns of the newest term among the members that the filter lets it ask.
func (a *actor) startBehind(take func(core.Message) bool) {
	a.start()
	for _, o := range a.s.members {
		if id := o.srv.Leader(); !id.IsZero() && o != a {
			o.step(core.LeaderLost{Leader: id, Term: o.srv.State().Term})
		}
	}
	a.step(core.TriggerElection{})
	a.s.deliver(take)
	a.s.drop()
}

// votes takes the messages of elections between the given members.
func votes(ks ...int) func(core.Message) bool {
	return func(m core.Message) bool {
		switch m.Body.(type) {
		case core.PreVote, core.PreVoteReply, core.Vote, core.VoteReply:
			return among(ks...)(m)
		}
		return false
	}
}

// TestF2CommitOfUncheckedLog: a follower's commit index stops where its log is known to be the leader's.
func TestF2CommitOfUncheckedLog(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	a.propose("on n1, and not acknowledged")
	s.deliver(func(m core.Message) bool { return index(m.To.Node) == 1 })
	s.drop()
	f := s.members[1]
	last, _ := f.srv.Last()
	commit := f.srv.Commit()
	if commit >= last.Index {
		t.Fatalf("committed up to %d of %v", commit, last)
	}
	f.step(core.Received{Message: s.forge(2, 1, 9, core.Append{Prev: core.EntryID{}, Commit: last.Index})})
	if f.srv.Commit() != commit {
		t.Fatalf("commit went from %d to %d with a log that nobody checked", commit, f.srv.Commit())
	}
}

// TestF3PreVoteLeavesNoMark: asking and granting a pre-vote changes no hard state.
func TestF3PreVoteLeavesNoMark(t *testing.T) {
	s := newScript(t, 3, 0)
	s.members[0].step(core.TriggerElection{})
	s.deliver(func(m core.Message) bool { _, ok := m.Body.(core.PreVote); return ok })
	for _, a := range s.members {
		if a.srv.State() != (core.HardState{}) || len(a.pending) > 0 {
			t.Fatalf("n%d: %v", a.k, a.srv.State())
		}
	}
}

// TestF4CandidateAndPreVoter: a candidate in a newer term and a pre-voter with a newer log find a leader.
func TestF4CandidateAndPreVoter(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	a.propose("on n0 and n1")
	s.settle(among(0, 1))
	s.drop()
	c, p := s.members[2], s.members[1]
	c.step(core.LeaderLost{Leader: a.self.ID, Term: a.srv.State().Term})
	c.step(core.Received{Message: s.forge(1, 2, 8, core.Vote{})}) // its term is far ahead, its log behind
	if c.srv.State().Term != 8 {
		t.Fatalf("n2 is in %v", c.srv.State())
	}
	s.drop()
	for range 6 {
		for _, x := range []*actor{c, p} {
			if _, ok := x.timers[core.TimerElection]; ok {
				x.fire(core.TimerElection)
			} else {
				x.step(core.LeaderLost{Leader: x.srv.Leader(), Term: x.srv.State().Term})
			}
			s.deliver(among(1, 2))
		}
	}
	if p.srv.Role() != core.RoleLeader {
		t.Fatalf("n1 %v %v, n2 %v %v", p.srv.Role(), p.srv.State(), c.srv.Role(), c.srv.State())
	}
}

// TestF5HigherTermInEveryReply: a leader steps down for a newer term in whatever answer of a member.
func TestF5HigherTermInEveryReply(t *testing.T) {
	for _, b := range []core.Body{core.AppendReply{}, core.RoundReply{}, core.VoteReply{}, core.PreVoteReply{},
		core.OfferReply{}, core.InfoReply{}, core.ReadIndexReply{}} {
		s := newScript(t, 3, 0)
		a := s.elect(0, anyone)
		a.step(core.Received{Message: s.forge(1, 0, 9, b)})
		if a.srv.Role() == core.RoleLeader || a.srv.State().Term != 9 {
			t.Fatalf("%T: %v in %v", b, a.srv.Role(), a.srv.State())
		}
	}
}

// TestF6DuplicateVote: the same vote twice is one vote.
func TestF6DuplicateVote(t *testing.T) {
	s := newScript(t, 5, 0)
	a := s.members[0]
	a.step(core.TriggerElection{})
	s.deliver(func(m core.Message) bool {
		switch m.Body.(type) {
		case core.PreVote, core.PreVoteReply:
			return true
		}
		return false
	})
	a.demandRole(core.RoleCandidate)
	vote := s.forge(1, 0, a.srv.State().Term, core.VoteReply{Granted: true})
	for range 4 {
		a.step(core.Received{Message: vote})
	}
	a.demandRole(core.RoleCandidate)
}

// TestF6VoteOutlivesRestart: who has voted votes for nobody else in that term when it starts again, and for the same one once more.
func TestF6VoteOutlivesRestart(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.members[0]
	grants := func(from int) (granted bool) {
		s.drop()
		a.step(core.Received{Message: s.forge(from, 0, 9, core.Vote{Transfer: true})})
		for _, m := range s.wire {
			if v, ok := m.Body.(core.VoteReply); ok && v.Granted {
				granted = true
			}
		}
		return granted
	}
	if !grants(1) {
		t.Fatal("it does not vote")
	}
	a.start()
	if grants(2) {
		t.Fatal("it votes twice")
	}
	a.start()
	if !grants(1) {
		t.Fatal("it does not say again how it voted")
	}
}

// TestF7ReorderedAnswers: late refusals and late acknowledgements move no match index back.
func TestF7ReorderedAnswers(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	for range 5 {
		a.propose("x")
	}
	s.settle(anyone)
	term := a.srv.State().Term
	match := matchOf(a, 1)
	for _, b := range []core.AppendReply{
		{Durable: a.log[0].ID(), Next: 2},
		{Next: 1, Rejected: a.log[3].ID()},
		{Durable: a.log[1].ID(), Next: 3, Rejected: a.log[4].ID(), Hint: a.log[0].ID()},
	} {
		a.step(core.Received{Message: s.forge(1, 0, term, b)})
		if matchOf(a, 1) != match || nextOf(a, 1) <= match {
			t.Fatalf("match %d, next %d, was %d", matchOf(a, 1), nextOf(a, 1), match)
		}
	}
}

func matchOf(a *actor, k int) core.Index {
	for id, p := range a.srv.Peers() {
		if index(id.Node) == k {
			return p.Match
		}
	}
	return 0
}

func nextOf(a *actor, k int) core.Index {
	for id, p := range a.srv.Peers() {
		if index(id.Node) == k {
			return p.Next
		}
	}
	return 0
}

// TestF8TermOfCompactedEntry: an acknowledgement of an entry below the log's base matches nothing by a term 0.
func TestF8TermOfCompactedEntry(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	for range 5 {
		a.propose("x")
	}
	s.settle(among(0, 1))
	a.capture()
	match := matchOf(a, 2)
	a.step(core.Received{Message: s.forge(2, 0, a.srv.State().Term, core.AppendReply{Durable: core.EntryID{Term: 0, Index: 3}, Next: 4})})
	if matchOf(a, 2) != match {
		t.Fatalf("match %d from an entry of term 0", matchOf(a, 2))
	}
}

// TestF9CommitNeverRegresses: commit indexes of effects only rise, whatever order appends come in.
func TestF9CommitNeverRegresses(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	var late []core.Message
	for range 6 {
		a.propose("x")
		late = append(late, s.wire...)
		s.settle(anyone)
	}
	f := s.members[1]
	commit := f.srv.Commit()
	for k := range late {
		if m := late[len(late)-1-k]; index(m.To.Node) == 1 {
			f.step(core.Received{Message: m})
		}
		if f.effects.Commit < commit {
			t.Fatalf("commit falls from %d to %d", commit, f.effects.Commit)
		}
	}
}

// TestF10WindowLeaksNothing: lost messages leave no bytes in the window.
func TestF10WindowLeaksNothing(t *testing.T) {
	s := newScript(t, 2, 0)
	s.members[0].opts.WindowBytes = 4
	s.members[0].start()
	a := s.elect(0, anyone)
	for k := range 50 {
		a.propose("x")
		if k%3 == 0 {
			s.drop()
		}
		s.settle(anyone)
	}
	last := a.propose("at once, without a timer")
	s.deliver(anyone)
	a.demandCommit(last)
}

// TestF11NonVoterAndRemoved: neither leads, and neither disturbs who does.
func TestF11NonVoterAndRemoved(t *testing.T) {
	s := newScript(t, 3, 1)
	a := s.elect(0, anyone)
	s.settle(anyone)
	if err := a.change(core.AddMember, s.members[3], core.NonVoter); err != nil {
		t.Fatal(err)
	}
	s.settle(anyone)
	s.members[3].step(core.TriggerElection{})
	if s.members[3].srv.Role() != core.RoleFollower {
		t.Fatal("a non-voter campaigns")
	}
	if err := a.change(core.RemoveMember, s.members[2], 0); err != nil {
		t.Fatal(err)
	}
	s.settle(among(0, 1, 3))
	s.drop()
	term := a.srv.State().Term
	gone := s.members[2]
	gone.step(core.LeaderLost{Leader: a.self.ID, Term: term})
	gone.step(core.TriggerElection{})
	s.run()
	a.step(core.Received{Message: s.forge(2, 0, 20, core.AppendReply{})})
	a.step(core.Received{Message: s.forge(2, 0, 20, core.Vote{Last: core.EntryID{Term: 20, Index: 20}})})
	if a.srv.Role() != core.RoleLeader || a.srv.State().Term != term {
		t.Fatalf("the leader is %v in %v", a.srv.Role(), a.srv.State())
	}
}

// TestF11RemovedLearns: who was removed without hearing of it stops asking for elections when it is told, and campaigns
// again when it is a member again.
func TestF11RemovedLearns(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	gone := s.members[2]
	if err := a.change(core.RemoveMember, gone, 0); err != nil {
		t.Fatal(err)
	}
	s.settle(among(0, 1))
	s.drop()
	term := a.srv.State().Term
	gone.step(core.LeaderLost{Leader: a.self.ID, Term: term})
	gone.step(core.TriggerElection{})
	if gone.srv.Role() != core.RolePreVote {
		t.Fatalf("it is %v before it is told", gone.srv.Role())
	}
	s.run()
	if gone.srv.Role() != core.RoleFollower || gone.timers[core.TimerElection] != 0 {
		t.Fatalf("it is %v, and waits for its next election", gone.srv.Role())
	}
	gone.step(core.TriggerElection{})
	if gone.srv.Role() != core.RoleFollower {
		t.Fatal("it campaigns although it knows")
	}
	if err := a.change(core.AddMember, gone, core.Voter); err != nil {
		t.Fatal(err)
	}
	s.settle(anyone)
	gone.step(core.Received{Message: s.forge(0, 2, term, core.Removed{Index: 1})}) // comes late
	gone.step(core.TriggerElection{})
	if gone.srv.Role() != core.RolePreVote {
		t.Fatal("it does not campaign although it is a member again")
	}
}

// TestF12HardStateBehindLog: a log that is newer than the hard state is refused: the vote of its term is lost.
func TestF12HardStateBehindLog(t *testing.T) {
	s := newScript(t, 1, 0)
	self := s.members[0].self
	_, err := core.New(core.Options{Self: self}, core.Restore{State: core.HardState{Term: 3, Vote: "x"},
		Terms: []core.EntryID{{Term: 4, Index: 1}}, Last: core.EntryID{Term: 4, Index: 1}})
	if !errors.Is(err, core.ErrBadEntry) {
		t.Fatal(err)
	}
}

// TestF13EmptyAppend: an append that is empty, or comes again, truncates nothing and is answered with what there is.
func TestF13EmptyAppend(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	for range 3 {
		a.propose("x")
	}
	s.settle(anyone)
	f := s.members[1]
	last, _ := f.srv.Last()
	f.step(core.Received{Message: s.forge(0, 1, a.srv.State().Term, core.Append{Prev: a.log[0].ID()})})
	if now, _ := f.srv.Last(); now != last {
		t.Fatalf("the log ends at %v, was %v", now, last)
	}
	f.step(core.Received{Message: s.forge(0, 1, a.srv.State().Term, core.Append{Prev: a.log[0].ID(), Entries: a.log[1:2]})})
	if now, _ := f.srv.Last(); now != last || f.effects.Truncate {
		t.Fatalf("the log ends at %v, was %v", now, last)
	}
	for _, r := range sent[core.AppendReply](s, 0) {
		if r.Next != last.Index+1 || r.Durable != last {
			t.Fatalf("%+v", r)
		}
	}
	if n := len(sent[core.AppendReply](s, 0)); n != 2 {
		t.Fatalf("%d answers", n)
	}
}

// TestF14TransferWaitsForTheTarget: the target is told once, when it has everything; a transfer that fails
// ends without a new term.
func TestF14TransferWaitsForTheTarget(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	a.propose("on its way")
	s.deliver(among(0, 2))
	a.step(core.TransferLeadership{Ref: 5, To: s.members[1].self.ID})
	if n := len(sent[core.TimeoutNow](s, 1)); n != 0 {
		t.Fatal("the target is behind and was told")
	}
	if err := a.change(core.RemoveMember, s.members[2], 0); !errors.Is(err, core.ErrTransferring) {
		t.Fatal(err)
	}
	s.deliver(func(m core.Message) bool { _, ok := m.Body.(core.TimeoutNow); return !ok })
	if n := len(sent[core.TimeoutNow](s, 1)); n != 1 {
		t.Fatalf("told %d times", n)
	}
	s.drop()
	term := a.srv.State().Term
	a.fire(core.TimerTransfer)
	if r := a.results[len(a.results)-1]; r.Ref != 5 || !errors.Is(r.Err, core.ErrTransferTimeout) || !r.Maybe {
		t.Fatalf("%+v", r)
	}
	index := a.propose("goes on")
	s.settle(anyone)
	a.demandCommit(index)
	if a.srv.State().Term != term {
		t.Fatal("a new term")
	}
	a.step(core.TransferLeadership{Ref: 6, To: s.members[1].self.ID})
	s.settle(anyone)
	s.members[1].demandRole(core.RoleLeader)
	if r := a.results[len(a.results)-1]; r.Ref != 6 || r.Err != nil {
		t.Fatalf("%+v", r)
	}
}

// TestF15EveryRequestIsAnswered: what a server was asked for is answered when it ends, and after.
func TestF15EveryRequestIsAnswered(t *testing.T) {
	s := newScript(t, 1, 0)
	a := s.elect(0, anyone)
	a.slow = true
	a.step(core.Proposed{Proposals: []core.Proposal{{Kind: core.KindDelete, Ref: 1}}})
	a.slow = false
	a.step(core.Written{ID: a.last()})
	a.demandRole(core.RoleEnded)
	n := len(a.results)
	a.step(core.Read{Ref: 2})
	a.step(core.Proposed{Proposals: []core.Proposal{{Kind: core.FirstShellKind, Ref: 3}}})
	a.step(core.ForceShrink{Ref: 4, Epoch: 9})
	for k, r := range a.results[n:] {
		if r.Ref != uint64(k+2) || !errors.Is(r.Err, core.ErrEnded) {
			t.Fatalf("%+v", r)
		}
	}
	if len(a.results) != n+3 {
		t.Fatalf("%d answers", len(a.results)-n)
	}
}

// TestF5NoticeOutlivesLateMessages: what a leader sent before its leadership ended brings no belief back.
func TestF5NoticeOutlivesLateMessages(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	f, term := s.members[1], a.srv.State().Term
	f.step(core.LeaderLost{Leader: a.self.ID, Term: term, Over: true})
	f.step(core.Received{Message: s.forge(0, 1, term, core.Append{Prev: a.last()})})
	f.step(core.NodeDown{Node: a.self.ID.Node})
	f.step(core.NodeUp{Node: a.self.ID.Node})
	if _, ok := f.timers[core.TimerElection]; !ok {
		t.Fatal("no election is due")
	}
	f.fire(core.TimerElection)
	f.demandRole(core.RolePreVote)
}

// TestF3ScatteredPromises: of five members each has promised itself to the one that asked behind it, because of messages that were lost. Once
// none is, one of them is elected.
func TestF3ScatteredPromises(t *testing.T) {
	s := newScript(t, 5, 0)
	for k := range s.members {
		s.members[k].fire(core.TimerElection)
		if k > 0 {
			s.deliver(among(k-1, k))
		}
		s.drop()
	}
	for round := range 3 * len(s.members) {
		m := s.members[round%len(s.members)]
		m.fire(core.TimerElection)
		s.settle(anyone)
		if m.srv.Role() == core.RoleLeader {
			return
		}
	}
	t.Fatal("nobody is elected")
}
