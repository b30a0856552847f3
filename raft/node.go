package raft

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/detector"
	"github.com/rawl-db/rawl/raft/transport"
)

// Node hosts servers of any number of clusters, in one system or several: a storage engine each. Its methods may be called by any
// goroutine.
type Node struct {
	opts  NodeOptions
	id    NodeID
	life  uint64 // numbers this life of the node
	world *sched.World

	systems  []*system // the default one first
	detector *detector.Detector
	net      transport.Transport[Packet]
	wheel    *wheel
	queue    *runQueue // of servers
	pace     pace
	callers  callers
	contacts contacts
	ticks    tickList
	watchdog watchdog

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   *sched.Group  // tasks of servers and loops
	serial atomic.Uint64 // of requests and transfers

	machines  registryOf[func() Machine]
	queries   registryOf[Query]
	mailboxes registryOf[func(from ServerID, msg []byte)]

	servers  sync.Map // name → *server
	clusters sync.Map // cluster name → *Leaderboard
	calls    sync.Map // request number → *outstanding
	asked    sync.Map // askedQuery → func(), withdraws it
	sessions sync.Map // sessionKey → *ClientSession, of clients on this node

	figures    nodeFigures
	transfers  transferRate  // of snapshots that go to other nodes
	recoveries chan struct{} // a token for each recovery checkpoint that may be written now
	restores   restoreTurns

	restarting atomic.Int64 // servers that are still to be started again

	changing sync.Mutex // between a server that is added and Close
	names    sync.Map   // name → chan struct{}: a server that is being started, stopped or deleted
	unwanted sync.Map   // Incarnation of members whose cluster was not formed
	failures sync.Map   // name → error, of servers that could not be started
	// rejoining has the names of members whose log is damaged that ask for a new place, or have asked a moment ago.
	rejoining sync.Map
	heard     sync.Map // NodeID → *requestWindow: what other nodes have asked for
	closed    atomic.Bool
	// droppedMessages counts those of machines that found no room or no mailbox.
	droppedMessages atomic.Uint64
}

// registryOf is what users register under names.
type registryOf[T any] struct{ m sync.Map }

func (r *registryOf[T]) get(name string) (v T, ok bool) {
	x, ok := r.m.Load(name)
	if ok {
		v = x.(T)
	}
	return v, ok
}

func (r *registryOf[T]) add(name string, v T) error {
	if !validName(name) {
		return malformed("name of %d bytes", len(name))
	}
	if _, loaded := r.m.LoadOrStore(name, v); loaded {
		return fmt.Errorf("%w: %q", ErrExists, name)
	}
	return nil
}

// OpenNode opens a node's storage, joins the network, and starts again the servers that were not stopped. A server
// that cannot be started does not keep the others from it: Servers says why. Servers vote and replicate at once; what asks for their
// machines waits until those have read the states that they begin with, and applied again what was committed. Errors: those of the options, of the
// engine, of the network, *DirectoryError.
func OpenNode(o NodeOptions) (*Node, error) { return OpenNodeIn(sched.Real(), engine.Open, o) }

// OpenNodeIn is OpenNode in a world, with what opens the engine in it. It is for the simulator: users call OpenNode.
func OpenNodeIn(w *sched.World, open func(dir string, o engine.Options) (*engine.Engine, error), o NodeOptions) (*Node, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	n := &Node{opts: o, id: o.ID, world: w, work: w.Group()}
	n.queue = newRunQueue(n)
	n.transfers.perSecond = o.SnapshotBytesPerSecond
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.wheel = newWheel(w)
	n.ticks.alarm.ring = n.tick
	n.recoveries = make(chan struct{}, recoveryWriters)
	for range recoveryWriters {
		n.recoveries <- struct{}{}
	}
	for name, m := range o.Machines {
		if err := n.RegisterMachine(name, m); err != nil {
			return nil, err
		}
	}
	for name, q := range o.Queries {
		if err := n.RegisterQuery(name, q); err != nil {
			return nil, err
		}
	}
	if err := n.open(open); err != nil {
		return nil, errors.Join(err, n.Close(context.Background()))
	}
	n.restart()
	return n, nil
}

func (n *Node) open(engineOf func(string, engine.Options) (*engine.Engine, error)) (err error) {
	if err := n.openSystems(engineOf); err != nil {
		return err
	}
	if n.life, err = n.systems[0].servers.life(n.ctx, n.clock()); err != nil {
		return err
	}
	if err := n.openContacts(); err != nil {
		return err
	}
	if n.net, err = n.opts.Network.Join(n.id, n.life, (*receiver)(n)); err != nil {
		return err
	}
	n.watchTurns()
	n.spawn(func() { n.wheel.run(n.ctx.Done()) })
	n.spawn(func() { n.detector.Run(n.world, n.ctx.Done()) })
	return nil
}

// Close stops all servers, orderly, each with a recovery checkpoint if it is due one (NodeOptions.RecoveryInterval), and
// closes the engines. What is under way ends with ErrClosed. It waits for machines and for the device, or until ctx ends: the directory stays locked then, and Close may be called again. See engine.Close.
func (n *Node) Close(ctx context.Context) error {
	n.changing.Lock()
	again := n.closed.Swap(true)
	n.changing.Unlock()
	var left error
	if !again {
		left = n.end()
	}
	if err := n.idle(ctx); err != nil {
		return errors.Join(left, err)
	}
	for _, y := range n.systems {
		if y.engine == nil {
			continue // it could not be opened
		}
		if err := y.engine.Close(ctx); !again || !errors.Is(err, engine.ErrClosed) {
			left = errors.Join(left, err)
		}
	}
	return left
}

// end stops servers and loops and leaves the network, without waiting for machines.
func (n *Node) end() error {
	for _, s := range n.all() {
		s.stop(ErrClosed)
	}
	n.queue.close()
	n.endSessions(ErrClosed)
	n.failCalls("", ErrClosed)
	n.cancel()
	if n.net != nil {
		return n.net.Close()
	}
	return nil
}

// idle waits until no goroutine of the node runs, or ctx ends: a machine may hold one for ever.
func (n *Node) idle(ctx context.Context) error {
	if !n.work.Wait(ctx.Done()) {
		return fmt.Errorf("raft: a machine does not return: %w", context.Cause(ctx))
	}
	return nil
}

// ID returns the node's name.
func (n *Node) ID() NodeID { return n.id }

// RegisterMachine makes a machine known under a name, by what makes one in its state before the first command.
// Errors: ErrMalformed for the name, ErrExists.
func (n *Node) RegisterMachine(name string, m func() Machine) error { return n.machines.add(name, m) }

// RegisterQuery makes a query known under a name. Errors: as RegisterMachine.
func (n *Node) RegisterQuery(name string, q Query) error { return n.queries.add(name, q) }

// HandleMessages has f called with the messages that machines send to the mailbox of that name on this node, one
// after the other for each sender. f must not block. Errors: as RegisterMachine.
func (n *Node) HandleMessages(name string, f func(from ServerID, msg []byte)) error {
	return n.mailboxes.add(name, f)
}

func (n *Node) machine(name string) (func() Machine, bool) { return n.machines.get(name) }

// now is a monotonic clock, in nanoseconds.
func (n *Node) now() int64 { return n.world.Now() }

// clock is the time that commands are stamped with.
func (n *Node) clock() int64 { return n.opts.Clock() }

// number is a number that no life of the node has used: what a long life needs of the room of later ones is below the clock.
func (n *Node) number() uint64 { return n.life<<lifeShift + n.serial.Add(1) }

// random draws from 0 to below n.
func (n *Node) random(below int64) int64 { return n.world.Int64N(below) }

// spawn runs f beside the caller; Close waits for it.
func (n *Node) spawn(f func()) {
	n.work.Go(f)
}

// background is spawn for goroutines of callers. A node that is closed, or about to be, runs nothing more: then it
// returns false.
func (n *Node) background(f func()) bool {
	n.changing.Lock()
	defer n.changing.Unlock()
	if n.closed.Load() {
		return false
	}
	n.spawn(f)
	return true
}

// server returns a server of this node.
func (n *Node) server(id ServerID) *server {
	if x, ok := n.servers.Load(id.Name); ok && id.Node == n.id {
		return x.(*server)
	}
	return nil
}

// all returns the servers, in the order of their names.
func (n *Node) all() (list []*server) {
	n.servers.Range(func(_, x any) bool {
		list = append(list, x.(*server))
		return true
	})
	slices.SortFunc(list, byName)
	return list
}

// receiver is the node as its network sees it.
type receiver Node

// Receive implements transport.Receiver.
func (r *receiver) Receive(from NodeID, _ transport.Class, _ uint64, p Packet) {
	n := (*Node)(r)
	switch p := p.(type) {
	case *raftPacket:
		n.receiveRaft(p)
	case *detector.Heartbeat:
		n.detector.Receive(n.now(), p)
	case *beliefs:
		n.receiveBeliefs(from, p)
	case *request:
		n.receiveRequest(from, p)
	case *withdrawal:
		n.receiveWithdrawal(from, p)
	case *response:
		n.receiveResponse(from, p)
	case *snapshotPart:
		if s := n.server(p.to); s != nil && s.record.Incarnation == p.toInc {
			if in := s.incoming.Load(); in != nil && in.accept.Transfer == p.transfer {
				in.put(p)
			}
		}
	case *snapshotReply:
		if s := n.server(p.to); s != nil {
			if o := s.outgoing.get(p.transfer); o != nil {
				n.spawn(func() { o.reply(p) })
			}
		}
	case *snapshotHold:
		n.receiveHold(p)
	case *machineMessage:
		n.deliver(p)
	}
}

// Event implements transport.Receiver.
func (r *receiver) Event(e transport.Event) {
	n := (*Node)(r)
	switch e.Kind {
	case transport.Connected:
		n.linkReset(e.Peer)
	case transport.Disconnected:
		n.linkLost(e.Peer)
	case transport.Ready:
		n.linkReset(e.Peer)
	case transport.Dropped:
		n.failCalls(e.Peer, ErrLost) // requests among them; the log is sent again once there is a connection
	}
}

// receiveRaft hands a message to its server. For one that is not here any more the answer is Gone.
func (n *Node) receiveRaft(p *raftPacket) {
	m := &p.Message
	if s := n.server(m.To); s != nil {
		if taken := s.mail.receive(p); !taken || m.ToInc != s.record.Incarnation {
			n.heardLeader(m)
		}
		return
	}
	if n.knows(m.To.Name) || n.closed.Load() {
		n.heardLeader(m)
		return // stopped
	}
	h := m.Head
	h.From, h.To, h.FromInc, h.ToInc = m.To, m.From, m.ToInc, m.FromInc
	n.sendRaft(newRaftPacket(h, core.Gone{}))
}

// sendRaft sends a message; false when it is dropped.
func (n *Node) sendRaft(p *raftPacket) bool {
	to := p.Message.To.Node
	if to == n.id {
		n.receiveRaft(p)
		return true
	}
	class := transport.Control
	switch p.Message.Body.(type) {
	case core.Append, core.AppendReply:
		class = transport.Log
	}
	return n.net.Send(to, class, p) == nil
}

func (n *Node) sendSnapshot(to NodeID, p Packet) bool {
	return n.net.Send(to, transport.Snapshot, p) == nil
}
