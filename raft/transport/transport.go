package transport

import "fmt"

// NodeID names a node for all its lives.
type NodeID = string

// Message is anything that a transport carries.
type Message interface {
	// Size returns the bytes that the message counts against an outbox. It is at least 0, does not change, and
	// is called by the sender.
	Size() int
}

// Class divides messages by what they may wait for. Each has its own outbox and order.
type Class uint8

// The classes.
const (
	// Control is for votes, heartbeats and reads.
	Control Class = iota
	// Log is for entries and their replies.
	Log
	// Snapshot is for chunks of snapshots and their replies.
	Snapshot

	// Classes is the number of classes.
	Classes = 3
)

// String names the class.
func (c Class) String() string {
	switch c {
	case Control:
		return "control"
	case Log:
		return "log"
	case Snapshot:
		return "snapshot"
	}
	return fmt.Sprintf("Class(%d)", uint8(c))
}

// EventKind says what an Event reports.
type EventKind uint8

// The events.
const (
	// Connected reports a new connection with Peer. Messages sent in earlier epochs may be lost.
	Connected EventKind = iota + 1
	// Disconnected reports that the connection has ended; nothing of its epoch will arrive.
	Disconnected
	// Ready reports that the outbox of Class to Peer, which had refused a message, has room again. Epoch is 0.
	Ready
	// Dropped reports that messages to Peer which Send had taken are lost, as no connection came about. Epoch is 0.
	Dropped
)

// String names the kind.
func (k EventKind) String() string {
	switch k {
	case Connected:
		return "connected"
	case Disconnected:
		return "disconnected"
	case Ready:
		return "ready"
	case Dropped:
		return "dropped"
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// Event tells a node about its connection with another.
type Event struct {
	Kind  EventKind
	Peer  NodeID
	Epoch uint64 // the connection's number; the first of a pair is 1
	Class Class  // of Ready
}

// Receiver is a node's end. Calls about one peer come one after another; those about different peers may come at
// the same time. A call that blocks holds up what comes from that peer, nothing else.
type Receiver[M Message] interface {
	// Receive takes a message. It may keep it, and must not change it.
	Receive(from NodeID, class Class, epoch uint64, m M)
	// Event takes what is told about the connection with a peer.
	Event(Event)
}

// Transport is how a node sends. Any goroutine may call it, from a Receiver's methods too, Close excepted.
type Transport[M Message] interface {
	// Send puts a message into an outbox. It never blocks and never calls a Receiver. An error means that the message
	// is dropped: ErrFull, ErrTooLarge, ErrUnreachable, ErrClass, ErrClosed. No error means that it will arrive unless
	// its connection ends first, or none comes about.
	Send(to NodeID, class Class, m M) error
	// Close ends all connections and waits for calls of the Receiver that have begun or are about to; there are none
	// after it. Send returns ErrClosed from then on. A second Close does nothing.
	Close() error
}
