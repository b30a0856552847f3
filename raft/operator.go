package raft

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// MemberInfo is what the leader knows of a member.
type MemberInfo struct {
	core.Member
	// Leader says that it is the leader itself: then Match is what is durable, Next follows the last entry.
	Leader bool
	// Next is the entry to be sent next, Match the newest that is known to be durable there, Commit the commit index that it
	// acknowledged.
	Next, Match, Commit Index
	// Mode is how it is sent entries: "probe", "stream" or "snapshot"; "gone" when its node has no such server, because it was
	// deleted there, or the disk was lost; "" for the leader.
	Mode string
}

// MembersInfo returns how far each member is, as the leader knows it. to is any member. Errors: those of Members.
func (n *Node) MembersInfo(ctx context.Context, to ServerID) ([]MemberInfo, error) {
	a := n.insist(ctx, to, func(at ServerID) answer { return n.await(ctx, at, &opProgress{}, 0) }, ifRetriable)
	if err := a.queryError(); err != nil {
		return nil, err
	}
	return valueOf[[]MemberInfo](&a)
}

// progress answers MembersInfo.
func (s *server) progress(done func(answer)) {
	if s.core.Role() != core.RoleLeader {
		done(failed(ErrNotLeader, NotApplied, true, s.core.Leader()))
		return
	}
	peers := make(map[ServerID]core.Progress)
	for _, p := range s.core.Progress() {
		peers[p.ID] = p
	}
	last, written := s.core.Last()
	c, _ := s.core.Configuration()
	var list []MemberInfo
	for _, m := range c.Members {
		if m.ID == s.id {
			list = append(list, MemberInfo{Member: m, Leader: true, Next: last.Index + 1, Match: written.Index, Commit: s.core.Commit()})
			continue
		}
		p := peers[m.ID]
		list = append(list, MemberInfo{Member: m, Next: p.Next, Match: p.Match, Commit: p.Commit, Mode: p.Mode})
	}
	done(answer{any: list, leader: s.id})
}

// InitialMembers returns the members that the cluster of a server of this node began with, none for a server that
// was added to one. Error: ErrUnknownServer.
func (n *Node) InitialMembers(name string) ([]core.Member, error) {
	r, _, ok := n.record(name)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownServer, name)
	}
	return append([]core.Member(nil), r.Initial.Members...), nil
}

// TriggerCompaction gives back the space of entries that a server of this node has released, and waits for it. Errors:
// ErrUnknownServer, those of engine.Log.Compact.
func (n *Node) TriggerCompaction(ctx context.Context, name string) error {
	s := n.server(ServerID{Name: name, Node: n.id})
	if s == nil {
		return fmt.Errorf("%w: %q", ErrUnknownServer, name)
	}
	return s.log.Compact(ctx)
}

// ReadEntries reads the users' commands that stand at some indexes of a server's log on this node, ascending, on the
// caller's goroutine: neither the server nor its machine waits. Indexes without a user's command are left out; entries above
// the commit index may yet be replaced. Errors: ErrUnknownServer, those of engine.Log.Plan and of its execution, ctx's.
func (n *Node) ReadEntries(ctx context.Context, name string, indexes Seq) ([]LoggedCommand, error) {
	s := n.server(ServerID{Name: name, Node: n.id})
	if s == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownServer, name)
	}
	plan, err := s.log.Plan(indexes.All(), engine.PlanOptions{OmitMissing: true})
	if err != nil {
		return nil, err
	}
	defer plan.Close()
	var commands []LoggedCommand
	for e, err := range plan.Execute(ctx) {
		if err != nil {
			return nil, err
		}
		if CommandKind(e.Type) != KindUser {
			continue
		}
		c, err := DecodeCommand(CommandKind(e.Type), clone(e.Data))
		if err != nil {
			return nil, fmt.Errorf("entry %v: %w", e.ID(), err)
		}
		commands = append(commands, LoggedCommand{ID: e.ID(), Time: c.Time, Data: c.Payload})
	}
	slices.SortFunc(commands, func(a, b LoggedCommand) int { return cmp.Compare(a.ID.Index, b.ID.Index) })
	return commands, nil
}

// ServerOverview returns everything that a member says of itself, and its machine when it is an Overviewer, under
// "machine". The keys may change between versions. From another node come values of the types nil, bool, int, uint64,
// float64, string, EntryID, []core.Member, []any and map[string]any as they are, others as encoding/json would write them; what exceeds
// 4,096 values, 16 levels or 1 MiB is replaced by a text. Errors: ErrUnknownServer, ErrStopped, ErrUnreachable, ctx's.
func (n *Node) ServerOverview(ctx context.Context, at ServerID) (map[string]any, error) {
	a := n.await(ctx, at, &opOverview{}, 0)
	if err := a.queryError(); err != nil {
		return nil, err
	}
	return valueOf[map[string]any](&a)
}

// overviewOf answers ServerOverview. The machine is asked where it is applied.
func (s *server) overviewOf(done func(answer)) {
	view := s.overview()
	leader := s.core.Leader()
	lost := func() { done(failed(s.stopError(), NotApplied, true, ServerID{})) }
	ok := s.applies.ask(func() error {
		of, err := s.applies.machine().Overview()
		if of != nil {
			view["machine"] = of
		}
		if err != nil {
			view["machine"] = err.Error()
		}
		sessions, bytes := s.applies.machine().Sessions()
		view["sessions"], view["session_bytes"] = sessions, bytes
		done(answer{any: view, leader: leader})
		return nil
	}, lost)
	if !ok {
		lost()
	}
}
