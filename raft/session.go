package raft

import (
	"bytes"
	"maps"
	"slices"
)

// Bounds of the session table. They are no options: every member must come to the same verdicts.
const (
	// DefaultSessionWindow is the usual Command.Window.
	DefaultSessionWindow = 1024
	// MaxSessionWindow bounds Command.Window.
	MaxSessionWindow = 1 << 14
	// MaxReply bounds the reply to a command, in bytes.
	MaxReply = 1 << 20
	// MaxSessionReplies bounds what one session's commands and their replies count for, in bytes.
	MaxSessionReplies = 4 << 20
	// MaxSessionTable bounds what all sessions of a cluster count for, in bytes. It is an upper bound of
	// the table's encoding, which goes into every snapshot.
	MaxSessionTable = 12 << 20
)

// What a session and a command count for, in bytes: at least what either takes in memory and in the
// encoding, the reply apart.
const (
	sessionCost = 512
	slotCost    = 64
)

// sessionTable is who may be answered from what was applied before: the client sessions of a cluster.
// It changes by committed entries only, in their order, so that it is the same on every
// member; it knows no clock and no randomness. It is not safe for concurrent use: Applier guards it.
type sessionTable struct { // without maps until the first session: most never have one
	sessions map[SessionID]*session
	opened   map[OpenID]SessionID
	owners   map[NodeID]int // sessions of each node that has some
	bytes    int            // what all sessions count for, at most MaxSessionTable
}

// session is one client's numbered commands.
type session struct {
	id          SessionID
	open        OpenID
	owner       NodeID
	incarnation uint64
	window      uint32
	ordered     bool
	activity    Index // the last entry of the session that was applied
	bytes       int
	lanes       [priorities]lane
}

// lane is the commands of one priority.
type lane struct {
	low   uint64 // every lower number is settled: answered, or given up by the client
	slots []slot // ascending; the numbers from low on that were applied
}

// slot is an applied command that the client may ask about again.
type slot struct {
	sequence uint64
	state    slotState
	reply    []byte
}

// slotState is how much of a reply was kept. The numbers are frozen: they stand in snapshots.
type slotState uint8

const (
	slotKept     slotState = 0
	slotTooLarge slotState = 1 // the reply exceeded MaxReply
	slotGone     slotState = 2 // there was no room to keep the reply

	lastSlotState = slotGone
)

func newSessionTable() *sessionTable {
	return &sessionTable{}
}

// open opens a session, or finds the one that an earlier attempt with the same OpenID opened; then
// the command's node becomes its owner, and window and order stay.
func (t *sessionTable) open(at Index, c *Command) (SessionID, ReplyStatus) {
	if id, again := t.opened[c.Open]; again {
		s := t.sessions[id]
		t.renew(s, at, c)
		return id, StatusApplied
	}
	if t.bytes+sessionCost > MaxSessionTable {
		return 0, StatusSessionsFull
	}
	s := &session{id: SessionID(at), open: c.Open, owner: c.Node, incarnation: c.Incarnation, window: c.Window,
		ordered: c.Ordered, activity: at, bytes: sessionCost, lanes: [priorities]lane{{low: 1}, {low: 1}}}
	t.add(s)
	return s.id, StatusApplied
}

func (t *sessionTable) add(s *session) {
	if t.sessions == nil {
		t.sessions, t.opened, t.owners = make(map[SessionID]*session), make(map[OpenID]SessionID), make(map[NodeID]int)
	}
	t.sessions[s.id] = s
	t.opened[s.open] = s.id
	t.owners[s.owner]++
	t.bytes += s.bytes
}

// renew makes the command's node the owner of the session.
func (t *sessionTable) renew(s *session, at Index, c *Command) {
	t.disown(s.owner)
	t.owners[c.Node]++
	s.owner, s.incarnation, s.activity = c.Node, c.Incarnation, at
}

// disown takes one session from a node.
func (t *sessionTable) disown(node NodeID) {
	if t.owners[node]--; t.owners[node] == 0 {
		delete(t.owners, node)
	}
}

// keepAlive notes that the session is in use, by whom, and what its client has given up.
func (t *sessionTable) keepAlive(at Index, c *Command) ReplyStatus {
	s := t.sessions[c.Session.ID]
	if s == nil {
		return StatusSessionExpired
	}
	t.renew(s, at, c)
	for p := range s.lanes {
		t.settle(s, Priority(p), c.Acked[p])
	}
	return StatusApplied
}

// end removes a session and reports whether there was one.
func (t *sessionTable) end(id SessionID) bool {
	s := t.sessions[id]
	if s == nil {
		return false
	}
	delete(t.sessions, id)
	delete(t.opened, s.open)
	t.disown(s.owner)
	t.bytes -= s.bytes
	return true
}

// expire ends the session, or the sessions of the node, that the command names, but for those that were
// active after the leader judged. It returns those that ended, ascending, and whether some of the node were
// spared.
func (t *sessionTable) expire(c *Command) (ended []SessionID, spared bool) {
	if s := t.sessions[c.Session.ID]; s != nil && s.activity <= c.Armed {
		ended = append(ended, s.id)
	}
	if c.Session.ID == 0 {
		for id, s := range t.sessions {
			switch {
			case s.owner != c.Node || s.incarnation > c.Incarnation:
			case s.activity <= c.Armed:
				ended = append(ended, id)
			default:
				spared = true
			}
		}
		slices.Sort(ended)
	}
	for _, id := range ended {
		t.end(id)
	}
	return ended, spared
}

// begin judges a command. StatusApplied means that it is new: the machine has to apply it and finish
// be called, before any other method. Every other status is the answer, but statusDuplicate, to
// which recall has it.
func (t *sessionTable) begin(at Index, h SessionHeader, p Priority) ReplyStatus {
	s := t.sessions[h.ID]
	if s == nil {
		return StatusSessionExpired
	}
	s.activity = at
	t.settle(s, p, h.LowestUnacked)
	if status := s.judge(h, p); status != StatusApplied {
		return status
	}
	if s.bytes+slotCost > MaxSessionReplies || t.bytes+slotCost > MaxSessionTable {
		return StatusSessionsFull
	}
	return StatusApplied
}

// judge says what a command is that comes now, without changing anything.
func (s *session) judge(h SessionHeader, p Priority) ReplyStatus {
	l := &s.lanes[p]
	low := max(l.low, h.LowestUnacked)
	if h.Sequence < low {
		return StatusStale
	}
	if h.Sequence-low >= uint64(s.window) {
		return StatusWindow
	}
	k, found := l.find(h.Sequence)
	if found {
		return statusDuplicate
	}
	if s.ordered {
		settled, _ := l.find(low)
		if uint64(k-settled) != h.Sequence-low {
			return StatusOutOfOrder
		}
	}
	return StatusApplied
}

// recall is the answer to a command that was applied before.
func (t *sessionTable) recall(h SessionHeader, p Priority) (ReplyStatus, []byte) {
	l := &t.sessions[h.ID].lanes[p]
	k, _ := l.find(h.Sequence)
	return l.slots[k].status(), l.slots[k].reply
}

func (s slot) status() ReplyStatus {
	switch s.state {
	case slotTooLarge:
		return StatusReplyTooLarge
	case slotGone:
		return StatusReplyGone
	}
	return StatusApplied
}

// finish notes that the command was applied with this reply, which is copied, and returns what its
// caller is told.
func (t *sessionTable) finish(h SessionHeader, p Priority, reply []byte) ReplyStatus {
	s := t.sessions[h.ID]
	one := slot{sequence: h.Sequence}
	switch {
	case len(reply) > MaxReply:
		one.state = slotTooLarge
	case s.bytes+slotCost+len(reply) > MaxSessionReplies || t.bytes+slotCost+len(reply) > MaxSessionTable:
		one.state = slotGone
	case len(reply) > 0:
		one.reply = bytes.Clone(reply)
	}
	l := &s.lanes[p]
	k, _ := l.find(h.Sequence)
	l.slots = slices.Insert(l.slots, k, one)
	s.bytes += one.cost()
	t.bytes += one.cost()
	if one.state == slotTooLarge {
		return StatusReplyTooLarge
	}
	return StatusApplied
}

func (s slot) cost() int { return slotCost + len(s.reply) }

// find returns where the number is, or belongs, among the applied ones.
func (l *lane) find(sequence uint64) (int, bool) {
	if n := len(l.slots); n == 0 || l.slots[n-1].sequence < sequence {
		return n, false // the usual case: a new number above all others
	}
	return slices.BinarySearchFunc(l.slots, sequence, func(s slot, n uint64) int {
		switch {
		case s.sequence < n:
			return -1
		case s.sequence > n:
			return 1
		}
		return 0
	})
}

// settle lets go of what lies below low.
func (t *sessionTable) settle(s *session, p Priority, low uint64) {
	l := &s.lanes[p]
	if low <= l.low {
		return
	}
	l.low = low
	k, _ := l.find(low)
	freed := l.cost(k)
	clear(l.slots[:k])
	l.slots = l.slots[k:]
	if len(l.slots) == 0 && cap(l.slots) > DefaultSessionWindow {
		l.slots = nil
	}
	s.bytes -= freed
	t.bytes -= freed
}

// cost is what the first k slots count for.
func (l *lane) cost(k int) (n int) {
	for _, s := range l.slots[:k] {
		n += s.cost()
	}
	return n
}

// ids returns the ids of all sessions, ascending.
func (t *sessionTable) ids() []SessionID { return slices.Sorted(maps.Keys(t.sessions)) }
