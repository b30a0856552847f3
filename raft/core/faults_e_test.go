package core_test

import (
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// TestE5LogBelowTheSnapshot: after an install nothing of the old log is used: the new leader sends a snapshot.
func TestE5LogBelowTheSnapshot(t *testing.T) {
	s, a, f := behind(t)
	f.receive()
	a.step(core.SnapshotSent{To: f.self.ID, Transfer: 1, OK: true})
	s.settle(among(0, 2))
	s.drop()
	b := s.elect(2, among(0, 2))
	s.settle(among(0, 2))
	if len(b.wants) != 1 || b.wants[0].To != s.members[1].self.ID { // n1 is not known to have anything
		t.Fatalf("snapshots for %v", b.wants)
	}
}

// TestE5OldTail: what stood in the log behind a snapshot that is installed was of another history.
func TestE5OldTail(t *testing.T) {
	s := newScript(t, 3, 0)
	old := s.elect(2, anyone)
	s.settle(anyone)
	for range 9 {
		old.propose("on n2 alone")
	}
	s.drop()
	a := s.elect(0, votes(0, 1))
	s.settle(among(0, 1))
	a.propose("x")
	s.settle(among(0, 1))
	s.drop()
	a.capture()
	old.step(core.Received{Message: s.forge(0, 2, a.srv.State().Term, core.Offer{Transfer: 5, Snapshot: a.snapshot})})
	old.receive()
	if last, written := old.srv.Last(); last != a.snapshot.ID || written != last {
		t.Fatalf("the log ends at %v, durable %v, want %v", last, written, a.snapshot.ID)
	}
}

// TestE7FailedInstallWaits: who could not install a snapshot says nothing that would have the leader begin again at once,
// which would go on as fast as the two can.
func TestE7FailedInstallWaits(t *testing.T) {
	s, a, f := behind(t)
	s.drop()
	wants := len(a.wants)
	f.step(core.SnapshotFailed{Transfer: 1})
	a.step(core.SnapshotSent{To: f.self.ID, Transfer: 1})
	s.deliver(anyone)
	if len(a.wants) != wants {
		t.Fatal("the next transfer begins at once")
	}
	s.settle(anyone)
	if len(a.wants) == wants {
		t.Fatal("no further transfer begins")
	}
}

// TestE6UncommittedMembershipAndInstall: a configuration that was not committed does not survive an install.
func TestE6UncommittedMembershipAndInstall(t *testing.T) {
	s, a, f := behind(t)
	s.drop()
	if f.accepted == nil {
		t.Fatal("not accepted")
	}
	f.step(core.SnapshotFailed{Transfer: 1})
	s.drop()
	c, _ := f.srv.Configuration()
	c.Members = append([]core.Member(nil), c.Members[:2]...)
	last := f.last()
	entry := core.Entry{Index: last.Index + 1, Term: a.srv.State().Term, Type: core.KindConfiguration, Data: c.Marshal()}
	f.step(core.Received{Message: s.forge(0, 2, entry.Term, core.Append{Prev: last, Entries: []core.Entry{entry}})})
	if _, at := f.srv.Configuration(); at != entry.Index {
		t.Fatalf("configuration %d in effect", at)
	}
	s.drop()
	b := s.elect(1, votes(0, 1)) // in a newer term, so that the entry is none of its log
	s.settle(among(0, 1))
	b.capture()
	f.step(core.Received{Message: s.forge(1, 2, b.srv.State().Term, core.Offer{Transfer: 8, Snapshot: b.snapshot})})
	f.receive()
	got, at := f.srv.Configuration()
	want, wantAt := b.srv.Configuration()
	if at != wantAt || len(got.Members) != len(want.Members) {
		t.Fatalf("configuration %d %v, want %d %v", at, got.Members, wantAt, want.Members)
	}
}

// TestE7InstallWhileCandidateOrReceiving: an offer ends a candidacy of its term; another replaces one that is received.
func TestE7InstallWhileCandidateOrReceiving(t *testing.T) {
	s, a, f := behind(t)
	f.demandRole(core.RoleReceiveSnapshot)
	a.step(core.SnapshotSent{To: f.self.ID, Transfer: 1})
	a.fire(core.TimerRetransmit)
	a.offer(f, 2)
	if f.accepted.Transfer != 2 {
		t.Fatalf("transfer %d is received", f.accepted.Transfer)
	}
	f.step(core.SnapshotReceived{Transfer: 1}) // of the one that was replaced
	if f.install != nil {
		t.Fatal("installed what was called off")
	}
	f.step(core.LeaderLost{Leader: a.self.ID, Term: a.srv.State().Term})
	f.fire(core.TimerElection)
	f.demandRole(core.RolePreVote)
	f.step(core.Received{Message: s.forge(0, 2, a.srv.State().Term, core.Offer{Transfer: 3, Snapshot: a.snapshot})})
	f.demandRole(core.RoleReceiveSnapshot)
	f.receive()
	f.demandCommit(a.snapshot.ID.Index)
}

// TestE8TargetHasIt: who has what a snapshot stands for says so, and the leader goes on with entries.
func TestE8TargetHasIt(t *testing.T) {
	s, a, f := behind(t)
	f.receive()
	s.drop() // that it has it, the leader does not hear
	f.accepted = nil
	a.step(core.SnapshotSent{To: f.self.ID, Transfer: 1})
	a.fire(core.TimerRetransmit)
	a.offer(f, 9)
	if f.accepted != nil {
		t.Fatal("accepted again")
	}
	index := a.propose("behind it")
	s.deliver(among(0, 2))
	if got := matchOf(a, 2); got != index {
		t.Fatalf("match %d, want %d", got, index)
	}
}

// TestE9SnapshotBelowCommit: a snapshot that is older than what is committed changes nothing, also when it
// was overtaken while its bytes came.
func TestE9SnapshotBelowCommit(t *testing.T) {
	s, a, f := behind(t)
	old := a.snapshot
	f.receive()
	a.step(core.SnapshotSent{To: f.self.ID, Transfer: 1, OK: true})
	a.propose("newer")
	s.settle(anyone)
	commit := f.srv.Commit()
	f.accepted = nil
	f.step(core.Received{Message: s.forge(0, 2, a.srv.State().Term, core.Offer{Transfer: 4, Snapshot: old})})
	if f.accepted != nil || f.srv.Commit() != commit {
		t.Fatalf("commit %d, was %d", f.srv.Commit(), commit)
	}
	last := a.propose("replication goes on")
	s.settle(anyone)
	f.demandCommit(last)
}

// TestE10TwoSnapshots: two installs in a row.
func TestE10TwoSnapshots(t *testing.T) {
	s, a, f := behind(t)
	f.receive()
	s.drop()
	for range 3 {
		a.propose("x")
		s.settle(among(0, 1))
	}
	s.drop()
	a.capture()
	f.step(core.Received{Message: s.forge(0, 2, a.srv.State().Term, core.Offer{Transfer: 2, Snapshot: a.snapshot})})
	f.receive()
	f.demandCommit(a.snapshot.ID.Index)
	if last, written := f.srv.Last(); last != a.snapshot.ID || written != last {
		t.Fatalf("the log ends at %v, durable %v", last, written)
	}
}

// TestE11LogOfASnapshotOnly: a log that begins with a snapshot takes entries, says what is durable and starts again.
func TestE11LogOfASnapshotOnly(t *testing.T) {
	s, a, f := behind(t)
	f.receive()
	a.step(core.SnapshotSent{To: f.self.ID, Transfer: 1, OK: true})
	f.start()
	if last, written := f.srv.Last(); last != a.snapshot.ID || written != last {
		t.Fatalf("the log ends at %v, durable %v", last, written)
	}
	index := a.propose("behind it")
	s.settle(among(0, 2))
	f.demandCommit(index)
}

// TestE12ReleaseWhilePeersRead: entries that are released while they are read for a peer fail to be read, and the peer
// gets the snapshot that stands for them.
func TestE12ReleaseWhilePeersRead(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(among(0, 1))
	a.step(core.NodeDown{Node: s.members[2].self.ID.Node})
	for range 5 {
		a.propose("x")
	}
	s.settle(among(0, 1))
	s.drop()
	a.reads = true
	a.step(core.NodeUp{Node: s.members[2].self.ID.Node})
	if len(a.reading) != 1 || a.reading[0].Head.To != s.members[2].self.ID {
		t.Fatalf("read for %+v", a.reading)
	}
	a.capture()
	a.reads, a.reading = false, nil
	a.step(core.SendFailed{To: s.members[2].self.ID})
	a.fire(core.TimerRetransmit)
	if len(a.wants) != 1 || a.wants[0].To != s.members[2].self.ID {
		t.Fatalf("snapshots for %+v", a.wants)
	}
}
