package core_test

import (
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// asked counts the questions for a version that are on their way to a member, which are lost.
func (s *script) asked(k int) (n int) {
	for _, m := range s.wire {
		if _, ok := m.Body.(core.Info); ok && index(m.To.Node) == k {
			n++
		}
	}
	s.drop()
	return n
}

// What a leader with newer code knows of its peers' versions ends with the connection, and it knows nothing of a new member: the
// cluster moves when all have said that they have it.
func TestVersionsAreAskedAgain(t *testing.T) {
	s := newScript(t, 3, 1)
	for k, a := range s.members[:2] { // the third one is older, the fourth too
		a.opts.Machine = 1
		if k == 1 {
			a.start()
		}
	}
	s.members[0].start()
	a := s.elect(0, anyone)
	s.settle(anyone)
	a.fire(core.TimerVersions)
	if s.asked(2) != 1 || a.srv.Machine() != 0 {
		t.Fatalf("version %d", a.srv.Machine())
	}
	a.fire(core.TimerVersions)
	if s.asked(1) != 0 {
		t.Fatal("a member that has said so is asked again")
	}
	a.step(core.LinkReset{Node: s.members[1].self.ID.Node})
	s.drop()
	a.fire(core.TimerVersions)
	if s.asked(1) != 1 {
		t.Fatal("a member behind a new connection is not asked")
	}
	if err := a.change(core.AddMember, s.members[3], core.NonVoter); err != nil {
		t.Fatal(err)
	}
	for _, k := range []int{1, 2} {
		s.members[k].opts.Machine = 1
		s.members[k].start()
	}
	s.settle(anyone)
	a.fire(core.TimerVersions)
	s.deliver(anyone)
	if a.srv.Machine() != 0 {
		t.Fatal("a new member with older code was not asked")
	}
	s.members[3].opts.Machine = 1
	s.members[3].start()
	a.fire(core.TimerVersions)
	s.settle(anyone)
	if a.srv.Machine() != 1 {
		t.Fatalf("all have it, the version is %d", a.srv.Machine())
	}
}
