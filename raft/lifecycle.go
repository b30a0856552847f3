package raft

import (
	"bytes"
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/raft/core"
)

// ServerConfig says what a server is, for StartServer.
type ServerConfig struct {
	// Name names the server, once on its node: 1 to core.MaxNameLen bytes.
	Name string
	// Cluster is the name of its cluster, for look-ups. Default: Name.
	Cluster string
	// System names the system, of its node, that has its log: DefaultSystem if it is empty.
	System string
	// UID names its log, once in the system. Default: drawn, with a readable beginning.
	UID core.UID
	// Machine is the registered name of what it runs.
	Machine string
	// InitialVersion is the machine version in force before the first entry. It is the same for all members.
	InitialVersion uint64
	// Options are what the server has for itself.
	Options ServerOptions
	// initial is the configuration of a new cluster; a server without it is to be added to one.
	initial core.Configuration
	inc     core.Incarnation
}

// StartServer makes a server with an empty log, that waits to be added to a cluster by AddMember. It returns when that is
// durable. Errors: ErrExists, ErrUnknownSystem, ErrUnknownMachine, ErrMachineVersion, core.ErrBadID, ErrClosed, ctx's, and those
// of the engine.
func (n *Node) StartServer(ctx context.Context, c ServerConfig) (ServerID, error) {
	r, err := n.recordOf(c)
	if err != nil {
		return ServerID{}, err
	}
	if err := n.create(ctx, r, c.System); err != nil {
		return ServerID{}, err
	}
	return r.id(n.id), nil
}

func (n *Node) recordOf(c ServerConfig) (*serverRecord, error) {
	if c.Cluster == "" {
		c.Cluster = c.Name
	}
	if c.UID == "" {
		c.UID = newUID(n.world, c.Name)
	}
	if c.inc == 0 {
		c.inc = newIncarnation(n.world)
	}
	r := &serverRecord{Name: c.Name, UID: c.UID, Cluster: c.Cluster, Machine: c.Machine, Incarnation: c.inc,
		Version: c.InitialVersion, Initial: c.initial, Options: c.Options.kept()}
	if err := c.Options.validate(); err != nil {
		return r, err
	}
	switch {
	case r.id(n.id).Validate() != nil:
		return r, r.id(n.id).Validate()
	case r.UID.Validate() != nil:
		return r, fmt.Errorf("%w: %w", core.ErrBadID, r.UID.Validate())
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
func newUID(w *sched.World, name string) core.UID {
	var b [10]byte
	w.Read(b[:])
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

func newIncarnation(w *sched.World) core.Incarnation { return core.Incarnation(w.Uint64() | 1) }

// create makes log and record, durably, and runs the server. When ctx ends before they are durable it is deleted again.
func (n *Node) create(ctx context.Context, r *serverRecord, system string) error {
	y, err := n.system(system)
	if err != nil {
		return err
	}
	unlock, err := n.lockName(ctx, r.Name)
	if err != nil {
		return err
	}
	defer unlock()
	if n.knows(r.Name) {
		return fmt.Errorf("%w: server %q", ErrExists, r.Name)
	}
	if _, unwanted := n.unwanted.Load(r.Incarnation); unwanted {
		return ErrClusterNotFormed
	}
	log, err := y.engine.Create(r.UID)
	if errors.Is(err, engine.ErrExists) {
		err = fmt.Errorf("%w: uid %s: %w", ErrExists, r.UID, err)
	}
	if err != nil {
		return err
	}
	s, err := n.newServer(r, log)
	if err != nil {
		return errors.Join(err, y.engine.Delete(n.ctx, r.UID))
	}
	at, err := y.servers.append(r) // before anything that the server writes
	if err == nil {
		err = n.add(s)
	}
	if err != nil {
		s.discard()
		return errors.Join(err, y.engine.Delete(n.ctx, r.UID))
	}
	if err := y.servers.wait(ctx, at); err != nil {
		n.background(func() {
			if err := n.delete(n.ctx, r.Name, r.Incarnation, errDeleteServer); err != nil && n.ctx.Err() == nil {
				n.opts.Logger.Error("a server that was not wanted any more cannot be deleted", "server", r.Name, "err", err)
			}
		})
		return err
	}
	return nil
}

// add makes a server known, and lets it run. Error: ErrClosed.
func (n *Node) add(s *server) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	if n.closed.Load() {
		return ErrClosed
	}
	n.servers.Store(s.record.Name, s)
	n.enter(s)
	s.applies.recover()
	s.mail.start()
	return nil
}

// lockName keeps others from starting, stopping or deleting a server of that name. Errors: ErrClosed, ctx's.
func (n *Node) lockName(ctx context.Context, name string) (unlock func(), err error) {
	mine := make(chan struct{})
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if n.closed.Load() {
			return nil, ErrClosed
		}
		x, taken := n.names.LoadOrStore(name, mine)
		if !taken {
			return func() {
				n.names.Delete(name)
				close(mine)
			}, nil
		}
		switch _, end := sched.Wait(n.world, x.(chan struct{}), ctx.Done(), n.ctx.Done()); end {
		case sched.Stopped:
			return nil, context.Cause(ctx)
		case sched.StoppedToo:
			return nil, ErrClosed
		}
	}
}

// restart runs the servers that were not stopped.
func (n *Node) restart() {
	lists := make([][]*serverRecord, len(n.systems))
	for i, y := range n.systems {
		lists[i] = y.servers.all()
		n.restarting.Add(int64(len(lists[i])))
	}
	for i, y := range n.systems {
		for _, r := range lists[i] {
			n.restarting.Add(-1)
			if r.Stopped {
				continue
			}
			if err := n.run(r, y, readLater); err != nil {
				n.opts.Logger.Error("a server cannot be started", "server", r.Name, "err", err)
			}
		}
	}
}

// stateReading says when the machine of a server that is started reads the state that it begins with.
type stateReading uint8

const (
	readFirst stateReading = iota // before the server is there: whoever starts it hears what is wrong
	readLater                     // when it is the server's turn, while others start
)

// run starts the server of a record. Why it could not be started is kept.
func (n *Node) run(r *serverRecord, y *system, reading stateReading) error {
	err := n.launch(r, y, reading)
	if err != nil {
		n.failures.Store(r.Name, err)
	} else {
		n.failures.Delete(r.Name)
	}
	return err
}

func (n *Node) launch(r *serverRecord, y *system, reading stateReading) error {
	log, err := y.engine.Log(r.UID)
	if err != nil {
		return fmt.Errorf("raft: server %q: %w", r.Name, err)
	}
	s, err := n.newServer(r, log)
	if err != nil {
		return err
	}
	if reading == readFirst {
		err = s.applies.restore()
	}
	if err == nil {
		err = n.add(s)
	}
	if err != nil {
		s.discard()
	}
	return err
}

// RestartOptions say what changes when a server is run again.
type RestartOptions struct {
	// Cluster, if not empty, is the name of its cluster from now on, for look-ups on this node.
	Cluster string
	// Options, if not nil, take the place of the server's own.
	Options *ServerOptions
}

// apply returns the record of a server that runs again, and reports whether it is another one than before, on disk. Error: ErrMalformed.
func (o *RestartOptions) apply(before *serverRecord) (after *serverRecord, changed bool, err error) {
	r := *before
	if o.Cluster != "" {
		if r.Cluster = o.Cluster; !validName(r.Cluster) {
			return nil, false, malformed("cluster name of %d bytes", len(r.Cluster))
		}
	}
	if o.Options != nil {
		if err := o.Options.validate(); err != nil {
			return nil, false, err
		}
		r.Options = o.Options.kept()
	}
	r.Stopped = false
	return &r, !bytes.Equal(r.marshal(), before.marshal()), nil
}

// RestartServer runs a server again that was stopped, or that failed. What o changes is kept: it holds for later restarts too,
// also when this one fails. Errors: ErrUnknownServer, ErrRunning, ErrMalformed for o, ErrUnknownMachine, those of its
// machine's Restore, of the engine, ErrClosed, ctx's.
func (n *Node) RestartServer(ctx context.Context, name string, o RestartOptions) error {
	unlock, err := n.lockName(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	r, y, ok := n.record(name)
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknownServer, name)
	}
	if old := n.server(r.id(n.id)); old != nil {
		if old.stopError() == nil {
			return fmt.Errorf("%w: %q", ErrRunning, name)
		}
		if err := old.wait(ctx); err != nil {
			return err
		}
		if o.Cluster != "" && o.Cluster != old.record.Cluster {
			n.strike(old)
		}
	}
	r, changed, err := o.apply(r)
	if err == nil && changed {
		err = y.servers.put(ctx, r)
	}
	if err != nil {
		return err
	}
	return n.run(r, y, readFirst)
}

// StopServer stops a server, also for the node's next lives, until RestartServer. It waits for what the server is
// about, and for its recovery checkpoint (NodeOptions.RecoveryInterval); to stop one that is stopped does nothing. Errors: ErrUnknownServer, ctx's, those of the engine.
func (n *Node) StopServer(ctx context.Context, name string) error {
	unlock, err := n.lockName(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	r, y, ok := n.record(name)
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknownServer, name)
	}
	if _, err := n.halt(ctx, r, errStopServer); err != nil {
		return err
	}
	if r.Stopped {
		return nil
	}
	stopped := *r
	stopped.Stopped = true
	return y.servers.put(ctx, &stopped)
}

// halt stops the server of a record and waits until nothing of it runs; nil when there is none.
func (n *Node) halt(ctx context.Context, r *serverRecord, why error) (*server, error) {
	s := n.server(r.id(n.id))
	if s == nil {
		return nil, nil
	}
	s.stop(why)
	return s, s.wait(ctx)
}

// Why a server is stopped by request: to rest, or to be deleted.
var (
	errStopServer   = errors.New("raft: stopped by request")
	errDeleteServer = errors.New("raft: deleted by request")
)

// DeleteServer deletes a server with its log, whatever its cluster thinks of it: remove it from there first. When ctx ends
// while the server is about something, it is stopped and still there; when it ends later, the rest is done all the
// same. Errors: ErrUnknownServer, ErrClosed, ctx's, those of the engine.
func (n *Node) DeleteServer(ctx context.Context, name string) error {
	return n.delete(ctx, name, 0, errDeleteServer)
}

// delete deletes the server of that name and incarnation, 0 for any.
func (n *Node) delete(ctx context.Context, name string, life core.Incarnation, why error) error {
	unlock, err := n.lockName(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	r, y, ok := n.record(name)
	if !ok || life != 0 && life != r.Incarnation {
		return fmt.Errorf("%w: %q", ErrUnknownServer, name)
	}
	s, err := n.halt(ctx, r, why)
	if err != nil {
		return err
	}
	if s != nil {
		n.servers.CompareAndDelete(name, s)
		n.strike(s)
	}
	n.failures.Delete(name)
	deleted := *r
	deleted.Deleted = true
	at, err := y.servers.append(&deleted)
	if err != nil {
		return err
	}
	if err := y.deleteLog(ctx, r); err != nil {
		return err
	}
	return y.servers.wait(ctx, at)
}

// deleteLog deletes the log of a server that is none any more. When ctx ends first it goes on without the caller.
func (y *system) deleteLog(ctx context.Context, r *serverRecord) error {
	n := y.node
	err := y.engine.Delete(ctx, r.UID)
	if err == nil || errors.Is(err, engine.ErrNotFound) {
		return nil
	}
	if ctx.Err() != nil {
		n.background(func() {
			err := y.engine.Delete(n.ctx, r.UID)
			if err != nil && !errors.Is(err, engine.ErrNotFound) && n.ctx.Err() == nil {
				n.opts.Logger.Error("the log of a deleted server is left", "server", r.Name, "err", err)
			}
		})
	}
	return err
}

// serverEnded takes note that a cluster needs a server no longer: it was deleted, or the server removed from
// it. The log of a deleted cluster goes.
func (n *Node) serverEnded(s *server, why core.Ending) {
	if why != core.EndDeleted {
		s.stop(ErrRemoved)
		return
	}
	if err := n.delete(n.ctx, s.record.Name, s.record.Incarnation, ErrDeleted); err != nil && n.ctx.Err() == nil {
		n.opts.Logger.Error("a server of a deleted cluster cannot be deleted", "server", s.id.String(), "err", err)
	}
}

// ErrRemoved is why a server stopped that was removed from its cluster. ErrDeleted is why one did whose cluster was
// deleted.
var (
	ErrRemoved = errors.New("raft: removed from the cluster")
	ErrDeleted = errors.New("raft: cluster was deleted")
)
