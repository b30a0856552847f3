package raft

import (
	"sync/atomic"

	"github.com/rawl-db/rawl/raft/core"
)

// Leaderboard is what this node's members of one cluster believe of it. Its methods may be called by any goroutine, and cost
// one atomic load each; nobody is asked. It can be kept: it goes on through restarts of the members, until the node
// has none any more.
type Leaderboard struct {
	view atomic.Pointer[leaderView] // nil while no member runs
}

// Leaderboard returns that of a cluster, by its name. Error: ErrUnknownServer when this node has had no member of it.
func (n *Node) Leaderboard(cluster string) (*Leaderboard, error) {
	if x, ok := n.clusters.Load(cluster); ok {
		return x.(*Leaderboard), nil
	}
	return nil, ErrUnknownServer
}

// Leader is who leads, as far as a member here knows: zero when it knows nobody, or does not run.
func (b *Leaderboard) Leader() ServerID {
	if v := b.view.Load(); v != nil {
		return v.leader
	}
	return ServerID{}
}

// Members are those of the configuration that the member here has; nil when it does not run. The slice must not be changed.
func (b *Leaderboard) Members() []core.Member {
	if v := b.view.Load(); v != nil {
		return v.members
	}
	return nil
}

// Leader returns whom a server here takes for the leader of its cluster, zero when it knows nobody. It costs a look-up and
// an atomic load; a Leaderboard saves the look-up. Error: ErrUnknownServer.
func (n *Node) Leader(name string) (ServerID, error) {
	if s := n.server(ServerID{Name: name, Node: n.id}); s != nil {
		return s.leader.Load().leader, nil
	}
	return ServerID{}, ErrUnknownServer
}

// ClusterLeader is Leader for a cluster's name, of which this node has a member.
func (n *Node) ClusterLeader(cluster string) (ServerID, error) {
	b, err := n.Leaderboard(cluster)
	if err != nil {
		return ServerID{}, err
	}
	return b.Leader(), nil
}

// enter puts a server that is about to run on its cluster's board.
func (n *Node) enter(s *server) {
	x, ok := n.clusters.Load(s.record.Cluster)
	if !ok {
		x, _ = n.clusters.LoadOrStore(s.record.Cluster, &Leaderboard{})
	}
	s.board = x.(*Leaderboard)
	s.board.view.CompareAndSwap(nil, s.leader.Load())
}

// strike removes the board of a server that has stopped, unless another member is on it.
func (n *Node) strike(s *server) {
	if s.board.view.Load() == nil {
		n.clusters.CompareAndDelete(s.record.Cluster, s.board)
	}
}

// show replaces what a server believes. It belongs to whoever runs the mailbox.
func (s *server) show(v *leaderView) {
	s.leader.Store(v)
	if s.board != nil {
		s.board.view.Store(v)
	}
}

// hide takes a server that stops off its cluster's board, unless another member has its view there.
func (s *server) hide(last *leaderView) { s.board.view.CompareAndSwap(last, nil) }
