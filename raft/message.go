package raft

import "github.com/rawl-db/rawl/raft/transport"

// machineMessage is what a machine sends to a mailbox of a node.
type machineMessage struct {
	from ServerID
	name string
	data []byte
}

// Size implements Packet.
func (m *machineMessage) Size() int { return 48 + len(m.from.Name) + len(m.name) + len(m.data) }

// sessionMailbox is the mailbox of a session's client on its node.
func sessionMailbox(cluster string, id SessionID) string {
	return "session " + cluster + " " + formatSession(id)
}

func formatSession(id SessionID) string {
	const digits = "0123456789abcdef"
	var b [16]byte
	for i := range b {
		b[15-i] = digits[id>>(4*i)&15]
	}
	return string(b[:])
}

// sendMessage sends a machine's message. What cannot be sent at once is dropped.
func (s *server) sendMessage(e *Effect) {
	m := &machineMessage{from: s.id, name: e.Name, data: e.Data}
	if e.Session != 0 {
		m.name = sessionMailbox(s.record.Cluster, e.Session)
	}
	if e.Node == s.id.Node {
		s.node.deliver(m)
		return
	}
	if s.node.net.Send(e.Node, transport.Control, m) != nil {
		s.node.droppedMessages.Add(1)
	}
}

// deliver hands a message to its mailbox here. Without one it is dropped.
func (n *Node) deliver(m *machineMessage) {
	if f, ok := n.mailboxes.get(m.name); ok {
		f(m.from, m.data)
		return
	}
	n.droppedMessages.Add(1)
}
