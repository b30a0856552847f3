package transport

import (
	"sync"
	"sync/atomic"
)

// Endpoint is one life of a node in a Network.
type Endpoint[M Message] struct {
	net      *Network[M]
	node     *node[M]
	receiver Receiver[M]
	closed   atomic.Bool
	calls    sync.WaitGroup // of the receiver; raised under the lock of a pair while node.end is this
}

// Send is Transport.Send.
func (e *Endpoint[M]) Send(to NodeID, class Class, m M) error {
	if e.closed.Load() {
		return ErrClosed
	}
	if class >= Classes {
		return ErrClass
	}
	l := e.net.link(e.node, to)
	if l == nil {
		return ErrUnreachable
	}
	return l.pair.send(l, class, m, e)
}

// Close is Transport.Close. The peers are told that their connections have ended, as far as cuts allow. In stepped mode
// a Receiver may call it.
func (e *Endpoint[M]) Close() error { return e.end(true) }

// Abandon is Close without a word to anybody, as after a loss of power: the peers' connections stay, lead
// nowhere, and end when this node has joined again and somebody sends.
func (e *Endpoint[M]) Abandon() { _ = e.end(false) }

func (e *Endpoint[M]) end(tell bool) error {
	if e.closed.Swap(true) {
		return nil
	}
	e.net.mu.Lock() // until all is done: the next life joins after this one has left
	e.node.end.Store(nil)
	for _, l := range e.node.links {
		l.pair.leave(l.back, tell)
	}
	e.net.mu.Unlock()
	if e.net.agenda == nil {
		e.calls.Wait()
	}
	return nil
}
