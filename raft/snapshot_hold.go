package raft

import (
	"time"

	"github.com/rawl-db/rawl/raft/core"
	"github.com/rawl-db/rawl/raft/transport"
)

// A transfer that is interrupted goes on where it was as long as whoever leads then has the same snapshot. So while a server sends one
// it tells the other members, from when some of it was taken, and a cursor that is released there with NoSnapshotSends waits, too.

// snapshotHold asks a member to take no snapshot behind at for so long, in the place of what the same server has asked before: that at
// at is on its way to another one, or has been a moment ago. With no time it takes that back.
type snapshotHold struct {
	to    ServerID
	toInc core.Incarnation
	from  ServerID
	at    Index
	left  time.Duration // whole milliseconds on the wire
}

// Size implements Packet.
func (p *snapshotHold) Size() int { return 40 + len(p.to.Name) + len(p.from.Name) }

const (
	// maxHold bounds for how long a request stands, whatever the nodes' timeouts are.
	maxHold = time.Hour
	// looksPerHold is how often within the time of a hold the members are told again.
	looksPerHold = 4
)

// holdTime is for how long a transfer that comes no further is waited for, and an interrupted one.
func (s *server) holdTime() time.Duration {
	return min(s.node.optionsOf(s.record).SnapshotTimeout, maxHold)
}

// holdUntil is when a hold ends that begins now.
func (s *server) holdUntil() int64 { return s.node.now() + int64(s.holdTime()) }

// nextLook is when somebody is to look at the holds again, at the latest.
func (s *server) nextLook() int64 { return s.node.now() + int64(s.holdTime())/looksPerHold }

// lookAtHolds tells the members again, and has a cursor that waits looked at.
func (s *server) lookAtHolds() {
	if s.stopError() != nil {
		return
	}
	now := s.node.now()
	s.outgoing.lookAgain(s.node.wheel, now, s.nextLook())
	if at, left := s.outgoing.telling(now); left > 0 {
		s.tellHold("", at, left)
	}
	s.cursorAgain()
}

// startLooking looks at the holds from now on until there are none.
func (s *server) startLooking() { s.outgoing.beginLooks(s.node.wheel, s.nextLook(), s.lookAtHolds) }

// holdLess is for when a hold has ended; told says that the members know of it. They are told of those that are left.
func (s *server) holdLess(told bool) {
	if told {
		at, left := s.outgoing.telling(s.node.now())
		s.tellHold("", at, left)
	}
	s.cursorAgain()
}

// tellHold tells the members on a node, or with "" all but this.
func (s *server) tellHold(peer NodeID, at Index, left time.Duration) {
	members := s.leader.Load().members
	for i := range members {
		if m := &members[i]; m.ID != s.id && (peer == "" || m.ID.Node == peer) {
			s.node.sendHold(&snapshotHold{to: m.ID, toInc: m.Incarnation, from: s.id, at: at, left: left})
		}
	}
}

// holdOn tells the members on a node that has just been connected.
func (s *server) holdOn(peer NodeID) {
	if at, left := s.outgoing.telling(s.node.now()); left > 0 {
		s.tellHold(peer, at, left)
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
	if s := n.server(p.to); s != nil && s.record.Incarnation == p.toInc {
		s.holdBack(p)
	}
}

// holdBack does what another member asks for. Who is none, as far as this server knows, is not listened to.
func (s *server) holdBack(p *snapshotHold) {
	if !s.leader.Load().has(p.from) {
		return
	}
	s.outgoing.asked(p.from, hold{at: p.at, until: s.node.now() + int64(min(p.left, maxHold))})
	s.startLooking()
	s.cursorAgain()
}

// cursorAgain has whoever applies look at a cursor that waits.
func (s *server) cursorAgain() {
	if s.cursorWaits.Load() {
		s.applies.do(nil)
	}
}
