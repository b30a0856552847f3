package raft

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// ServerConfig says what a server is, for StartServer.
type ServerConfig struct {
	// Name names the server, once on its node: 1 to core.MaxNameLen bytes.
	Name string
	// Cluster is the name of its cluster, for look-ups. Default: Name.
	Cluster string
	// UID names its log, once in the engine. Default: drawn, with a readable beginning.
	UID core.UID
	// Machine is the registered name of what it runs.
	Machine string
	// InitialVersion is the machine version in force before the first entry. It is the same for all members.
	InitialVersion uint64
	// initial is the configuration of a new cluster; a server without it is to be added to one.
	initial core.Configuration
	inc     core.Incarnation
}

// StartServer makes a server with an empty log, that waits to be added to a cluster by AddMember. It returns when that is
// durable. Errors: ErrExists, ErrUnknownMachine, ErrMachineVersion, core.ErrBadID, ErrClosed, ctx's, and those
// of the engine.
func (n *Node) StartServer(ctx context.Context, c ServerConfig) (ServerID, error) {
	r, err := n.recordOf(c)
	if err != nil {
		return ServerID{}, err
	}
	if err := n.create(ctx, r); err != nil {
		return ServerID{}, err
	}
	return r.id(n.id), nil
}

func (n *Node) recordOf(c ServerConfig) (serverRecord, error) {
	if c.Cluster == "" {
		c.Cluster = c.Name
	}
	if c.UID == "" {
		c.UID = newUID(c.Name)
	}
	if c.inc == 0 {
		c.inc = newIncarnation()
	}
	r := serverRecord{Name: c.Name, UID: c.UID, Cluster: c.Cluster, Machine: c.Machine, Incarnation: c.inc,
		Version: c.InitialVersion, Initial: c.initial}
	switch {
	case r.id(n.id).Validate() != nil:
		return r, r.id(n.id).Validate()
	case r.UID.Validate() != nil:
		return r, r.UID.Validate()
	case r.UID == directoryUID:
		return r, fmt.Errorf("%w: uid %s", ErrExists, r.UID)
	case !validName(r.Cluster):
		return r, malformed("cluster name of %d bytes", len(r.Cluster))
	}
	if _, ok := n.machine(r.Machine); !ok {
		return r, fmt.Errorf("%w: %q", ErrUnknownMachine, r.Machine)
	}
	return r, nil
}

// newUID draws a uid that begins with what of a name may stand in one.
func newUID(name string) core.UID {
	var b [10]byte
	rand.Read(b[:])
	readable := strings.Map(func(c rune) rune {
		if c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			return c
		}
		return -1
	}, name)
	if len(readable) > 64 {
		readable = readable[:64]
	}
	return core.UID(readable + "-" + base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

func newIncarnation() core.Incarnation {
	var b [8]byte
	rand.Read(b[:])
	return core.Incarnation(binary.LittleEndian.Uint64(b[:]) | 1)
}

// create makes log and record, durably, and runs the server.
func (n *Node) create(ctx context.Context, r serverRecord) error {
	if n.closed.Load() {
		return ErrClosed
	}
	n.changing.Lock()
	if _, known := n.dir.get(r.Name); known {
		n.changing.Unlock()
		return fmt.Errorf("%w: server %q", ErrExists, r.Name)
	}
	log, err := n.engine.Create(r.UID)
	if errors.Is(err, engine.ErrExists) {
		err = fmt.Errorf("%w: uid %s: %w", ErrExists, r.UID, err)
	}
	var s *server
	if err == nil {
		if s, err = n.newServer(r, log); err != nil {
			err = errors.Join(err, n.engine.Delete(ctx, r.UID))
		}
	}
	if err == nil {
		n.add(s)
	}
	n.changing.Unlock()
	if err != nil {
		return err
	}
	if err := n.dir.put(ctx, r); err != nil {
		s.stop(err)
		return err
	}
	return nil
}

// add makes a server known, and lets it run.
func (n *Node) add(s *server) {
	n.servers.Store(s.record.Name, s)
	n.clusters.LoadOrStore(s.record.Cluster, s)
	s.applies.recover()
}

// restart runs the servers that were not stopped.
func (n *Node) restart() {
	all := n.dir.all()
	n.restarting.Store(int64(len(all)))
	for _, r := range all {
		n.restarting.Add(-1)
		if r.Stopped {
			continue
		}
		if err := n.run(r); err != nil {
			n.opts.Logger.Error("a server cannot be started", "server", r.Name, "err", err)
		}
	}
}

// run starts the server of a record.
func (n *Node) run(r serverRecord) error {
	log, err := n.engine.Log(r.UID)
	if err != nil {
		return fmt.Errorf("raft: server %q: %w", r.Name, err)
	}
	s, err := n.newServer(r, log)
	if err != nil {
		return err
	}
	n.add(s)
	return nil
}

// RestartServer runs a server again that was stopped, or that failed. Errors: ErrUnknownServer, ErrRunning,
// ErrUnknownMachine, those of its machine's Restore, of the engine, ctx's.
func (n *Node) RestartServer(ctx context.Context, name string) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	r, ok := n.dir.get(name)
	switch {
	case n.closed.Load():
		return ErrClosed
	case !ok:
		return fmt.Errorf("%w: %q", ErrUnknownServer, name)
	}
	if old := n.server(r.id(n.id)); old != nil {
		if old.stopError() == nil {
			return fmt.Errorf("%w: %q", ErrRunning, name)
		}
		if err := old.wait(ctx); err != nil {
			return err
		}
	}
	if r.Stopped {
		r.Stopped = false
		if err := n.dir.put(ctx, r); err != nil {
			return err
		}
	}
	return n.run(r)
}

// StopServer stops a server, also for the node's next lives, until RestartServer. It waits for what the server is
// about; to stop one that is stopped does nothing. Errors: ErrUnknownServer, ctx's, those of the engine.
func (n *Node) StopServer(ctx context.Context, name string) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	r, ok := n.dir.get(name)
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknownServer, name)
	}
	if s := n.server(r.id(n.id)); s != nil {
		s.stop(errStopServer)
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	if r.Stopped {
		return nil
	}
	r.Stopped = true
	return n.dir.put(ctx, r)
}

var errStopServer = errors.New("raft: stopped by request")

// DeleteServer deletes a server with its log, whatever its cluster thinks of it: remove it from there first. Errors:
// ErrUnknownServer, ctx's, those of the engine.
func (n *Node) DeleteServer(ctx context.Context, name string) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	return n.deleteLocked(ctx, name, errStopServer)
}

func (n *Node) deleteLocked(ctx context.Context, name string, why error) error {
	r, ok := n.dir.get(name)
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknownServer, name)
	}
	if s := n.server(r.id(n.id)); s != nil {
		s.stop(why)
		if err := s.wait(ctx); err != nil {
			return err
		}
		n.servers.CompareAndDelete(name, s)
		n.clusters.CompareAndDelete(r.Cluster, s)
	}
	r.Deleted = true
	if err := n.dir.put(ctx, r); err != nil {
		return err
	}
	if err := n.engine.Delete(ctx, r.UID); err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	return nil
}

// wait waits until nothing of a stopped server runs any more.
func (s *server) wait(ctx context.Context) error {
	select {
	case <-s.end.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// serverEnded takes note that a cluster needs a server no longer: it was deleted, or the server removed from
// it. The log of a deleted cluster goes.
func (n *Node) serverEnded(s *server, why core.Ending) {
	if why != core.EndDeleted {
		s.stop(ErrRemoved)
		return
	}
	n.changing.Lock()
	defer n.changing.Unlock()
	if err := n.deleteLocked(n.ctx, s.record.Name, ErrDeleted); err != nil {
		n.opts.Logger.Error("a server of a deleted cluster cannot be deleted", "server", s.id.String(), "err", err)
	}
}

// ErrRemoved is why a server stopped that was removed from its cluster. ErrDeleted is why one did whose cluster was
// deleted.
var (
	ErrRemoved = errors.New("raft: removed from the cluster")
	ErrDeleted = errors.New("raft: cluster was deleted")
)

// stopped ends what a server that stops was to others.
func (n *Node) stopped(s *server, why error) {
	n.forget(s)
	s.endOutgoing(ServerID{})
	if in := s.incoming.Swap(nil); in != nil {
		in.close()
	}
	n.wheel.stop(&s.timers.alarm)
	s.log.SetHandler(nil)
	if v := s.leader.Load(); v.leader == s.id {
		n.resigned(s, v)
	}
	s.pending.drop()
	if !errors.Is(why, ErrClosed) && !errors.Is(why, errStopServer) {
		n.opts.Logger.Error("a server has stopped", "server", s.id.String(), "err", why)
	}
}
