package core_test

import (
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// TestH5HandsOverToWhoIsBetterOff: a leader whose disk stalls, or takes nothing, hands over to a voter that has what it does not get
// to hold. Where there is none it goes on, and takes commands.
func TestH5HandsOverToWhoIsBetterOff(t *testing.T) {
	for name, c := range map[string]struct {
		slow    []int // members whose disks stall
		full    bool  // the leader's log takes nothing
		propose bool
		down    []int // nodes without contact
		want    int   // who leads then
	}{
		"idle":               {slow: []int{0}, want: 0},
		"behind all":         {slow: []int{0}, propose: true, want: 1},
		"behind some":        {slow: []int{0, 1}, propose: true, want: 2},
		"all stall":          {slow: []int{0, 1, 2, 3, 4}, propose: true, want: 0},
		"the better is away": {slow: []int{0, 1, 2, 3}, propose: true, down: []int{4}, want: 0},
		"full":               {full: true, propose: true, want: 1},
		"full, idle":         {full: true, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, 5, 0)
			a := s.elect(0, anyone)
			s.settle(anyone)
			for _, k := range c.slow {
				s.members[k].slow = true
			}
			a.full = c.full
			if c.propose {
				a.propose("x")
				s.settle(anyone)
			}
			for _, k := range c.down {
				a.step(core.NodeDown{Node: s.members[k].self.ID.Node})
			}
			a.step(core.DiskStalled{})
			a.step(core.DiskStalled{}) // another look while it hands over
			s.deliver(anyone)
			if l := s.members[c.want]; l.srv.Role() != core.RoleLeader {
				t.Fatalf("n%d is %v, n0 %v", c.want, l.srv.Role(), a.srv.Role())
			}
			if c.want > 0 || c.full {
				return
			}
			last, _ := a.srv.Last()
			if a.propose("y") != last.Index+1 {
				t.Error("it refuses commands, for nobody's good")
			}
		})
	}
}

// TestH5LeaderToldOfItsEnd: a leader whose followers were told that it leads its term no more steps down, so that one of them is
// elected. What ends another term, or a connection only, changes nothing.
func TestH5LeaderToldOfItsEnd(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	term := a.srv.State().Term
	a.step(core.LeaderLost{Leader: a.self.ID, Term: term})
	a.step(core.LeaderLost{Leader: a.self.ID, Term: term - 1, Over: true})
	if a.srv.Role() != core.RoleLeader {
		t.Fatalf("it is %v", a.srv.Role())
	}
	a.step(core.LeaderLost{Leader: a.self.ID, Term: term, Over: true})
	if l := a.srv.Leader(); a.srv.Role() != core.RoleFollower || !l.IsZero() {
		t.Fatalf("it is %v and follows %v", a.srv.Role(), l)
	}
}

// TestA7HardStateThatStaysVolatile: a member whose disk does not take its term and vote neither votes, nor asks for votes, nor
// acknowledges, but steps down at once; all of it follows when the disk has it.
func TestA7HardStateThatStaysVolatile(t *testing.T) {
	s := newScript(t, 3, 0)
	a := s.elect(0, anyone)
	s.settle(anyone)
	f := s.members[2]
	a.slow, f.slow = true, true
	term := a.srv.State().Term + 3
	for _, x := range []*actor{a, f} {
		x.step(core.Received{Message: s.forge(1, x.k, term, core.Vote{Last: core.EntryID{Term: term - 1, Index: 99}, Transfer: true})})
		if x.srv.Role() == core.RoleLeader || x.srv.State().Term != term {
			t.Errorf("n%d is %v in term %d", x.k, x.srv.Role(), x.srv.State().Term)
		}
	}
	f.step(core.Received{Message: s.forge(1, 2, term, core.Append{Prev: f.last(), Probe: true,
		Entries: []core.Entry{{Index: f.last().Index + 1, Term: term, Type: core.KindNoop, Data: core.MarshalNoop(0)}}})})
	a.step(core.TriggerElection{})
	for _, m := range s.wire {
		if m.Term >= term {
			if _, asks := m.Body.(core.PreVote); !asks { // changes nothing, on either side
				t.Errorf("n%d says %T in term %d, which its disk does not have", index(m.From.Node), m.Body, m.Term)
			}
		}
	}
	s.drop()
	f.slow = false
	f.sync(true)
	voted, acknowledged := false, false
	for _, m := range s.wire {
		switch b := m.Body.(type) {
		case core.VoteReply:
			voted = voted || b.Granted
		case core.AppendReply:
			acknowledged = acknowledged || b.Durable.Term == term
		}
	}
	if !voted || !acknowledged {
		t.Errorf("voted %v, acknowledged %v", voted, acknowledged)
	}
}
