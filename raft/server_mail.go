package raft

import (
	"math"
	"sync"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// mailbox is what waits for a server. Nobody who puts something in waits: messages beyond the bound are
// dropped, as the network may do, commands are refused, what the log says is coalesced. It implements
// engine.Handler.
type mailbox struct {
	server *server

	mu      sync.Mutex
	running bool // or in the run queue
	closed  bool
	slack   uint8 // how many acknowledgements may yet wait for the next turn, if it does not run
	in      *turn // what waits, nil for nothing
	bytes   int   // of messages and commands
	dropped uint64
}

// turn is what a server takes from its mailbox at once, and what it needs while it carries that out. A server at rest
// has none.
type turn struct {
	written  bool // something is durable: the log knows what
	ready    bool // the log may take what it did not
	due      bool // the timers' alarm has rung
	inputs   []posted
	messages []*raftPacket
	commands []*ticket
	tasks    []task
	reads    []*opQuery

	again []core.Input // what the last step's effects brought about at once
	fed   int          // how many of them the core was fed
	// Inputs that are fed by their address. The first is what the last effects sent from memory; it is among again
	// while there is something in it.
	dispatched core.Dispatched
	durable    core.Written
	proposed   core.Proposed
	effects    core.Effects // lent to the core
}

// posted is an input that came behind so many messages of its turn: what is told of a connection's end must not
// overtake what came over it.
type posted struct {
	in     core.Input
	behind int
}

// turns are those that nobody uses.
var turns = sync.Pool{New: func() any { return new(turn) }}

// keepTurn is how long a slice may be that is kept for other turns.
const keepTurn = 1 << 10

// kept is an empty slice in the memory of one that is not used any more.
func kept[T any](list []T) []T {
	if cap(list) > keepTurn {
		return nil
	}
	clear(list)
	return list[:0]
}

// release gives a turn back that is over.
func (t *turn) release() {
	*t = turn{
		reads: kept(t.reads), inputs: kept(t.inputs), messages: kept(t.messages), commands: kept(t.commands), tasks: kept(t.tasks), again: kept(t.again),
		dispatched: core.Dispatched{Sent: kept(t.dispatched.Sent), Failed: kept(t.dispatched.Failed)},
		proposed:   core.Proposed{Proposals: kept(t.proposed.Proposals)},
		effects: core.Effects{Append: kept(t.effects.Append), Messages: kept(t.effects.Messages), Sends: kept(t.effects.Sends),
			Timers: kept(t.effects.Timers), Results: kept(t.effects.Results)},
	}
	turns.Put(t)
}

// task is something for whoever runs the mailbox.
type task struct {
	run  func()
	lost func() // called instead when the server stops before; nil when nobody wants to know
}

// Written implements engine.Handler.
func (m *mailbox) Written(engine.Written) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
	case m.server.cursorWaits.Load():
		m.inLocked().written = true
	default:
		m.laterLocked().written = true
	}
}

// Ready implements engine.Handler.
func (m *mailbox) Ready(*engine.Log) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.inLocked().ready = true
	}
}

// put adds an input of the node's own: they are few.
func (m *mailbox) put(in core.Input) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	t := m.inLocked()
	t.inputs = append(t.inputs, posted{in, len(t.messages)})
}

// do has the server run f; lost, when it is not nil, hears that it never will. It returns false, and calls
// neither, when the server is stopped already.
func (m *mailbox) do(f, lost func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	t := m.inLocked()
	t.tasks = append(t.tasks, task{f, lost})
	return true
}

// receive adds a message from a peer, or drops it; false once the mailbox is closed.
func (m *mailbox) receive(p *raftPacket) (open bool) {
	size := p.Size()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	if m.bytes+size > m.server.node.opts.MailboxBytes && m.in != nil && len(m.in.messages) > 0 {
		m.dropped++
		return true
	}
	m.bytes += size
	var t *turn
	if m.server.acknowledged(&p.Message) {
		t = m.laterLocked()
	} else {
		t = m.inLocked()
	}
	t.messages = append(t.messages, p)
	return true
}

// propose adds a command; false when there is no room.
func (m *mailbox) propose(c *ticket) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.bytes+len(c.data) > m.server.node.opts.MailboxBytes && m.bytes > 0 {
		return false
	}
	m.bytes += len(c.data)
	t := m.inLocked()
	t.commands = append(t.commands, c)
	return true
}

// read adds a consistent query; false when the server is stopped.
func (m *mailbox) read(op *opQuery) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	t := m.inLocked()
	t.reads = append(t.reads, op)
	return true
}

// ring has the server look at its timers. The wheel calls it.
func (m *mailbox) ring() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.inLocked().due = true
	}
}

// inLocked is where something is put for the next turn, which it brings about. The mailbox is not closed.
func (m *mailbox) inLocked() *turn {
	if m.in == nil {
		m.in = turns.Get().(*turn)
	}
	if !m.running {
		m.running = true
		m.server.node.queue.push(m)
	}
	return m.in
}

// laterLocked is inLocked for an acknowledgement. One that cannot be the last that a commit needs waits for the others, or for
// whatever comes next: half of a leader's turns are spared where it has little to do.
func (m *mailbox) laterLocked() *turn {
	if m.running || m.slack == 0 {
		return m.inLocked()
	}
	m.slack--
	if m.in == nil {
		m.in = turns.Get().(*turn)
	}
	return m.in
}

// acknowledged reports whether a message says nothing but what a follower has, in the leader's term or an older one.
func (s *server) acknowledged(m *core.Message) bool {
	b, ok := m.Body.(core.AppendReply)
	return ok && b.Rejected == (EntryID{}) && m.Term <= Term(s.figures.term.Load())
}

// start lets the mailbox of a new server run.
func (m *mailbox) start() { m.server.node.queue.push(m) }

// close drops what waits. Callers are answered.
func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	t := m.in
	m.in, m.bytes = nil, 0
	idle := !m.running
	m.mu.Unlock()
	if t != nil {
		for _, c := range t.commands {
			c.fail(m.server.stopError(), NotApplied, true)
		}
		for _, t := range t.tasks {
			if t.lost != nil {
				t.lost()
			}
		}
		for _, op := range t.reads {
			op.done(failed(m.server.stopError(), NotApplied, true, ServerID{}))
		}
	}
	if idle {
		m.server.mailEnded()
	}
}

// run takes one turn. It reports whether the caller is to run the server's applies: what the turn adds to them waits for
// its end.
func (m *mailbox) run() (applies bool) {
	s, slack := m.server, 0
	if t := m.take(); t != nil {
		s.applies.hold()
		s.turn = t
		s.core.Lend(&t.effects)
		s.take(t)
		s.core.Lend(nil)
		s.turn = nil
		if !s.dead {
			slack = s.core.Slack()
		}
		t.release()
		applies = s.applies.letGo()
	}
	m.mu.Lock()
	m.running, m.slack = !m.closed && m.in != nil, uint8(min(slack, math.MaxUint8))
	if closed := m.closed; m.running {
		s.node.queue.push(m)
		m.mu.Unlock()
	} else if m.mu.Unlock(); closed {
		s.mailEnded()
	}
	return applies
}

// take takes out what waits, nil for nothing.
func (m *mailbox) take() *turn {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.in
	if m.closed {
		return nil
	}
	m.in, m.bytes = nil, 0
	return t
}

// keepSlots is how long a slice may be that an idle server keeps.
const keepSlots = 8

// take carries out what a turn holds: first what is durable, commands last.
func (s *server) take(b *turn) {
	s.countReceived(b.messages)
	if b.written {
		if h := s.durableState(); h != s.known {
			s.known = h
			s.step(core.HardStateWritten{State: h})
		}
		b.durable.ID = s.log.LastWritten()
		s.step(&b.durable)
		s.cursorAgain()
	}
	if b.ready {
		s.logReady()
	}
	from := 0
	for _, p := range b.inputs {
		s.stepAll(b.messages[from:p.behind])
		from = p.behind
		s.step(p.in)
	}
	s.stepAll(b.messages[from:])
	if b.due { // behind what may make it needless
		s.timersDue()
	}
	if len(b.reads) > 0 {
		s.startReads(b.reads)
	}
	for _, t := range b.tasks { // a read may be withdrawn by one
		t.run()
	}
	if len(b.commands) > 0 {
		s.proposeAll(b.commands)
	}
	s.publish()
}

func (s *server) stepAll(messages []*raftPacket) {
	for _, p := range messages {
		s.step(&p.Received)
	}
}

// publish shows the server's figures to whoever looks.
func (s *server) publish() {
	last, written := s.core.Last()
	_, configuration := s.core.Configuration()
	f := &s.figures
	role := s.core.Role()
	s.sample.end(s, s.core.Commit(), role == core.RoleLeader)
	s.role.Store(uint32(role))
	f.term.Store(uint64(s.core.State().Term))
	f.last.Store(uint64(last.Index))
	f.written.Store(uint64(written.Index))
	f.commit.Store(uint64(s.core.Commit()))
	f.configuration.Store(uint64(configuration))
	f.version.Store(s.core.Machine())
}
