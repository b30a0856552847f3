package core_test

import (
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// voterOfThree is a recovered voter "a" of a cluster of three, and the heads of messages to it.
func voterOfThree(t *testing.T) (*core.Server, map[string]core.Head) {
	t.Helper()
	c := core.Configuration{Cluster: core.ClusterID{1}, Epoch: 1}
	heads := make(map[string]core.Head)
	for k, name := range []string{"a", "b", "c"} {
		c.Members = append(c.Members, core.Member{Membership: core.Voter, Identity: core.Identity{
			ID: core.ServerID{Name: "s", Node: name}, UID: core.UID(name), Incarnation: core.Incarnation(k + 1)}})
	}
	for _, m := range c.Members[1:] {
		heads[m.ID.Node] = core.Head{Cluster: c.Cluster, Epoch: c.Epoch, From: m.ID, FromInc: m.Incarnation,
			To: c.Members[0].ID, ToInc: c.Members[0].Incarnation}
	}
	s, err := core.New(core.Options{Self: c.Members[0].Identity}, core.Restore{Snapshot: core.SnapshotMeta{Configuration: c}})
	if err != nil {
		t.Fatal(err)
	}
	s.Step(core.Recovered{})
	return s, heads
}

// granted is the answer to a pre-vote.
func granted(t *testing.T, s *core.Server, h core.Head, next core.Term) bool {
	t.Helper()
	e := s.Step(&core.Received{Message: core.Message{Head: h, Body: core.PreVote{Token: 1, Next: next, Protocol: 1}}})
	if len(e.Messages) != 1 {
		t.Fatalf("%d answers", len(e.Messages))
	}
	return e.Messages[0].Body.(core.PreVoteReply).Granted
}

// Who has just voted encourages nobody else, whose newer term would depose the one voted for, until its own timer has
// run out.
func TestVoterEncouragesNoOther(t *testing.T) {
	s, heads := voterOfThree(t)
	if !granted(t, s, heads["c"], 1) {
		t.Fatal("refused before any vote")
	}
	b := heads["b"]
	b.Term = 1
	e := s.Step(core.Received{Message: core.Message{Head: b, Body: core.Vote{}}})
	if e.HardState == nil || e.HardState.Vote == "" {
		t.Fatal("no vote")
	}
	var timer core.SetTimer
	for _, x := range e.Timers {
		if x.Timer == core.TimerElection {
			timer = x
		}
	}
	s.Step(core.HardStateWritten{State: s.State()})
	if granted(t, s, heads["c"], 2) {
		t.Fatal("granted beside the candidate that it voted for")
	}
	s.Step(core.Timeout{Timer: core.TimerElection, Generation: timer.Generation})
	if !granted(t, s, heads["c"], 2) {
		t.Fatal("refused after the candidacy had its time")
	}
}

// Of two that ask at the same time one wins, in the next term: both would otherwise, and split the votes.
func TestPreVotesThatCross(t *testing.T) {
	s := newScript(t, 3, 0)
	a, b := s.members[0], s.members[1]
	a.fire(core.TimerElection)
	b.fire(core.TimerElection)
	s.deliver(among(0, 1)) // n2 is not there
	b.demandRole(core.RoleLeader)
	a.demandRole(core.RoleFollower)
	if term := b.srv.State().Term; term != 1 {
		t.Fatalf("term %d", term)
	}
}

// Who ranks high gives way, too, once it could not win.
func TestPreVotesThatCrossAgain(t *testing.T) {
	s := newScript(t, 3, 0)
	a, b := s.members[0], s.members[1]
	for range 3 {
		b.fire(core.TimerElection)
		s.drop()
	}
	a.fire(core.TimerElection)
	s.deliver(func(m core.Message) bool { return m.From == a.self.ID && m.To == b.self.ID })
	s.deliver(among(0, 1))
	a.demandRole(core.RoleLeader)

	s = newScript(t, 3, 0) // both gave way: nothing came of it, also no term
	for range 3 {
		s.drop()
		s.members[0].fire(core.TimerElection)
		s.members[1].fire(core.TimerElection)
	}
	s.deliver(among(0, 1))
	for _, x := range s.members[:2] {
		x.demandRole(core.RoleFollower)
		if h := x.srv.State(); h != (core.HardState{}) {
			t.Fatalf("n%d: %v", x.k, h)
		}
	}
}

// A voter encourages one pre-voter at a time, until its own timer has run out.
func TestVoterPromisesOne(t *testing.T) {
	s, heads := voterOfThree(t)
	e := s.Step(&core.Received{Message: core.Message{Head: heads["b"], Body: core.PreVote{Token: 1, Next: 1, Protocol: 1}}})
	if len(e.Timers) != 1 || e.Timers[0].Timer != core.TimerElection {
		t.Fatalf("timers %v", e.Timers)
	}
	timer := e.Timers[0]
	if granted(t, s, heads["c"], 1) {
		t.Fatal("granted beside another one")
	}
	if !granted(t, s, heads["b"], 1) {
		t.Fatal("refused to the one that was encouraged")
	}
	s.Step(core.Timeout{Timer: core.TimerElection, Generation: timer.Generation})
	if !granted(t, s, heads["c"], 1) {
		t.Fatal("refused after the other one had its time")
	}
}

// A slow device, or a lost request, costs a candidate time and no term.
func TestCandidateIsPatient(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.members[0]
	a.slow = true
	a.fire(core.TimerElection)
	s.deliver(func(m core.Message) bool { _, ok := m.Body.(core.Vote); return !ok })
	a.demandRole(core.RoleCandidate)
	a.fire(core.TimerElection)
	a.fire(core.TimerElection)
	a.sync(false)
	if n := len(sent[core.Vote](s, 1)); n != 1 {
		t.Fatalf("%d requests after the term was durable", n)
	}
	s.drop()
	a.fire(core.TimerElection)
	if n := len(sent[core.Vote](s, 1)); n != 1 {
		t.Fatalf("%d requests after they were lost", n)
	}
	s.drop()
	a.fire(core.TimerElection)
	a.demandRole(core.RolePreVote)
	if term := a.srv.State().Term; term != 1 {
		t.Fatalf("term %d", term)
	}
}
