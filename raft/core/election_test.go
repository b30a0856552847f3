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
