package raft

import "github.com/rawl-db/rawl/raft/transport"

// A transfer that is interrupted goes on where it was as long as whoever leads then has the same snapshot. So while a server sends one
// it tells the other members, from when some of it was taken, and a cursor that is released there with NoSnapshotSends waits, too.

// snapshotHold asks a member to take no snapshot behind at for NodeOptions.SnapshotTimeout: that at at is on its way to another one. With
// 0 it may again.
type snapshotHold struct {
	to ServerID
	at Index
}

// Size implements Packet.
func (p *snapshotHold) Size() int { return 32 + len(p.to.Name) }

// holdsPerTimeout is how often a member is asked within the time for which it waits.
const holdsPerTimeout = 4

// hold asks all members, and goes on asking until the transfer is over.
func (o *outgoing) hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.holdLocked()
	}
}

func (o *outgoing) holdLocked() {
	s := o.server
	s.tellHold("", o.meta.ID.Index)
	s.node.wheel.set(&o.holds, s.node.now()+int64(s.node.optionsOf(s.record).SnapshotTimeout)/holdsPerTimeout)
}

// holdOn asks the members on a node that has just been connected.
func (s *server) holdOn(peer NodeID) {
	if s.sending.Load() == 0 {
		return
	}
	for _, o := range s.outgoing.all() {
		o.mu.Lock()
		if o.taken > 0 && !o.closed {
			s.tellHold(peer, o.meta.ID.Index)
		}
		o.mu.Unlock()
	}
}

// tellHold tells the members on a node, or with "" all but this.
func (s *server) tellHold(peer NodeID, at Index) {
	members := s.leader.Load().members
	for i := range members {
		if id := members[i].ID; id != s.id && (peer == "" || id.Node == peer) {
			s.node.sendHold(&snapshotHold{to: id, at: at})
		}
	}
}

func (n *Node) sendHold(p *snapshotHold) {
	if p.to.Node == n.id {
		n.receiveHold(p)
		return
	}
	_ = n.net.Send(p.to.Node, transport.Control, p) // what is lost is told again, or runs out
}

func (n *Node) receiveHold(p *snapshotHold) {
	if s := n.server(p.to); s != nil {
		s.holdBack(p.at)
	}
}

// holdBack has this server take no snapshot behind at for a while, or any again with 0.
func (s *server) holdBack(at Index) {
	timeout := s.node.optionsOf(s.record).SnapshotTimeout
	s.outgoing.hold(at, s.node.now()+int64(timeout))
	if at == 0 {
		s.cursorAgain()
		return
	}
	s.node.wheel.after(timeout, s.cursorAgain)
}

// cursorAgain has whoever applies look at a cursor that waits.
func (s *server) cursorAgain() {
	if s.cursorWaits.Load() {
		s.applies.do(nil)
	}
}
