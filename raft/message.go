package raft

import (
	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport"
)

// machineMessage is what a machine sends to a mailbox of a node, or to the client of a session there.
type machineMessage struct {
	from    ServerID
	name    string // of the mailbox, "" for a session
	session sessionKey
	event   bool
	index   Index // of the entry that asked for it
	data    []byte
}

// sessionKey tells sessions of all clusters apart.
type sessionKey struct {
	cluster core.ClusterID
	id      SessionID
}

// Size implements Packet.
func (m *machineMessage) Size() int { return 80 + len(m.from.Name) + len(m.name) + len(m.data) }

// sendMessage sends a machine's message. What cannot be sent at once is dropped. It runs on the goroutine that
// applies.
func (s *server) sendMessage(e *Effect) {
	s.count(CounterMachineMessages, 1)
	m := &machineMessage{from: s.id, name: e.Name, event: e.Event, index: e.Index, data: e.Data}
	if e.Session != 0 {
		m.session = sessionKey{s.applies.config.Cluster, e.Session}
	}
	if e.Node == s.id.Node {
		s.node.deliver(m)
		return
	}
	if s.node.net.Send(e.Node, transport.Control, m) != nil {
		s.node.droppedMessages.Add(1)
	}
}

// deliver hands a message to its addressee here. Without one it is dropped.
func (n *Node) deliver(m *machineMessage) {
	if m.session.id != 0 {
		if x, ok := n.sessions.Load(m.session); !ok || !x.(*ClientSession).receive(m) {
			n.droppedMessages.Add(1)
		}
		return
	}
	if f, ok := n.mailboxes.get(m.name); ok {
		f(m.from, m.data)
		return
	}
	n.droppedMessages.Add(1)
}
