package raft

import (
	"testing"

	"github.com/rawl-db/rawl/raft/detector"
)

// HostilePackets are bytes that are no packets.
func HostilePackets() (list [][]byte) {
	for _, b := range hostilePackets() {
		if len(b) < 1<<16 {
			list = append(list, b)
		}
	}
	return list
}

// StrayPackets are packets that mean something only to who waits for them, all but requests: from server "kv" to server "kv".
func StrayPackets(t testing.TB) (list [][]byte) {
	for _, b := range goldenPackets(t) {
		if b[0] != wireRequest {
			list = append(list, b)
		}
	}
	return list
}

// PacketCodec is the codec of packets.
type PacketCodec = packetCodec

// Outstanding counts the calls of this node that others are to answer.
func (n *Node) Outstanding() (count int) {
	n.calls.Range(func(_, _ any) bool { count++; return true })
	return count
}

// Waiting counts the queries that wait in a server for an index or for an entry to be applied.
func (n *Node) Waiting(name string) int {
	s := n.server(ServerID{Name: name, Node: n.id})
	count := make(chan int, 1)
	if !s.mail.do(func() { count <- len(s.results) }, func() { count <- 0 }) {
		return 0
	}
	s.applies.mu.Lock()
	waits := len(s.applies.waits)
	s.applies.mu.Unlock()
	return <-count + waits
}

// Heartbeats counts those that this node received.
func (n *Node) Heartbeats() uint64 { return n.detector.Stats().Received }

// Hold keeps a server of this node from running until release is called. What comes meanwhile waits in its mailbox: Held
// counts the messages, and what the node itself told it.
func (n *Node) Hold(name string) (release func()) {
	held, gate := make(chan struct{}), make(chan struct{})
	n.server(ServerID{Name: name, Node: n.id}).mail.do(func() { close(held); <-gate }, func() { close(held) })
	<-held
	return func() { close(gate) }
}

// Held counts what waits for a server: messages, and inputs of the node's own.
func (n *Node) Held(name string) (messages, inputs int) {
	m := &n.server(ServerID{Name: name, Node: n.id}).mail
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.in == nil {
		return 0, 0
	}
	return len(m.in.messages), len(m.in.inputs)
}

// ColdReads are the reads of the default system for followers that lag behind: those that run, and those that wait.
func (n *Node) ColdReads() (running, waiting int) {
	c := &n.systems[0].reads
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running, len(c.waiting)
}

// ColdReaders is how many may run.
const ColdReaders = coldReaders

// Counts reports whether a server has counted anything.
func (n *Node) Counts(name string) bool {
	return n.server(ServerID{Name: name, Node: n.id}).counters.Load() != nil
}

// Unwatched has a server of this node watch another node no longer, until watch is called.
func (n *Node) Unwatched(name string, id NodeID) (watch func()) {
	s := n.server(ServerID{Name: name, Node: n.id})
	n.unwatch(s, id)
	return func() { n.watch(s, id) }
}

// Contact is what the failure detector knows of a node, and whether servers here were told that there is no contact.
func (n *Node) Contact(id NodeID) (known detector.View, lost bool) {
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	return n.detector.Peer(n.now(), id), n.contacts.getLocked(id).down
}

// RefusedTransfers is how many transfers of snapshots to a member have failed in a row for a reason that it, or the snapshot, has.
func (n *Node) RefusedTransfers(to ServerID) int {
	s := n.server(ServerID{Name: to.Name, Node: n.id})
	t := &s.outgoing
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range s.leader.Load().members {
		if m.ID == to && t.transfersOut != nil {
			return t.failed[m.Incarnation]
		}
	}
	return 0
}

// Captures counts the captures and promotions of a server that run, and those that failed and wait for another attempt.
func (n *Node) Captures(name string) (running, again int) {
	q := &n.server(ServerID{Name: name, Node: n.id}).applies
	counted := make(chan struct{})
	count := func() error {
		defer close(counted)
		running = int(q.effects.captures.Load())
		for _, e := range q.effects.waiting().again {
			if e != nil {
				again++
			}
		}
		return nil
	}
	if q.ask(count, func() { close(counted) }) {
		<-counted
	}
	return running, again
}

// HoldsSnapshot reports whether a snapshot behind at would wait for a transfer.
func (n *Node) HoldsSnapshot(name string, at Index) bool {
	return n.server(ServerID{Name: name, Node: n.id}).outgoing.held(at, n.now())
}
