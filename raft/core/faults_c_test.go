package core_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// replace asks a leader to put another life in the place of a member's.
func (a *actor) replace(old core.Incarnation, by core.Identity) error {
	n := len(a.results)
	a.step(core.ChangeMembership{Ref: 98, Change: core.ReplaceMember, Member: core.Member{Identity: by}, Replaces: old})
	if len(a.results) > n && a.results[n].Err != nil {
		return a.results[n].Err
	}
	return nil
}

// lose gives a member another life that knows nothing, and returns the incarnation of the one before.
func (a *actor) lose() (old core.Incarnation) {
	old = a.self.Incarnation
	a.self.Incarnation += 100
	a.self.UID = core.UID(fmt.Sprintf("again%d", a.k))
	a.opts.Self = a.self
	a.state, a.log, a.snapshot = core.HardState{}, nil, core.SnapshotMeta{}
	a.start()
	return old
}

func (a *actor) memberOf(o *actor) core.Member {
	c, _ := a.srv.Configuration()
	m, _ := c.Member(o.self.ID)
	return m
}

// TestC7ReplacedMember: another life of a voter counts for nothing until it is put in the place of the one before, and votes when
// it has caught up. Neither the leader nor a life that is none of the member's can be replaced, and nothing happens twice.
func TestC7ReplacedMember(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	a.propose("kept")
	s.settle(anyone)
	b := s.members[1]
	old := b.lose()
	index := a.propose("needs the third")
	s.settle(among(0, 1))
	if a.srv.Commit() >= index || b.srv.State().Term != 0 {
		t.Fatalf("commit %d, the new life has term %d", a.srv.Commit(), b.srv.State().Term)
	}
	s.settle(anyone)
	a.demandCommit(index)
	for _, c := range []struct {
		old  core.Incarnation
		by   core.Identity
		want error
	}{
		{0, b.self, core.ErrNotMember}, {old + 1, b.self, core.ErrNotMember},
		{a.self.Incarnation, core.Identity{ID: a.self.ID, UID: "x", Incarnation: 77}, core.ErrBadMember},
		{old, core.Identity{ID: core.ServerID{Name: "s", Node: "n9"}, UID: "x", Incarnation: 77}, core.ErrNotMember},
		{old, core.Identity{ID: b.self.ID, UID: "x"}, core.ErrBadMember},
	} {
		if err := a.replace(c.old, c.by); !errors.Is(err, c.want) {
			t.Errorf("life %d by %+v: %v, want %v", c.old, c.by, err, c.want)
		}
	}
	if err := a.replace(old, b.self); err != nil {
		t.Fatal(err)
	}
	if m := a.memberOf(b); m.Membership != core.Promotable || m.Incarnation != b.self.Incarnation {
		t.Fatalf("it is %+v", m)
	}
	if err := a.replace(old, b.self); !errors.Is(err, core.ErrChangeInProgress) {
		t.Errorf("asked again: %v", err)
	}
	commit := a.srv.Commit()
	s.settle(among(0, 1)) // of the two voters one is missing
	a.demandCommit(commit)
	s.settle(anyone)
	if m := a.memberOf(b); m.Membership != core.Voter {
		t.Fatalf("it is %+v", m)
	}
	if err := a.replace(old, b.self); !errors.Is(err, core.ErrAlreadyMember) {
		t.Errorf("asked afterwards: %v", err)
	}
	last := a.propose("needs the new one")
	s.settle(among(0, 1))
	a.demandCommit(last)
}

// TestC7ReplacedNonVoter: what does not vote does not by losing its log.
func TestC7ReplacedNonVoter(t *testing.T) {
	s := newScript(t, 1, 1)
	a, b := s.elect(0, anyone), s.members[1]
	s.settle(anyone)
	if err := a.change(core.AddMember, b, core.NonVoter); err != nil {
		t.Fatal(err)
	}
	s.settle(anyone)
	if err := a.replace(b.lose(), b.self); err != nil {
		t.Fatal(err)
	}
	s.settle(anyone)
	if m := a.memberOf(b); m.Membership != core.NonVoter || m.Incarnation != b.self.Incarnation {
		t.Fatalf("it is %+v", m)
	}
	if b.srv.Commit() != a.srv.Commit() {
		t.Fatalf("it has %d of %d", b.srv.Commit(), a.srv.Commit())
	}
}
