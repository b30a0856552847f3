package core_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/raft/core"
)

// script is a cluster whose messages are delivered by hand, in the order in which a test wants them. Disks are
// as fast as the test lets them be.
type script struct {
	t       *testing.T
	members []*actor
	wire    []core.Message
}

// actor is one server of a script with its log.
type actor struct {
	s        *script
	k        int
	self     core.Identity
	opts     core.Options
	srv      *core.Server
	log      []core.Entry // above snapshot
	snapshot core.SnapshotMeta
	state    core.HardState // durable
	slow     bool           // nothing becomes durable by itself
	full     bool           // the log refuses entries
	timers   map[core.Timer]uint64
	results  []core.Result
	effects  core.Effects // of the last input, without what was carried out
	accepted *core.Accept
	pending  []core.HardState
	install  *core.SnapshotMeta
	wants    []core.Head // peers that need a snapshot
	reads    bool        // entries for peers are read, and not there yet
	reading  []core.Send // what is being read
}

// newScript starts voters members that know each other, and joining ones that know nobody.
func newScript(t *testing.T, voters, joining int) *script {
	s := &script{t: t}
	c := core.Configuration{Cluster: core.ClusterID{7}, Epoch: 1}
	for k := range voters + joining {
		a := &actor{s: s, k: k, self: core.Identity{
			ID: core.ServerID{Name: "s", Node: fmt.Sprintf("n%d", k)}, UID: core.UID(fmt.Sprintf("u%d", k)), Incarnation: core.Incarnation(k + 1)}}
		a.opts = core.Options{Self: a.self}
		s.members = append(s.members, a)
		if k < voters {
			c.Members = append(c.Members, core.Member{Identity: a.self, Membership: core.Voter})
		}
	}
	for k, a := range s.members {
		if k < voters {
			a.snapshot.Configuration = c
		}
		a.start()
	}
	return s
}

// start begins a life with what is in the log and in the durable state.
func (a *actor) start() {
	r := core.Restore{State: a.state, Snapshot: a.snapshot, Last: a.last(), Commit: a.snapshot.ID.Index}
	term := a.snapshot.ID.Term
	for k, e := range a.log {
		if k == 0 || e.Term != term {
			r.Terms, term = append(r.Terms, e.ID()), e.Term
		}
		if e.Type < core.FirstShellKind {
			r.Entries = append(r.Entries, e)
		}
	}
	srv, err := core.New(a.opts, r)
	if err != nil {
		a.s.t.Fatal(err)
	}
	a.srv, a.timers, a.pending = srv, map[core.Timer]uint64{}, nil
	a.step(core.Recovered{})
}

func (a *actor) last() core.EntryID {
	if len(a.log) == 0 {
		return a.snapshot.ID
	}
	return a.log[len(a.log)-1].ID()
}

// step feeds an input and carries out the effects.
func (a *actor) step(in core.Input) {
	e := a.srv.Step(in)
	if e.Fault != nil {
		a.s.t.Fatalf("n%d: %v", a.k, e.Fault)
	}
	a.effects = *e
	a.wants = append(a.wants, e.Snapshots...)
	if e.HardState != nil {
		a.pending = append(a.pending, *e.HardState)
	}
	if e.Truncate {
		a.log = a.log[:e.TruncateTo.Index-a.snapshot.ID.Index]
	}
	refused := a.full && len(e.Append) > 0
	if !refused {
		a.log = append(a.log, e.Append...)
	}
	if e.Install != nil {
		meta := *e.Install
		a.install = &meta
	}
	a.s.wire = append(a.s.wire, e.Messages...)
	if e.Accept != nil {
		accept := *e.Accept
		a.accepted = &accept
	}
	for _, t := range e.Timers {
		delete(a.timers, t.Timer)
		if t.MaxMS > 0 {
			a.timers[t.Timer] = t.Generation
		}
	}
	a.results = append(a.results, e.Results...)
	sends := slices.Clone(e.Sends)
	appended := len(e.Append) > 0
	if refused {
		a.step(core.AppendFailed{Last: a.last()})
		return
	}
	for _, s := range sends {
		if a.reads {
			a.reading = append(a.reading, s)
		} else {
			a.send(s)
		}
	}
	if !a.slow {
		a.sync(appended)
	}
}

// send reads entries from the log and lets them go.
func (a *actor) send(s core.Send) {
	base := a.snapshot.ID.Index
	entries := slices.Clone(a.log[s.First-base-1 : s.Last-base])
	a.s.wire = append(a.s.wire, core.Message{Head: s.Head, Body: core.Append{
		Prev: s.Prev, Commit: s.Commit, Probe: s.Probe, Entries: entries}})
	a.step(core.Sent{To: s.Head.To, Last: s.Last, Bytes: len(entries)})
}

// sync makes durable what is not.
func (a *actor) sync(appended bool) {
	list := a.pending
	a.pending = nil
	for _, h := range list {
		a.state = h
		a.step(core.HardStateWritten{State: h})
	}
	if appended && len(a.log) > 0 {
		a.step(core.Written{ID: a.last()})
	}
}

// fire ends a timer that runs.
func (a *actor) fire(t core.Timer) {
	a.s.t.Helper()
	g, ok := a.timers[t]
	if !ok {
		a.s.t.Fatalf("n%d: timer %d does not run", a.k, t)
	}
	delete(a.timers, t)
	a.step(core.Timeout{Timer: t, Generation: g})
}

// deliver hands over the messages that the filter takes, and what follows from them, until none is left.
func (s *script) deliver(take func(m core.Message) bool) {
	for n := 0; ; n++ {
		k := slices.IndexFunc(s.wire, take)
		if k < 0 {
			return
		}
		if n > 10_000 {
			s.t.Fatal("the messages never end")
		}
		m := s.wire[k]
		s.wire = slices.Delete(s.wire, k, k+1)
		s.to(m).step(core.Received{Message: m})
	}
}

func (s *script) to(m core.Message) *actor { return s.members[index(m.To.Node)] }

// run delivers everything.
func (s *script) run() { s.deliver(func(core.Message) bool { return true }) }

// among takes messages between the given members.
func among(ks ...int) func(core.Message) bool {
	return func(m core.Message) bool {
		return slices.Contains(ks, index(m.From.Node)) && slices.Contains(ks, index(m.To.Node))
	}
}

// drop loses everything that is on its way.
func (s *script) drop() { s.wire = nil }

// elect makes a member the leader, over the messages that the filter takes. The others are lost.
func (s *script) elect(k int, take func(core.Message) bool) *actor {
	s.t.Helper()
	a := s.members[k]
	if a.srv.Role() == core.RoleLeader {
		s.t.Fatalf("n%d leads already", k)
	}
	for _, o := range s.members {
		if id := o.srv.Leader(); !id.IsZero() && o != a {
			o.step(core.LeaderLost{Leader: id, Term: o.srv.State().Term})
		}
	}
	for _, o := range s.members { // a leader that is to vote has lost its contacts for a while
		if o == a || o.srv.Role() != core.RoleLeader || !take(s.forge(k, o.k, 0, core.Vote{})) {
			continue
		}
		for _, p := range s.members {
			o.step(core.NodeDown{Node: p.self.ID.Node})
		}
		for _, p := range s.members {
			o.step(core.NodeUp{Node: p.self.ID.Node})
		}
	}
	a.step(core.TriggerElection{})
	s.deliver(take)
	if a.srv.Role() != core.RoleLeader {
		s.t.Fatalf("n%d is %v in %v", k, a.srv.Role(), a.srv.State())
	}
	s.drop()
	return a
}

// propose gives a leader one command.
func (a *actor) propose(data string) core.Index {
	a.step(core.Proposed{Proposals: []core.Proposal{{Kind: core.FirstShellKind, Data: []byte(data), Ref: 1}}})
	last, _ := a.srv.Last()
	return last.Index
}

// settle delivers everything and lets retransmission finish what is left.
func (s *script) settle(take func(core.Message) bool) {
	for range 20 {
		s.deliver(take)
		for _, a := range s.members {
			if _, ok := a.timers[core.TimerRetransmit]; ok {
				a.fire(core.TimerRetransmit)
			}
		}
	}
	s.deliver(take)
}

// capture takes a snapshot of all that is committed.
func (a *actor) capture() {
	commit := a.srv.Commit()
	c, at := a.srv.Configuration()
	meta := core.SnapshotMeta{ID: a.log[commit-a.snapshot.ID.Index-1].ID(), Configuration: c, ConfigurationIndex: at, Machine: a.srv.Machine()}
	a.log = slices.Clone(a.log[commit-a.snapshot.ID.Index:])
	a.snapshot = meta
	a.step(core.SnapshotTaken{ID: meta.ID})
}

// change asks a leader for a membership change.
func (a *actor) change(c core.Change, o *actor, m core.Membership) error {
	n := len(a.results)
	a.step(core.ChangeMembership{Ref: 99, Change: c, Member: core.Member{Identity: o.self, Membership: m}})
	if len(a.results) > n && a.results[n].Err != nil {
		return a.results[n].Err
	}
	return nil
}

func (a *actor) demandCommit(want core.Index) {
	a.s.t.Helper()
	if got := a.srv.Commit(); got != want {
		a.s.t.Fatalf("n%d: commit %d, want %d", a.k, got, want)
	}
}

func (a *actor) demandRole(want core.Role) {
	a.s.t.Helper()
	if got := a.srv.Role(); got != want {
		a.s.t.Fatalf("n%d: %v, want %v", a.k, got, want)
	}
}

// forge is a message from one member to another in a term, of any content.
func (s *script) forge(from, to int, term core.Term, b core.Body) core.Message {
	f, o := s.members[from].self, s.members[to].self
	return core.Message{Body: b, Head: core.Head{Cluster: core.ClusterID{7}, Epoch: 1, Term: term,
		From: f.ID, FromInc: f.Incarnation, To: o.ID, ToInc: o.Incarnation}}
}

// sent returns the bodies of one type that are on their way to a member.
func sent[B core.Body](s *script, to int) (list []B) {
	for _, m := range s.wire {
		if b, ok := m.Body.(B); ok && index(m.To.Node) == to {
			list = append(list, b)
		}
	}
	return list
}

var anyone = func(core.Message) bool { return true }

// behind makes n2 of three voters so late that it needs a snapshot, which n0 has offered.
func behind(t *testing.T) (s *script, a, f *actor) {
	t.Helper()
	s = newScript(t, 3, 1)
	a, f = s.elect(0, anyone), s.members[2]
	s.settle(among(0, 1))
	for range 4 {
		a.propose("x")
	}
	s.settle(among(0, 1))
	s.drop()
	a.capture()
	a.step(core.NodeDown{Node: f.self.ID.Node})
	a.step(core.NodeUp{Node: f.self.ID.Node})
	s.settle(among(0, 2))
	if len(a.wants) == 0 {
		t.Fatal("no snapshot is asked for")
	}
	a.offer(f, 1)
	return s, a, f
}

// offer sends this leader's snapshot to a peer, as a transfer of that number.
func (a *actor) offer(to *actor, transfer uint64) {
	a.step(core.SnapshotOffered{To: to.self.ID, Transfer: transfer, Snapshot: a.snapshot})
	a.s.deliver(among(a.k, to.k))
}

// receive ends the bytes of the transfer that was accepted, and installs what they are.
func (a *actor) receive() {
	a.s.t.Helper()
	if a.accepted == nil {
		a.s.t.Fatalf("n%d accepted no snapshot", a.k)
	}
	a.step(core.SnapshotReceived{Transfer: a.accepted.Transfer})
	if m := a.install; m != nil {
		a.install, a.snapshot, a.log = nil, *m, nil
		a.step(core.Installed{Snapshot: *m})
	}
}
