package raft

import (
	"errors"
	"fmt"
	"math"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// The vocabulary of logs, under the names that users write.
type (
	// Index is a position in a log; the first entry is 1, 0 means none.
	Index = raftlog.Index
	// Term numbers leaderships.
	Term = raftlog.Term
	// EntryID is the identity of an entry: term and index.
	EntryID = raftlog.EntryID
	// Entry is one log entry.
	Entry = raftlog.Entry
	// Seq is a set of indexes, kept as ranges.
	Seq = raftlog.Seq
	// NodeID names a node: 1 to MaxName bytes, without meaning here.
	NodeID = string
)

// Bounds of what stands in an entry, in bytes.
const (
	// MaxName bounds the names of nodes, of members and of timers.
	MaxName = 255
	// MaxCommandHeader bounds what AppendCommand puts before the payload of a user's command.
	MaxCommandHeader = commandFixed + 3*maxUvarint + (2 + MaxName + maxUvarint) + (2 + MaxName)
)

// CommandKind says what an entry that the machine's side applies is. It is the entry's Type. The
// numbers are frozen: they stand in logs. Types below FirstCommandKind belong to the core.
type CommandKind uint8

// FirstCommandKind is the lowest entry type that package core leaves to commands.
const FirstCommandKind CommandKind = 16

// The kinds of commands.
const (
	// KindUser carries a payload for Machine.Apply.
	KindUser CommandKind = 16
	// KindSessionOpen opens a client session; the session's id is the entry's index. The answer to an attempt that
	// nobody waits for any more names a session to be closed: the client may have closed another before it came.
	KindSessionOpen CommandKind = 17
	// KindSessionKeepAlive says that a session is in use, and by which node.
	KindSessionKeepAlive CommandKind = 18
	// KindSessionClose ends a session at its client's wish.
	KindSessionClose CommandKind = 19
	// KindSessionExpire ends a session, or those of a node, because their node is gone.
	KindSessionExpire CommandKind = 20
	// KindTimeout says that a timer of the machine ran out.
	KindTimeout CommandKind = 21
	// KindNodeUp says that a monitored node is reachable.
	KindNodeUp CommandKind = 22
	// KindNodeDown says that a monitored node is not.
	KindNodeDown CommandKind = 23
	// KindMachineVersion raises the machine version.
	KindMachineVersion CommandKind = 24

	lastCommandKind = KindMachineVersion
)

// Proposable reports whether a client may propose commands of the kind. All others come from the
// leader itself.
func (k CommandKind) Proposable() bool { return k >= KindUser && k <= KindSessionClose }

// String names the kind.
func (k CommandKind) String() string {
	if k < FirstCommandKind || k > lastCommandKind {
		return fmt.Sprintf("type-%d", uint8(k))
	}
	return [...]string{"user", "session-open", "session-keep-alive", "session-close", "session-expire",
		"timeout", "node-up", "node-down", "machine-version"}[k-FirstCommandKind]
}

// Priority orders commands before they reach the log: the leader appends normal ones at once and
// low ones in what room is left. Order is kept within one priority only.
type Priority uint8

// The priorities.
const (
	Normal Priority = 0
	Low    Priority = 1

	priorities = 2 // as many as Command.Acked has room for
)

// String names the priority.
func (p Priority) String() string {
	switch p {
	case Normal:
		return "normal"
	case Low:
		return "low"
	}
	return fmt.Sprintf("priority-%d", uint8(p))
}

// ReplyMode says which member answers a command.
type ReplyMode uint8

// The reply modes. The numbers are frozen: they stand in logs.
const (
	// NoReply asks for no answer.
	NoReply ReplyMode = 0
	// ReplyFromLeader has the leader answer, when it applies the command.
	ReplyFromLeader ReplyMode = 1
	// ReplyFromLocal has the member on the origin's node answer, so that the caller can read its write
	// there; the leader does when there is none.
	ReplyFromLocal ReplyMode = 2
	// ReplyFromMember has the member on Command.ReplyNode answer; the leader does when there is none. When
	// it is there but down, nobody does, although the command takes effect.
	ReplyFromMember ReplyMode = 3

	lastReplyMode = ReplyFromMember
)

// Origin is whom to answer: request number Request of node Node. It stands in the entry, so that also
// a later leader, or another member, can answer. The zero Origin is none.
type Origin struct {
	Node    NodeID
	Request uint64
}

// SessionID names a client session of one cluster: the index of the entry that opened it. 0 means
// none. It is never used twice.
type SessionID uint64

// SessionHeader numbers a command of a session. The zero header says that the command is of none.
type SessionHeader struct {
	ID SessionID
	// Sequence numbers the session's commands of one priority, from 1 to 2⁶⁴-2.
	Sequence uint64
	// LowestUnacked is the lowest number of this priority whose answer the client lacks and still wants, from 1 to
	// Sequence. With it the client gives up every lower number: what of them was not applied never
	// will be.
	LowestUnacked uint64
}

// OpenID tells the attempts to open one session from the attempts to open another. The client draws
// it at random; not all bytes are zero.
type OpenID [16]byte

// Command is what an entry of the machine's side says. Which fields count depends on Kind; all
// others are zero.
type Command struct {
	Kind CommandKind
	// Time is the leader's clock when it appended the entry, in milliseconds since 1970 (UTC), from
	// 0. StampCommand sets it in an encoded command.
	Time int64
	// Priority is that of what a client proposes (KindUser to KindSessionClose); Normal for all other kinds.
	Priority Priority
	// Reply, Origin and ReplyNode say who answers whom. Only what a client proposes (KindUser to
	// KindSessionClose) is answered. ReplyNode is there with ReplyFromMember only; Origin is not
	// there with NoReply only, and may be absent with ReplyFromLeader: then the leader knows by the
	// index whom to answer.
	Reply     ReplyMode
	Origin    Origin
	ReplyNode NodeID

	// Session belongs to KindUser, where it may be zero. For the kinds that keep alive, close and expire its
	// ID alone counts.
	Session SessionHeader
	// Payload of KindUser may be empty. A decoded one aliases the entry's data.
	Payload []byte

	// Open, Window and Ordered belong to KindSessionOpen. Window is how many numbers of a priority,
	// from the lowest unacknowledged on, may be in use: 1 to MaxSessionWindow. Ordered has a command applied
	// only when all lower numbers in the window are.
	Open    OpenID
	Window  uint32
	Ordered bool

	// Acked belongs to KindSessionKeepAlive: per priority the lowest number whose answer the client
	// lacks and still wants, like SessionHeader.LowestUnacked; 0 gives up nothing.
	Acked [2]uint64

	// Node is the session's owner (KindSessionOpen, KindSessionKeepAlive), the node that is up or
	// down, or in KindSessionExpire the node whose sessions end when Session.ID is 0.
	Node NodeID
	// Incarnation is that of Node. KindSessionExpire ends sessions of that or an earlier one.
	Incarnation uint64
	// Armed is the index of the entry that gave rise to this command: the one whose effect set the timer or the
	// monitor. For KindSessionExpire it is the highest index that the leader had applied when it judged:
	// a session that was active later stays.
	Armed Index
	// Timer is the name of the timer that ran out.
	Timer string
	// Version is the machine version from this entry on.
	Version uint64
}

// ErrMalformed is wrapped by every error that says that bytes from a log, a snapshot or the wire, or a command to
// encode, are not well formed.
var ErrMalformed = errors.New("raft: malformed")

// ErrUnknownFormat means that bytes were written by a newer format, or that an entry is of a kind
// that this code does not know. Nothing is wrong with them.
var ErrUnknownFormat = errors.New("raft: unknown format version or kind")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// validate refuses what has no encoding, or more than one meaning.
func (c *Command) validate() error {
	if c.Kind < FirstCommandKind || c.Kind > lastCommandKind {
		return fmt.Errorf("%w: %v", ErrUnknownFormat, c.Kind)
	}
	if c.Time < 0 {
		return malformed("time %d is negative", c.Time)
	}
	if c.Priority >= priorities {
		return malformed("priority %d", c.Priority)
	}
	if err := c.validateReply(); err != nil {
		return err
	}
	if !c.Kind.Proposable() && (c.Priority != Normal || c.Reply != NoReply) {
		return malformed("%v with a priority or a reply", c.Kind)
	}
	return c.validateBody()
}

func (c *Command) validateReply() error {
	switch {
	case c.Reply > lastReplyMode:
		return malformed("reply mode %d", c.Reply)
	case c.Reply == NoReply && c.Origin != (Origin{}):
		return malformed("an origin without a reply")
	case c.Reply > ReplyFromLeader && c.Origin == (Origin{}):
		return malformed("a reply by a member without an origin")
	case c.Origin != (Origin{}) && !validName(c.Origin.Node):
		return malformed("origin node of %d bytes", len(c.Origin.Node))
	case c.Reply == ReplyFromMember && !validName(c.ReplyNode):
		return malformed("replying node of %d bytes", len(c.ReplyNode))
	case c.Reply != ReplyFromMember && c.ReplyNode != "":
		return malformed("a replying node without its reply mode")
	}
	return nil
}

func (c *Command) validateBody() error {
	switch c.Kind {
	case KindUser:
		return c.Session.validate()
	case KindSessionOpen:
		return c.validateOpen()
	case KindSessionKeepAlive:
		if c.Session.ID == 0 || !validName(c.Node) {
			return malformed("keep-alive of session %d by a node of %d bytes", c.Session.ID, len(c.Node))
		}
	case KindSessionClose:
		if c.Session.ID == 0 {
			return malformed("close of no session")
		}
	case KindSessionExpire:
		if (c.Session.ID == 0) != (c.Node != "") || len(c.Node) > MaxName || c.Node == "" && c.Incarnation != 0 {
			return malformed("expiry of session %d and a node of %d bytes", c.Session.ID, len(c.Node))
		}
	case KindTimeout:
		if !validName(c.Timer) {
			return malformed("timer name of %d bytes", len(c.Timer))
		}
	case KindNodeUp, KindNodeDown:
		if !validName(c.Node) {
			return malformed("node of %d bytes", len(c.Node))
		}
	}
	return nil
}

func (c *Command) validateOpen() error {
	switch {
	case c.Open == (OpenID{}):
		return malformed("open id of zeros")
	case c.Window < 1 || c.Window > MaxSessionWindow:
		return malformed("session window %d, want 1 to %d", c.Window, MaxSessionWindow)
	case !validName(c.Node):
		return malformed("session owner of %d bytes", len(c.Node))
	}
	return nil
}

func (h SessionHeader) validate() error {
	if h == (SessionHeader{}) {
		return nil
	}
	if h.ID == 0 || h.LowestUnacked == 0 || h.LowestUnacked > h.Sequence || h.Sequence == math.MaxUint64 {
		return malformed("session %d, number %d, lowest unacknowledged %d", h.ID, h.Sequence, h.LowestUnacked)
	}
	return nil
}

func validName(s string) bool { return s != "" && len(s) <= MaxName }
