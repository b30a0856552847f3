package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport/tcp"
)

const (
	serverName  = "kv" // of the member on each node, and of the cluster
	machineName = "kv"
)

// serverOptions say what a server is. All but TCP, Members and Join must be set.
type serverOptions struct {
	ID      raft.NodeID
	Dir     string
	Network raft.Network
	TCP     *raft.TCP // for its figures, nil when Network is another one
	// Book is what Network finds other nodes by.
	Book *addressBook
	// Own is what is announced of this node.
	Own nodeAddress
	// Members are the nodes of a new cluster, in the same order everywhere: the first of them starts it.
	Members []raft.NodeID
	// Join has a member made that waits to be added to a cluster, when the node has none.
	Join bool
	Log  slog.Handler
}

// server is a node of the cluster and its API.
type server struct {
	opts  serverOptions
	self  raft.ServerID
	began time.Time
	log   *slog.Logger
	event *eventLog
	node  *raft.Node

	// outside says that the node is not a member, or not any more.
	outside  atomic.Bool
	sessions *sessions
	// writes and watchers bound what requests hold in memory: one place for each.
	writes, watchers chan struct{}
	figures          requestFigures

	// draining ends when the server is to stop: watches end then, and nobody is to come any more. life ends when requests are answered: with
	// it the goroutines that background counts.
	draining, life context.Context
	drain, end     context.CancelFunc
	background     sync.WaitGroup
}

const (
	maxWrites   = 256
	maxWatchers = 256
	// walFileBytes is small, for a node that shares a disk with others; the largest command still fits eight times.
	walFileBytes = 16 << 20
)

// openServer opens the node. The cluster is formed, or found, in the background, until close.
func openServer(o serverOptions) (*server, error) {
	s := &server{
		opts: o, self: raft.ServerID{Name: serverName, Node: o.ID}, began: time.Now(), event: newEventLog(o.Log),
		writes: make(chan struct{}, maxWrites), watchers: make(chan struct{}, maxWatchers),
	}
	s.log = slog.New(s.event)
	s.life, s.end = context.WithCancel(context.Background())
	s.draining, s.drain = context.WithCancel(s.life)
	s.sessions = &sessions{server: s}
	node, err := raft.OpenNode(raft.NodeOptions{
		ID: o.ID, Dir: o.Dir, Network: o.Network, Logger: s.log, Engine: engine.Options{WALFileBytes: walFileBytes},
		Machines: map[string]func() raft.Machine{machineName: newStore},
		Queries:  map[string]raft.Query{queryGet: getQuery, queryList: listQuery},
	})
	if err != nil {
		s.end()
		return nil, err
	}
	s.node = node
	if err := node.RegisterQuery(queryStatus, s.statusQuery); err != nil { // needs the node
		return nil, errors.Join(err, s.close(context.Background()))
	}
	s.log.Info("the node is open", "life", node.Overview().Life, "raft", o.Own.Raft, "url", o.Own.URL)
	s.background.Go(s.settle)
	return s, nil
}

// close ends watches, hands leadership over if it can, and stops the node. ctx bounds all of it.
func (s *server) close(ctx context.Context) error {
	s.end()
	s.background.Wait()
	s.handOver(ctx)
	return s.node.Close(ctx)
}

// handOver gives leadership to another voter, so that nobody has to notice that this one is gone.
func (s *server) handOver(ctx context.Context) {
	leader, err := s.node.Leader(serverName)
	if err != nil || leader != s.self {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if to, err := s.successor(ctx, ""); err == nil {
		if err := s.node.TransferLeadership(ctx, s.self, to); err != nil {
			s.log.Warn("leadership was not handed over", "to", to.Node, "err", err)
		}
	}
}

// settle brings the node's member up, announces where it is, and then follows what others announce, and whether it is a member still.
func (s *server) settle() {
	every := time.NewTicker(500 * time.Millisecond)
	defer every.Stop()
	var seen sighting
	formed, announced := false, false
	for round := 1; ; round++ {
		ctx, cancel := context.WithTimeout(s.life, 15*time.Second)
		var err error
		if !formed {
			err = s.form(ctx)
			formed = err == nil
		}
		if formed {
			s.follow(ctx)
			if round%8 == 0 && s.attend(ctx) {
				announced = false // what others knew of a member that was removed is gone
			}
		}
		if formed && !announced {
			err = s.announce(ctx)
			announced = err == nil
		}
		cancel()
		if s.life.Err() != nil {
			return
		}
		seen = s.look(seen)
		if err != nil {
			s.log.Debug("the node is not settled yet", "err", err)
		}
		if errors.Is(err, raft.ErrMustJoin) {
			s.log.Error("the cluster has a member for this node, but this directory is empty: remove the member and start with -join", "err", err)
			return
		}
		select {
		case <-s.life.Done():
			return
		case <-every.C:
		}
	}
}

// attend asks the leader whether this node is a member: one that was removed may not hear of it otherwise. It returns whether
// the node has just been found not to be one.
func (s *server) attend(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	list, _, err := s.node.Members(ctx, s.self)
	if err != nil || len(list) == 0 {
		return false
	}
	out := !slices.ContainsFunc(list, func(m core.Member) bool { return m.ID == s.self })
	before := s.outside.Swap(out)
	if out && !before {
		s.log.Warn("this node is not a member of the cluster")
	}
	return out && !before
}

// sighting is what the log is told of when it changes.
type sighting struct{ leader, disk string }

// look logs what has changed since the last sighting, and returns the present one.
func (s *server) look(last sighting) sighting {
	now := sighting{disk: s.node.Engine().Stats().Health.String()}
	m, err := s.node.KeyMetrics(serverName)
	if now.leader = m.Leader.Node; err == nil && now.leader != last.leader {
		if now.leader == "" {
			s.log.Warn("no leader is known", "term", uint64(m.Term))
		} else {
			s.log.Info("the leader is known", "leader", now.leader, "term", uint64(m.Term))
		}
	}
	if last.disk != "" && now.disk != last.disk {
		s.log.Warn("the state of the disk has changed", "from", last.disk, "to", now.disk)
	}
	return now
}

// errForming says that another node has to begin.
var errForming = errors.New("kv: the cluster is not formed yet")

// form makes sure that the node has a member.
func (s *server) form(ctx context.Context) error {
	if slices.ContainsFunc(s.node.Servers(), func(i raft.ServerInfo) bool { return i.ID == s.self }) {
		return nil
	}
	if s.opts.Join {
		_, err := s.node.StartServer(ctx, raft.ServerConfig{Name: serverName, Machine: machineName})
		return err
	}
	if len(s.opts.Members) == 0 || s.opts.Members[0] != s.opts.ID {
		return errForming // the first one starts this one too
	}
	c := raft.ClusterConfig{Name: serverName, Machine: machineName}
	for _, node := range s.opts.Members {
		c.Members = append(c.Members, raft.ServerID{Name: serverName, Node: node})
	}
	return s.node.StartOrRestart(ctx, c)
}

// follow reads what nodes have announced.
func (s *server) follow(ctx context.Context) {
	list, err := s.node.LocalQuery(ctx, serverName, func(m raft.Machine) (any, error) {
		if st, ok := m.(*store); ok {
			return st.addresses(), nil
		}
		return nil, errQuery
	}, raft.QueryOptions{})
	if err == nil {
		s.opts.Book.learn(list.([]nodeAddress))
	}
}

// announce tells the cluster where this node is, unless it knows. A node that is no member may remember what the cluster forgot.
func (s *server) announce(ctx context.Context) error {
	own := s.opts.Own
	joining := s.opts.Join || s.outside.Load()
	if !joining && s.opts.Book.announced(s.opts.ID) == own {
		return nil
	}
	c := command{Op: opAnnounce, Node: own}
	var to []raft.ServerID
	if joining { // its own member may know nobody yet
		for _, node := range s.opts.Book.others() {
			to = append(to, raft.ServerID{Name: serverName, Node: node})
		}
	}
	err := error(errForming)
	for _, at := range append(to, s.self) {
		attempt, cancel := context.WithTimeout(ctx, 3*time.Second)
		_, err = s.node.Process(attempt, at, c.append(nil), raft.ProcessOptions{})
		if cancel(); err == nil {
			return nil
		}
	}
	return err
}

// tcpStats are the transport's figures.
func (s *server) tcpStats() tcp.Stats {
	if s.opts.TCP == nil {
		return tcp.Stats{}
	}
	return s.opts.TCP.Stats()
}
