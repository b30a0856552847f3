package raft

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/raft/core"
)

// ClusterConfig says what a new cluster is.
type ClusterConfig struct {
	// Name is the cluster's, for look-ups.
	Name string
	// Machine is the name under which every node of a member has the machine registered.
	Machine string
	// InitialVersion is the machine version in force before the first entry.
	InitialVersion uint64
	// System names, on each node, the system that has its member's log: DefaultSystem if it is empty.
	System string
	// Options are what each member has for itself.
	Options ServerOptions
	// Members are the addresses of its first voters, 1 to core.MaxMembers, each once.
	Members []ServerID
}

// opStart has a node start a member of a new cluster, or end one again.
type opStart struct {
	config ServerConfig
	undo   bool
}

// StartCluster starts a new cluster: a member on each node, with one configuration and a random identity, and an
// election on one of them. It returns when there is a leader, with the members that have started. One whose node answers
// late may come up afterwards; one whose node was away does not, and is to be removed, and added as a new one. Errors: ErrClusterNotFormed, wrapping why,
// when no majority could be started, or there is no leader before ctx ends: what was started was deleted, as far as its nodes could be reached; and those of bad configurations.
func (n *Node) StartCluster(ctx context.Context, c ClusterConfig) (started []ServerID, err error) {
	conf, err := c.configuration(n.world)
	if err != nil {
		return nil, err
	}
	started, failures := n.startMembers(ctx, c, conf)
	if 2*len(started) > len(conf.Members) {
		if err = n.firstLeader(ctx, started); err == nil {
			return started, nil
		}
	}
	n.undo(conf)
	for _, f := range failures {
		err = errors.Join(err, f)
	}
	return nil, fmt.Errorf("%w: %w", ErrClusterNotFormed, err)
}

// configuration draws the identity of the cluster and of its members.
func (c *ClusterConfig) configuration(w *sched.World) (core.Configuration, error) {
	conf := core.Configuration{Epoch: 1}
	w.Read(conf.Cluster[:])
	if c.Name == "" && len(c.Members) > 0 {
		c.Name = c.Members[0].Name
	}
	if !validName(c.Name) {
		return conf, malformed("cluster name of %d bytes", len(c.Name))
	}
	for _, id := range c.Members {
		conf.Members = append(conf.Members, core.Member{
			Identity:   core.Identity{ID: id, UID: newUID(w, id.Name), Incarnation: newIncarnation(w)},
			Membership: core.Voter,
		})
	}
	slices.SortFunc(conf.Members, func(a, b core.Member) int { return a.ID.Compare(b.ID) })
	if err := c.Options.validate(); err != nil {
		return conf, err
	}
	if len(conf.Members) == 0 {
		return conf, fmt.Errorf("%w: no members", core.ErrBadMember)
	}
	return conf, conf.Validate()
}

// startMembers starts the members, all at the same time. When a majority has answered it waits for the others no longer
// than it takes to find out that a node is away.
func (n *Node) startMembers(ctx context.Context, c ClusterConfig, conf core.Configuration) (started []ServerID, failures []error) {
	type end struct {
		id  ServerID
		err error
	}
	ends := make(chan end, len(conf.Members))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, m := range conf.Members {
		op := opStart{config: ServerConfig{Name: m.ID.Name, Cluster: c.Name, System: c.System, UID: m.UID, Machine: c.Machine,
			InitialVersion: c.InitialVersion, Options: c.Options, initial: conf, inc: m.Incarnation}}
		n.world.Go(func() { ends <- end{m.ID, n.startMember(ctx, m.ID.Node, op)} }) // ends with the call's context
	}
	for range conf.Members {
		e, _ := sched.Wait(n.world, ends, nil, nil)
		if e.err != nil {
			failures = append(failures, fmt.Errorf("%v: %w", e.id, e.err))
			continue
		}
		if started = append(started, e.id); len(started) == len(conf.Members)/2+1 {
			late := &alarm{ring: cancel}
			n.wheel.set(late, n.now()+int64(startPatience*n.opts.DetectionBound))
			defer n.wheel.stop(late)
		}
	}
	slices.SortFunc(started, ServerID.Compare)
	return started, failures
}

// startPatience is for how many detection bounds the start of a cluster waits for a minority of its members.
const startPatience = 5

// undo takes back that members were started, as far as their nodes can be reached.
func (n *Node) undo(conf core.Configuration) {
	ctx, cancel := n.within(n.ctx, n.opts.DetectionBound, context.DeadlineExceeded)
	defer cancel()
	all := n.world.Group()
	for _, m := range conf.Members {
		all.Go(func() {
			op := opStart{config: ServerConfig{Name: m.ID.Name, inc: m.Incarnation}, undo: true}
			if err := n.startMember(ctx, m.ID.Node, op); err != nil {
				n.opts.Logger.Warn("a member of a cluster that was not formed may be left", "server", m.ID.String(), "err", err)
			}
		})
	}
	all.Wait(nil)
}

// startMember has a node carry out an opStart.
func (n *Node) startMember(ctx context.Context, node NodeID, op opStart) error {
	if node == n.id {
		a := n.startFor(ctx, &op)
		return a.queryError()
	}
	a := n.reach(ctx, ServerID{Name: op.config.Name, Node: node}, &op, 256, ErrUnreachable)
	return a.queryError()
}

// reach is await for a server whose node may be coming back. One that is away, as some errors say, is asked again until that
// would have been found out, and one with too much under way until ctx ends.
func (n *Node) reach(ctx context.Context, to ServerID, op any, size int, away ...error) answer {
	patience := n.now() + 2*int64(n.opts.DetectionBound)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		a := n.await(ctx, to, op, size)
		err := a.queryError()
		gone := slices.ContainsFunc(away, func(e error) bool { return errors.Is(err, e) })
		if !errors.Is(err, ErrBusy) && (!gone || n.now() > patience) {
			return a
		}
		if n.sleep(ctx, pause) != nil {
			return a
		}
	}
}

// unwantedFor is for how long a node remembers that a member is not to be started any more: a request to start it may
// still be on its way.
const unwantedFor = time.Minute

// startFor starts a member here, or takes back that it was started.
func (n *Node) startFor(ctx context.Context, op *opStart) answer {
	if op.undo {
		n.unwanted.Store(op.config.inc, nil) // a start that comes later finds that
		n.wheel.after(unwantedFor, func() { n.unwanted.Delete(op.config.inc) })
		err := n.delete(ctx, op.config.Name, op.config.inc, errDeleteServer) // behind a start that is under way
		if err != nil && !errors.Is(err, ErrUnknownServer) {
			return failed(err, MaybeApplied, true, ServerID{})
		}
		return answer{}
	}
	r, err := n.recordOf(op.config)
	if err == nil {
		err = n.create(ctx, r, op.config.System)
	}
	if err != nil {
		return failed(err, NotApplied, false, ServerID{})
	}
	return answer{}
}

// firstLeader starts an election, on a member of this node if there is one, and waits for a leader.
func (n *Node) firstLeader(ctx context.Context, started []ServerID) error {
	first := started[0]
	for _, id := range started {
		if id.Node == n.id {
			first = id
		}
	}
	n.await(ctx, first, &opTrigger{unlessLed: true}, 0)
	return n.waitLeader(ctx, first)
}

// waitLeader returns when some member knows a leader.
func (n *Node) waitLeader(ctx context.Context, to ServerID) error {
	return n.seek(ctx, to, func(at ServerID) (ServerID, bool) {
		a := n.await(ctx, at, &opMembers{}, 0)
		return a.leader, a.leader.IsZero()
	})
}

// Members returns the configuration that the leader has, and who that is. to is any member. Errors: ErrUnknownServer,
// ErrStopped, ErrUnreachable, ctx's.
func (n *Node) Members(ctx context.Context, to ServerID) ([]core.Member, ServerID, error) {
	c, _, leader, err := n.configuration(ctx, to)
	return c.Members, leader, err
}

func (n *Node) configuration(ctx context.Context, to ServerID) (c core.Configuration, at Index, leader ServerID, err error) {
	a := n.insist(ctx, to, func(at ServerID) answer { return n.await(ctx, at, &opMembers{}, 0) },
		func(a *answer, at ServerID) bool { return ifRetriable(a, at) || a.err == nil && a.leader != at })
	if err := a.queryError(); err != nil {
		return c, 0, ServerID{}, err
	}
	c, err = valueOf[core.Configuration](&a)
	return c, a.index, a.leader, err
}

// MemberOptions say as what a server is added, and when.
type MemberOptions struct {
	// Membership defaults to core.Promotable: a voter as soon as it has caught up.
	Membership core.Membership
	// Expected is the index of the configuration that is to be changed, 0 for any.
	Expected Index
}

// AddMember adds a server, which StartServer has made on its node, to a cluster, and returns when that is committed.
// to is any member. Errors, as causes of a *ProposalError: core's of membership changes, ErrUnknownServer, ErrUnreachable, ErrNoLeader, ErrLost, ctx's.
func (n *Node) AddMember(ctx context.Context, to, server ServerID, o MemberOptions) error {
	a := n.await(ctx, server, &opIdentity{}, 0)
	if a.err != nil {
		return a.err
	}
	identity, err := valueOf[core.Identity](&a)
	if err != nil {
		return &ProposalError{Err: err}
	}
	if o.Membership == 0 {
		o.Membership = core.Promotable
	}
	return n.change(ctx, to, core.ChangeMembership{Change: core.AddMember, Expected: o.Expected,
		Member: core.Member{Identity: identity, Membership: o.Membership}})
}

// RemoveMember removes a server from its cluster and returns when that is committed; a leader may remove itself, and stops with
// ErrRemoved then. Another server hears nothing of its cluster any more, but when it asks for an election: then it is told, asks
// no more, and stays as it is until DeleteServer, or until it is added again. Errors: those of AddMember.
func (n *Node) RemoveMember(ctx context.Context, to, server ServerID, o MemberOptions) error {
	return n.change(ctx, to, core.ChangeMembership{Change: core.RemoveMember, Expected: o.Expected,
		Member: core.Member{Identity: core.Identity{ID: server}}})
}

// Leave takes a server of this node out of its cluster, and stops it for good when that is committed: DeleteServer removes what
// is left of it. When it fails it can be called again. Errors: those of RemoveMember, core.ErrBadMember for the last
// voter; and those of StopServer.
func (n *Node) Leave(ctx context.Context, name string) error {
	id := ServerID{Name: name, Node: n.id}
	if n.server(id) == nil {
		a := n.absent(id)
		return a.error()
	}
	if err := n.RemoveMember(ctx, id, id, MemberOptions{}); err != nil && !errors.Is(err, core.ErrNotMember) {
		return err
	}
	return n.StopServer(ctx, name)
}

// SetMembership changes what a member counts for, and returns when that is committed. Errors: those of AddMember.
func (n *Node) SetMembership(ctx context.Context, to, server ServerID, o MemberOptions) error {
	return n.change(ctx, to, core.ChangeMembership{Change: core.SetMembership, Expected: o.Expected,
		Member: core.Member{Identity: core.Identity{ID: server}, Membership: o.Membership}})
}

func (n *Node) change(ctx context.Context, to ServerID, change core.ChangeMembership) error {
	return n.atLeader(ctx, to, &opChange{change})
}

// TransferLeadership hands leadership to a voter, and returns when it leads. Errors, as causes of a *ProposalError: core's of
// transfers, ErrNoLeader, ctx's.
func (n *Node) TransferLeadership(ctx context.Context, to, target ServerID) error {
	err := n.atLeader(ctx, to, &opTransfer{target})
	if errors.Is(err, core.ErrAlreadyLeader) {
		return nil
	}
	return err
}

// atLeader has the leader perform an operation; what is known not to have happened is tried again until ctx ends.
func (n *Node) atLeader(ctx context.Context, to ServerID, op any) error {
	a := n.insist(ctx, to, func(at ServerID) answer { return n.await(ctx, at, op, 128) }, ifNotApplied)
	return a.error()
}

// TriggerElection has a voter start an election, whatever it believes of its leader. Errors: ErrUnknownServer, ErrStopped,
// ErrUnreachable, ctx's.
func (n *Node) TriggerElection(ctx context.Context, at ServerID) error {
	a := n.await(ctx, at, &opTrigger{}, 0)
	return a.queryError()
}

// DeleteCluster deletes a cluster: its members delete themselves, with their logs, when they have applied that; one that is down
// does so when it comes back and finds the leader. It returns when that is committed. Errors: those of Process.
func (n *Node) DeleteCluster(ctx context.Context, to ServerID) error {
	a := n.insist(ctx, to, func(at ServerID) answer {
		return n.await(ctx, at, &opCommand{ticket{kind: CommandKind(core.KindDelete)}}, 0)
	}, ifNotApplied)
	return a.error()
}

// ForceShrink makes a server the only voter of its cluster, without asking anybody: what only the others had is lost, and they
// are strangers from then on. It is for the loss of a majority. It returns when that is durable. Errors: as causes of a *ProposalError,
// core.ErrRefused when the log takes nothing now, or an earlier call is under way; ErrUnknownServer, ctx's.
func (n *Node) ForceShrink(ctx context.Context, at ServerID) error {
	a := n.await(ctx, at, &opShrink{epoch: n.world.Uint64() | 1}, 0)
	if a.err != nil {
		return a.err
	}
	return nil
}

type opShrink struct{ epoch uint64 }
