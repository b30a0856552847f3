package transport

import "errors"

var (
	// ErrFull is returned by Send when the outbox has no room for the message. A Ready follows.
	ErrFull = errors.New("transport: outbox is full")
	// ErrTooLarge is returned by Send for a message that would not fit into an empty outbox.
	ErrTooLarge = errors.New("transport: message larger than an outbox")
	// ErrUnreachable is returned by Send when there is no connection and none can be made now.
	ErrUnreachable = errors.New("transport: node cannot be reached")
	// ErrClass is returned for a class that does not exist.
	ErrClass = errors.New("transport: no such class")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("transport: closed")
	// ErrJoined is returned by Join for a node that has joined already.
	ErrJoined = errors.New("transport: node has joined already")
	// ErrNode is returned for an empty name, and for a pair of one node with itself.
	ErrNode = errors.New("transport: no such node")
)
