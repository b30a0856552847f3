package core_test

import (
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// TestCommitTravelsWithEntriesUnderLoad: followers hear of a commit at once while commands are few. Under a steady load
// it comes with the next entries, or after one retransmit time, or with the answer to a read.
func TestCommitTravelsWithEntriesUnderLoad(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.run()
	f := s.members[1]
	first := a.propose("first")
	s.run()
	f.demandCommit(first)

	a.fire(core.TimerRetransmit) // commands came in the time before
	second := a.propose("second")
	s.run()
	a.demandCommit(second)
	if got := f.srv.Commit(); got != second-1 {
		t.Fatalf("the follower's commit is %d: word of it was not deferred", got)
	}
	third := a.propose("third")
	s.run()
	if got := f.srv.Commit(); got != second {
		t.Fatalf("the follower's commit is %d, want %d with the entries of %d", got, second, third)
	}
	f.step(core.Read{Ref: 7})
	s.run()
	if r := f.results[len(f.results)-1]; r.Ref != 7 || r.Index != third || f.srv.Commit() != third {
		t.Fatalf("read index %d, the follower's commit is %d", r.Index, f.srv.Commit())
	}
	a.fire(core.TimerRetransmit)
	s.run()
	s.members[2].demandCommit(third)

	a.fire(core.TimerRetransmit) // nothing came since the last time
	if _, ok := a.timers[core.TimerRetransmit]; ok {
		t.Fatal("a leader at rest keeps its timer")
	}
	fourth := a.propose("fourth")
	s.run()
	f.demandCommit(fourth)
}

// A leader may leave unread what commits nothing by itself, and nothing when an answer has other consequences.
func TestSlack(t *testing.T) {
	s := newScript(t, 3, 1)
	demand := func(a *actor, when string, want int) {
		t.Helper()
		if got := a.srv.Slack(); got != want {
			t.Fatalf("%s: slack %d, want %d", when, got, want)
		}
	}
	a := s.elect(0, anyone)
	s.settle(anyone)
	demand(a, "at rest, without a timer", 0)
	demand(s.members[1], "a follower", 0)
	a.slow = true
	a.propose("x")
	demand(a, "nobody has it", 1)
	s.deliver(among(0, 1))
	demand(a, "one follower has it", 0)
	a.sync(true)
	demand(a, "committed, a follower to come", 1)
	a.step(core.NodeDown{Node: s.members[2].self.ID.Node})
	demand(a, "committed, and the other is lost", 1)
	a.step(core.NodeUp{Node: s.members[2].self.ID.Node})
	a.slow = false
	s.settle(anyone)
	a.propose("y")
	demand(a, "its own device has it", 0)
	s.settle(anyone)
	a.slow = true
	a.propose("z")
	demand(a, "nobody has it again", 1)
	a.step(core.TransferLeadership{Ref: 1, To: s.members[1].self.ID})
	demand(a, "a transfer", 0)

	s = newScript(t, 3, 1)
	a = s.elect(0, anyone)
	s.settle(anyone)
	if err := a.change(core.AddMember, s.members[3], core.NonVoter); err != nil {
		t.Fatal(err)
	}
	demand(a, "a change", 0)
	s.settle(anyone)
	a.slow = true
	a.propose("x")
	demand(a, "who does not vote", 0)
}
