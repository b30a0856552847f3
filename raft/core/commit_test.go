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
