package core_test

import (
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// answered reports the index of a read's answer.
func answered(a *actor, ref uint64) (core.Index, bool) {
	for _, r := range a.results {
		if r.Ref == ref && r.Err == nil {
			return r.Index, true
		}
	}
	return 0, false
}

// TestH1ReadBeforeTheNoop: a new leader answers no read before its noop is committed.
func TestH1ReadBeforeTheNoop(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, votes(0, 1, 2))
	a.step(core.Read{Ref: 7})
	s.deliver(func(m core.Message) bool { _, ok := m.Body.(core.Round); return ok })
	if _, ok := answered(a, 7); ok {
		t.Fatal("answered")
	}
	s.settle(anyone)
	if i, ok := answered(a, 7); !ok || i < 1 {
		t.Fatalf("index %d %v", i, ok)
	}
}

// TestH2OldContact: a reply to an earlier round confirms no later one, and a leader that was overtaken while it was
// paused answers nothing.
func TestH2OldContact(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	a.step(core.Read{Ref: 1})
	late := s.forge(2, 0, a.srv.State().Term, core.RoundReply{Number: 1})
	s.settle(anyone)
	b := s.elect(1, votes(1, 2)) // while n0 is paused
	s.settle(among(1, 2))
	s.drop()
	b.propose("newer")
	s.settle(among(1, 2))
	a.step(core.Read{Ref: 2})
	a.step(core.Received{Message: late})
	if _, ok := answered(a, 2); ok {
		t.Fatal("answered by old contact")
	}
	s.settle(anyone)
	if i, ok := answered(a, 2); !ok || i < b.srv.Commit() {
		t.Fatalf("index %d %v, committed %d", i, ok, b.srv.Commit())
	}
}

// TestH4ReadSeesACommit: a read's index is committed, not only appended.
func TestH4ReadSeesACommit(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	commit := a.srv.Commit()
	a.propose("on its way")
	s.drop()
	a.step(core.Read{Ref: 3})
	s.deliver(anyone)
	if i, ok := answered(a, 3); !ok || i != commit {
		t.Fatalf("index %d %v, committed %d", i, ok, commit)
	}
}

// TestH6StalledFollower: a follower whose log refused entries gets them when it takes them again.
func TestH6StalledFollower(t *testing.T) {
	s := newScript(t, 3, 0)
	a, f := s.elect(0, anyone), s.members[1]
	s.settle(anyone)
	f.full = true
	var index core.Index
	for range 5 {
		index = a.propose("x")
		s.settle(anyone)
	}
	a.demandCommit(index)
	f.demandRole(core.RoleAwaitCondition)
	f.full = false
	f.step(core.LogReady{})
	s.settle(anyone)
	f.demandCommit(index)
	f.demandRole(core.RoleFollower)
}

// TestH9Bridge: the bridge between two halves, which hears its leader, helps nobody else to an election.
func TestH9Bridge(t *testing.T) {
	s := newScript(t, 5, 0) // n2 joins {n0, n1} and {n3, n4}
	a := s.elect(0, anyone)
	s.settle(anyone)
	term := a.srv.State().Term
	for _, k := range []int{3, 4} {
		s.members[k].step(core.NodeDown{Node: a.self.ID.Node})
	}
	s.members[3].fire(core.TimerElection) // alone: rivals would hold each other up
	s.deliver(among(2, 3, 4))
	s.drop()
	index := a.propose("goes on")
	s.settle(among(0, 1, 2))
	a.demandCommit(index)
	if a.srv.State().Term != term {
		t.Fatal("a new term")
	}
}

// TestH9BridgeLosesItsLeader: a leader without contact to a majority steps down, and the other half elects.
func TestH9BridgeLosesItsLeader(t *testing.T) {
	s := newScript(t, 3, 0) // n1 is the bridge, n0 hears nobody
	a := s.elect(0, anyone)
	s.settle(anyone)
	a.step(core.NodeDown{Node: s.members[1].self.ID.Node})
	a.demandRole(core.RoleLeader)
	a.step(core.NodeDown{Node: s.members[2].self.ID.Node})
	a.demandRole(core.RoleFollower)
	s.members[1].step(core.NodeDown{Node: a.self.ID.Node})
	s.members[2].step(core.NodeDown{Node: a.self.ID.Node})
	s.members[1].fire(core.TimerElection)
	s.deliver(among(1, 2))
	s.members[1].demandRole(core.RoleLeader)
}

// TestH4ReadAcrossEpochs: who joins a cluster that was shrunk by force, and starts again half way, asks no member of the
// old epoch for a read; and a member of a group at rest, which knows no leader, asks them all.
func TestH4ReadAcrossEpochs(t *testing.T) {
	s := newScript(t, 3, 1)
	s.elect(0, anyone)
	s.settle(anyone)
	f := s.members[2]
	f.start()
	s.drop()
	f.step(core.Read{Ref: 3})
	s.settle(anyone)
	if _, ok := answered(f, 3); !ok {
		t.Fatal("not answered")
	}
	j := s.members[3]
	j.state = core.HardState{Term: 5}
	j.snapshot = s.members[0].snapshot // its configuration is of epoch 1, without n3
	j.snapshot.ID = core.EntryID{Term: 1, Index: 1}
	j.start()
	s.drop()
	j.step(core.Read{Ref: 4})
	if len(s.wire) != 0 {
		t.Fatalf("asks %+v", s.wire)
	}
}

// TestH4ReadWhileRecovering: a read that comes before the machine has its state is asked for when it has.
func TestH4ReadWhileRecovering(t *testing.T) {
	s := newScript(t, 3, 0)
	s.elect(0, anyone)
	s.settle(anyone)
	f := s.members[2]
	srv, err := core.New(f.opts, core.Restore{State: f.state, Snapshot: f.snapshot, Terms: []core.EntryID{f.log[0].ID()},
		Entries: f.log[:1], Last: f.last()})
	if err != nil {
		t.Fatal(err)
	}
	f.srv, f.timers = srv, map[core.Timer]uint64{}
	f.step(core.Read{Ref: 6})
	f.step(core.Recovered{})
	s.settle(anyone)
	if _, ok := answered(f, 6); !ok {
		t.Fatal("not answered")
	}
}
