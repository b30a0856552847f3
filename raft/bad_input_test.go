package raft_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport"
)

// badCall is a call that cannot go well, and what its error has to say.
type badCall struct {
	name string
	call func(ctx context.Context) error
	// causes are what errors.Is has to find.
	causes []error
	// proposal says that the error is a *raft.ProposalError, with this outcome and advice.
	proposal  bool
	outcome   raft.Outcome
	retriable bool
}

// check makes the call and compares.
func (b *badCall) check(t *testing.T, ctx context.Context) {
	t.Helper()
	err := b.call(ctx)
	if err == nil {
		t.Fatal("it went well")
	}
	for _, c := range b.causes {
		if !errors.Is(err, c) {
			t.Errorf("%v: want the cause %v", err, c)
		}
	}
	var p *raft.ProposalError
	switch {
	case !b.proposal:
	case !errors.As(err, &p):
		t.Errorf("%T %v is no *ProposalError", err, err)
	case p.Outcome != b.outcome || p.Retriable != b.retriable:
		t.Errorf("%v: outcome %v, retriable %v; want %v, %v", err, p.Outcome, p.Retriable, b.outcome, b.retriable)
	}
}

func checkAll(t *testing.T, ctx context.Context, list []badCall) {
	for _, b := range list {
		t.Run(b.name, func(t *testing.T) { b.check(t, ctx) })
	}
}

// checkFor gives each call some time, after which it is still to be refused for the reason expected. When the time is up before
// anybody has answered only that is known: it is given more.
func checkFor(t *testing.T, ctx context.Context, d time.Duration, list []badCall) {
	for _, b := range list {
		t.Run(b.name, func(t *testing.T) {
			call := b.call
			b.call = func(ctx context.Context) (err error) {
				for patience := d; ; patience *= 2 {
					short, cancel := context.WithTimeout(ctx, patience)
					err = call(short)
					cancel()
					if err == nil || !untold(err) || ctx.Err() != nil {
						return err
					}
				}
			}
			b.check(t, ctx)
		})
	}
}

// untold reports whether an error says nothing but that the time was up.
func untold(err error) bool {
	var p *raft.ProposalError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error() == context.DeadlineExceeded.Error()
}

// callsTo are all calls that name a server of a cluster, from node n; its own server of that name is id.Name.
func callsTo(n *raft.Node, id raft.ServerID) []badCall {
	return []badCall{
		{name: "Process", proposal: true, call: func(ctx context.Context) error {
			return second(n.Process(ctx, id, one(), raft.ProcessOptions{}))
		}},
		{name: "Process for another's reply", proposal: true, call: func(ctx context.Context) error {
			return second(n.Process(ctx, id, one(), raft.ProcessOptions{Reply: raft.ReplyFromLocal}))
		}},
		{name: "OpenSession", proposal: true, call: func(ctx context.Context) error {
			return second(n.OpenSession(ctx, id, raft.SessionOptions{}))
		}},
		{name: "Pipeline", proposal: true, call: func(ctx context.Context) error { return firstNotice(ctx, n, id) }},
		{name: "QueryMember", call: func(ctx context.Context) error {
			return second(n.QueryMember(ctx, id, "n", nil, raft.QueryOptions{}))
		}},
		{name: "LeaderQuery", call: func(ctx context.Context) error { return second(n.LeaderQuery(ctx, id, "n", nil)) }},
		{name: "ConsistentQuery", call: func(ctx context.Context) error { return second(n.ConsistentQuery(ctx, id, "n", nil)) }},
		{name: "Members", call: func(ctx context.Context) error { _, _, err := n.Members(ctx, id); return err }},
		{name: "MembersInfo", call: func(ctx context.Context) error { return second(n.MembersInfo(ctx, id)) }},
		{name: "AddMember", proposal: true, call: func(ctx context.Context) error {
			return n.AddMember(ctx, id, id, raft.MemberOptions{})
		}},
		{name: "RemoveMember", proposal: true, call: func(ctx context.Context) error {
			return n.RemoveMember(ctx, id, id, raft.MemberOptions{})
		}},
		{name: "SetMembership", proposal: true, call: func(ctx context.Context) error {
			return n.SetMembership(ctx, id, id, raft.MemberOptions{Membership: core.NonVoter})
		}},
		{name: "TransferLeadership", proposal: true, call: func(ctx context.Context) error { return n.TransferLeadership(ctx, id, id) }},
		{name: "TriggerElection", call: func(ctx context.Context) error { return n.TriggerElection(ctx, id) }},
		{name: "DeleteCluster", proposal: true, call: func(ctx context.Context) error { return n.DeleteCluster(ctx, id) }},
		{name: "ForceShrink", proposal: true, call: func(ctx context.Context) error { return n.ForceShrink(ctx, id) }},
		{name: "AuxCommand", call: func(ctx context.Context) error { return second(n.AuxCommand(ctx, id, nil)) }},
		{name: "ConsistentAux", call: func(ctx context.Context) error { return second(n.ConsistentAux(ctx, id, nil)) }},
		{name: "ServerOverview", call: func(ctx context.Context) error { return second(n.ServerOverview(ctx, id)) }},
	}
}

// localCalls are the calls that name a server of the node's own.
func localCalls(n *raft.Node, name string) []badCall {
	return []badCall{
		{name: "LocalQuery", call: func(ctx context.Context) error {
			return second(n.LocalQuery(ctx, name, stateOf, raft.QueryOptions{}))
		}},
		{name: "ConsistentRead", call: func(ctx context.Context) error { return second(n.ConsistentRead(ctx, name, stateOf)) }},
		{name: "StopServer", call: func(ctx context.Context) error { return n.StopServer(ctx, name) }},
		{name: "RestartServer", call: func(ctx context.Context) error { return n.RestartServer(ctx, name, raft.RestartOptions{}) }},
		{name: "DeleteServer", call: func(ctx context.Context) error { return n.DeleteServer(ctx, name) }},
		{name: "Leave", call: func(ctx context.Context) error { return n.Leave(ctx, name) }},
		{name: "TriggerCompaction", call: func(ctx context.Context) error { return n.TriggerCompaction(ctx, name) }},
		{name: "ReadEntries", call: func(ctx context.Context) error { return second(n.ReadEntries(ctx, name, raft.Seq{})) }},
	}
}

// looksUp are the calls without a context.
func looksUp(n *raft.Node, name string) []badCall {
	return []badCall{
		{name: "Leader", call: func(context.Context) error { return second(n.Leader(name)) }},
		{name: "ClusterLeader", call: func(context.Context) error { return second(n.ClusterLeader(name)) }},
		{name: "KeyMetrics", call: func(context.Context) error { return second(n.KeyMetrics(name)) }},
		{name: "InitialMembers", call: func(context.Context) error { return second(n.InitialMembers(name)) }},
	}
}

// firstNotice is what a pipeline says of one command.
func firstNotice(ctx context.Context, n *raft.Node, to raft.ServerID) error {
	var first error
	p, err := n.OpenPipeline(to, raft.PipelineOptions{Notify: func(list []raft.Notice) { first = list[0].Err }})
	if err != nil {
		return err
	}
	if err := p.Send(1, one()); err != nil {
		return err
	}
	if err := p.Close(ctx); err != nil {
		return err
	}
	return first
}

// want has each call fail with these causes, and proposals with NotApplied.
func want(list []badCall, retriable bool, causes ...error) []badCall {
	for i := range list {
		list[i].causes, list[i].outcome, list[i].retriable = causes, raft.NotApplied, retriable
	}
	return list
}

// A server or cluster that is not there: on this node, on another, on a node that does not exist.
func TestBadUnknown(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	n := h.nodes[0]
	t.Run("here", func(t *testing.T) { checkAll(t, ctx, want(callsTo(n, h.id(0, "x")), true, raft.ErrUnknownServer)) })
	t.Run("elsewhere", func(t *testing.T) { checkAll(t, ctx, want(callsTo(n, h.id(1, "x")), true, raft.ErrUnknownServer)) })
	t.Run("local", func(t *testing.T) { checkAll(t, ctx, want(localCalls(n, "x"), true, raft.ErrUnknownServer)) })
	t.Run("look-up", func(t *testing.T) { checkAll(t, ctx, want(looksUp(n, "x"), true, raft.ErrUnknownServer)) })
	t.Run("no such node", func(t *testing.T) {
		checkFor(t, ctx, 50*time.Millisecond, want(callsTo(n, raft.ServerID{Name: "c", Node: "n9"}), true, raft.ErrUnreachable))
	})
	if err := second(n.LeaderQuery(ctx, h.id(1, "c"), "nobody's", nil)); !errors.Is(err, raft.ErrUnknownQuery) {
		t.Error(err)
	}
}

// stubborn is a machine that takes over no state.
type stubborn struct{ tally }

var errOtherFormat = errors.New("state of another machine")

func (*stubborn) Restore(io.Reader) error { return errOtherFormat }

// A machine that is missing on a node, or another one than before, keeps its server from starting, and others from nothing.
func TestBadMachine(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.start(ctx, "d", "tally", 0)
	h.release(ctx, 0, "d")
	n := h.nodes[0]
	newer := raft.ServerConfig{Name: "x", Machine: "tally", InitialVersion: 1}
	checkAll(t, ctx, []badCall{
		{name: "StartServer", causes: []error{raft.ErrUnknownMachine}, call: func(ctx context.Context) error {
			return second(n.StartServer(ctx, raft.ServerConfig{Name: "x", Machine: "nobody's"}))
		}},
		{name: "StartServer of a newer version", causes: []error{raft.ErrMachineVersion}, call: func(ctx context.Context) error {
			return second(n.StartServer(ctx, newer))
		}},
		{name: "StartCluster", causes: []error{raft.ErrClusterNotFormed, raft.ErrUnknownMachine}, call: func(ctx context.Context) error {
			return second(n.StartCluster(ctx, raft.ClusterConfig{Machine: "nobody's", Members: []raft.ServerID{h.id(0, "x"), h.id(1, "x")}}))
		}},
		{name: "RegisterMachine twice", causes: []error{raft.ErrExists}, call: func(context.Context) error {
			return n.RegisterMachine("tally", nil)
		}},
	})
	if got := len(n.Servers()); got != 2 || h.logs(0) != 3 {
		t.Errorf("%d servers and %d logs are left", got, h.logs(0))
	}
	machines := h.options.machines
	for _, c := range []struct {
		name     string
		machines map[string]func() raft.Machine
		causes   []error
	}{
		{"missing after a restart", nil, []error{raft.ErrStopped, raft.ErrUnknownMachine}},
		{"another one after a restart", map[string]func() raft.Machine{"tally": func() raft.Machine { return &stubborn{} }},
			[]error{raft.ErrStopped, raft.ErrMachine, errOtherFormat}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.close(0)
			h.options.machines = c.machines
			h.open(0)
			h.options.machines = machines
			var list []raft.ServerInfo
			until(t, ctx, "the server's end", func() bool {
				list = h.nodes[0].Servers()
				return list[1].Err != nil
			})
			for _, cause := range c.causes {
				if !errors.Is(list[1].Err, cause) {
					t.Errorf("%+v: want %v", list[1], cause)
				}
			}
			only := h.id(0, "d")
			checkFor(t, ctx, 50*time.Millisecond, want(callsTo(h.nodes[0], only)[:1], true, c.causes...))
			if err := h.nodes[0].RestartServer(ctx, "d", raft.RestartOptions{}); !errors.Is(err, c.causes[1]) {
				t.Errorf("RestartServer: %v", err)
			}
			h.add(ctx, 1, "c")
		})
	}
	h.close(0)
	h.open(0)
	until(t, ctx, "the state", func() bool { return h.total(ctx, 0, "c") == 2 })
}

// What is there already is not started again, and a uid is used once.
func TestBadDuplicate(t *testing.T) {
	h := newHouseWith(t, 2, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1)
	h.add(ctx, 0, "c")
	n, uid := h.nodes[0], h.uid(ctx, 0, "c")
	start := func(c raft.ServerConfig) func(context.Context) error {
		return func(ctx context.Context) error { return second(n.StartServer(ctx, c)) }
	}
	cluster := raft.ClusterConfig{Name: "c", Machine: "tally", Members: []raft.ServerID{h.id(0, "c"), h.id(1, "c")}}
	checkAll(t, ctx, []badCall{
		{name: "StartServer", causes: []error{raft.ErrExists}, call: start(raft.ServerConfig{Name: "c", Machine: "tally"})},
		{name: "uid of another server", causes: []error{raft.ErrExists}, call: start(raft.ServerConfig{Name: "x", UID: uid, Machine: "tally"})},
		{name: "uid of the directory", causes: []error{raft.ErrExists}, call: start(raft.ServerConfig{Name: "x", UID: "_servers", Machine: "tally"})},
		{name: "uid of bad letters", causes: []error{core.ErrBadID}, call: start(raft.ServerConfig{Name: "x", UID: "a/b", Machine: "tally"})},
		{name: "no name", causes: []error{core.ErrBadID}, call: start(raft.ServerConfig{Machine: "tally"})},
		{name: "StartCluster", causes: []error{raft.ErrClusterNotFormed, raft.ErrExists}, call: func(ctx context.Context) error {
			return second(n.StartCluster(ctx, cluster))
		}},
		{name: "StartCluster of nobody", causes: []error{core.ErrBadMember}, call: func(ctx context.Context) error {
			return second(n.StartCluster(ctx, raft.ClusterConfig{Name: "x", Machine: "tally"}))
		}},
		{name: "RestartServer", causes: []error{raft.ErrRunning}, call: func(ctx context.Context) error { return n.RestartServer(ctx, "c", raft.RestartOptions{}) }},
	})
	if got := h.add(ctx, 1, "c"); got != 2 || len(n.Servers()) != 1 || h.logs(0) != 2 {
		t.Fatalf("sum %d, %d servers, %d logs", got, len(n.Servers()), h.logs(0))
	}
}

// A command above the limit is refused before it is sent anywhere, or where the log is; a reply above it is not delivered,
// and says so.
func TestBadSize(t *testing.T) {
	o := tallies(nil)
	o.change = func(o *raft.NodeOptions) {
		if o.MaxCommandBytes = 1000; o.ID == "n3" {
			o.MaxCommandBytes = 5000 // another than the members'
		}
	}
	h := newHouseWith(t, 4, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	session, err := h.nodes[0].OpenSession(ctx, h.id(0, "c"), raft.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	huge := make([]byte, 1001)
	process := func(i int, command []byte) func(context.Context) error {
		return func(ctx context.Context) error {
			return second(h.nodes[i].Process(ctx, h.id(i%3, "c"), command, raft.ProcessOptions{}))
		}
	}
	tooLarge := badCall{proposal: true, causes: []error{raft.ErrTooLarge}, outcome: raft.NotApplied}
	noReply := badCall{proposal: true, causes: []error{raft.ErrReplyTooLarge}, outcome: raft.MaybeApplied}
	row := func(name string, b badCall, call func(context.Context) error) badCall {
		b.name, b.call = name, call
		return b
	}
	checkAll(t, ctx, []badCall{
		row("Process", tooLarge, process(0, huge)),
		row("Process at a smaller node", tooLarge, process(3, make([]byte, 4000))),
		row("ClientSession.Process", tooLarge, func(ctx context.Context) error {
			return second(session.Process(ctx, huge, raft.ProcessOptions{}))
		}),
		{name: "Pipeline.Send", causes: []error{raft.ErrTooLarge}, call: func(context.Context) error {
			p, err := h.nodes[0].OpenPipeline(h.id(0, "c"), raft.PipelineOptions{Notify: func([]raft.Notice) { t.Error("notified") }})
			if err != nil {
				t.Fatal(err)
			}
			return p.Send(1, huge)
		}},
		row("reply", noReply, process(0, cmdHuge)),
		row("reply elsewhere", noReply, process(3, cmdHuge)),
		row("reply in a session", noReply, func(ctx context.Context) error {
			return second(session.Process(ctx, cmdHuge, raft.ProcessOptions{}))
		}),
	})
	for i := range 3 {
		h.tell(ctx, i, "c", make([]byte, 1000))
	}
	if got := h.add(ctx, 0, "c"); got != 1 {
		t.Fatal(got)
	}
}

// The engine's bound counts too: what its log would not take never ends a server.
func TestBadSizeForTheEngine(t *testing.T) {
	h := newHouseWith(t, 1, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0)
	most := h.nodes[0].Engine().MaxEntryBytes()
	for _, size := range []int{most - raft.MaxCommandHeader + 1, most, 1 << 20} {
		_, err := h.nodes[0].Process(ctx, h.id(0, "c"), make([]byte, size), raft.ProcessOptions{})
		if !errors.Is(err, raft.ErrTooLarge) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	h.tell(ctx, 0, "c", make([]byte, most-raft.MaxCommandHeader))
}

// What the network would never take is no reason to ask again, nor to take the node for lost.
func TestBadSizeForTheNetwork(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	n := h.nodes[(leader+1)%3]
	huge := make([]byte, 5<<20)
	_, member := n.QueryMember(ctx, h.id(leader, "c"), "n", huge, raft.QueryOptions{})
	_, asLeader := n.LeaderQuery(ctx, h.id(leader, "c"), "n", huge)
	for _, err := range []error{member, asLeader} {
		if !errors.Is(err, raft.ErrTooLarge) || errors.Is(err, raft.ErrUnreachable) {
			t.Error(err)
		}
	}
	h.add(ctx, leader, "c")
}

// One change at a time: while one waits for its majority another is refused for that, and goes through when it is done.
func TestBadChangeDuringAnother(t *testing.T) {
	h := newHouseWith(t, 4, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	h.add(ctx, leader, "c")
	id, err := h.nodes[3].StartServer(ctx, raft.ServerConfig{Name: "c", Machine: "tally"})
	if err != nil {
		t.Fatal(err)
	}
	n, to, other := h.nodes[leader], h.id(leader, "c"), h.id((leader+1)%3, "c")
	for _, i := range []int{(leader + 1) % 3, (leader + 2) % 3} { // entries do not reach them, contact stays
		h.lose(leader, i, transport.Log)
	}
	first := make(chan error, 1)
	go func() { first <- n.AddMember(ctx, to, id, raft.MemberOptions{Membership: core.NonVoter}) }()
	until(t, ctx, "the first change in the log", func() bool {
		members, _, err := n.Members(ctx, to)
		return err == nil && len(members) == 4
	})
	busy := badCall{proposal: true, outcome: raft.NotApplied, retriable: true,
		causes: []error{core.ErrChangeInProgress, context.DeadlineExceeded}}
	row := func(name string, call func(ctx context.Context) error) badCall {
		b := busy
		b.name, b.call = name, call
		return b
	}
	checkFor(t, ctx, 50*time.Millisecond, []badCall{
		row("RemoveMember", func(ctx context.Context) error { return n.RemoveMember(ctx, to, other, raft.MemberOptions{}) }),
		row("SetMembership", func(ctx context.Context) error {
			return n.SetMembership(ctx, to, other, raft.MemberOptions{Membership: core.NonVoter})
		}),
		row("AddMember", func(ctx context.Context) error { return n.AddMember(ctx, to, id, raft.MemberOptions{}) }),
	})
	removed := make(chan error, 1)
	go func() { removed <- n.RemoveMember(ctx, to, id, raft.MemberOptions{}) }() // waits for the first
	h.heal()
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if err := <-removed; err != nil {
		t.Fatal(err)
	}
	if got := h.membership(ctx, leader, id); got != 0 {
		t.Fatal(got)
	}
	if got := h.add(ctx, (leader+1)%3, "c"); got != 2 {
		t.Fatal(got)
	}
}
