package raft

import (
	"sync"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// mailbox is what waits for a server. Nobody who puts something in waits: messages beyond the bound are
// dropped, as the network may do, commands are refused, what the log says is coalesced. It implements
// engine.Handler.
type mailbox struct {
	server *server

	mu       sync.Mutex
	running  bool
	closed   bool
	written  bool // something is durable: the log knows what
	ready    bool // the log takes entries again
	inputs   []core.Input
	messages []*raftPacket
	commands []*ticket
	tasks    []task
	bytes    int // of messages and commands
	dropped  uint64
}

// batch is what one turn of the server takes.
type batch struct {
	written, ready bool
	inputs         []core.Input
	messages       []*raftPacket
	commands       []*ticket
	tasks          []task
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
	m.written = true
	m.wakeLocked()
}

// Ready implements engine.Handler.
func (m *mailbox) Ready(*engine.Log) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ready = true
	m.wakeLocked()
}

// put adds an input of the node's own: they are few.
func (m *mailbox) put(in core.Input) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.inputs = append(m.inputs, in)
	m.wakeLocked()
}

// do has the server run f; lost, when it is not nil, hears that it never will. It returns false, and calls
// neither, when the server is stopped already.
func (m *mailbox) do(f, lost func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.tasks = append(m.tasks, task{f, lost})
	m.wakeLocked()
	return true
}

// receive adds a message from a peer, or drops it.
func (m *mailbox) receive(p *raftPacket) {
	size := p.Size()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	if m.bytes+size > m.server.node.opts.MailboxBytes && len(m.messages) > 0 {
		m.dropped++
		return
	}
	m.bytes += size
	m.messages = append(m.messages, p)
	m.wakeLocked()
}

// propose adds a command; false when there is no room.
func (m *mailbox) propose(c *ticket) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.bytes+len(c.data) > m.server.node.opts.MailboxBytes && m.bytes > 0 {
		return false
	}
	m.bytes += len(c.data)
	m.commands = append(m.commands, c)
	m.wakeLocked()
	return true
}

func (m *mailbox) wakeLocked() {
	if !m.running && !m.closed {
		m.running = true
		m.server.node.spawn(m.run)
	}
}

// start lets the mailbox of a new server run.
func (m *mailbox) start() { m.server.node.spawn(m.run) }

// close drops what waits. Callers are answered.
func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	commands, tasks := m.commands, m.tasks
	m.inputs, m.messages, m.commands, m.tasks, m.bytes = nil, nil, nil, nil, 0
	idle := !m.running
	m.mu.Unlock()
	for _, c := range commands {
		c.fail(m.server.stopError(), NotApplied, true)
	}
	for _, t := range tasks {
		if t.lost != nil {
			t.lost()
		}
	}
	if idle {
		m.server.mailEnded()
	}
}

// run takes turns until nothing waits.
func (m *mailbox) run() {
	for {
		m.mu.Lock()
		b := batch{m.written, m.ready, m.inputs, m.messages, m.commands, m.tasks}
		closed := m.closed
		if closed || !b.written && !b.ready && len(b.inputs)+len(b.messages)+len(b.commands)+len(b.tasks) == 0 {
			m.running = false
			m.mu.Unlock()
			if closed {
				m.server.mailEnded()
			}
			return
		}
		m.written, m.ready, m.inputs, m.messages, m.commands, m.tasks, m.bytes = false, false, nil, nil, nil, nil, 0
		m.mu.Unlock()
		m.server.turn(&b)
		m.reuse(&b)
	}
}

// keepSlots is how long a slice may be that an idle server keeps for its next turn.
const keepSlots = 8

// reuse gives the slices of a turn back, when nothing came meanwhile.
func (m *mailbox) reuse(b *batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	if m.messages == nil && cap(b.messages) <= keepSlots {
		clear(b.messages)
		m.messages = b.messages[:0]
	}
	if m.commands == nil && cap(b.commands) <= keepSlots {
		clear(b.commands)
		m.commands = b.commands[:0]
	}
}

// turn carries out what one batch holds: first what is durable, commands last.
func (s *server) turn(b *batch) {
	if b.written {
		if h := s.durableState(); h != s.known {
			s.known = h
			s.step(core.HardStateWritten{State: h})
		}
		s.durable.ID = s.log.LastWritten()
		s.step(&s.durable)
		if s.cursorWaits.Load() {
			s.applies.do(nil)
		}
	}
	if b.ready {
		s.step(core.LogReady{})
	}
	for _, in := range b.inputs {
		s.step(in)
	}
	for _, p := range b.messages {
		s.step(&p.Received)
	}
	for _, t := range b.tasks {
		t.run()
	}
	if len(b.commands) > 0 {
		s.proposeAll(b.commands)
	}
	s.publish()
}

// publish shows the server's figures to whoever looks.
func (s *server) publish() {
	last, written := s.core.Last()
	f := &s.figures
	f.role.Store(uint64(s.core.Role()))
	f.term.Store(uint64(s.core.State().Term))
	f.last.Store(uint64(last.Index))
	f.written.Store(uint64(written.Index))
	f.commit.Store(uint64(s.core.Commit()))
}
