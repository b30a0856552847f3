package tcp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/raft/transport"
)

// Transport is one life of a node on the network. It implements transport.Transport.
type Transport[M transport.Message] struct {
	opts        Options
	node        NodeID
	incarnation uint64
	cookie      [sha256.Size]byte
	codec       Codec[M]
	receiver    transport.Receiver[M]
	tls         *identities // nil without TLS
	listener    net.Listener
	stats       counters
	quiet       quiet
	gate        gate

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // goroutines of the transport: all end with ctx
	closed atomic.Bool

	mu struct {
		sync.Mutex
		closed  bool // nothing is begun any more
		peers   map[NodeID]*peer[M]
		waiting map[token]*arrival[M] // main connections whose bulk one is to come
	}
}

// Join makes a node part of the network until Close. incarnation numbers its lives: it rises with each. Errors: those of the
// options, ErrInsecure, ErrBadName, of the listener, of the certificates.
func Join[M transport.Message](o Options, node NodeID, incarnation uint64, c Codec[M], r transport.Receiver[M]) (*Transport[M], error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if node == "" || len(node) > MaxName {
		return nil, fmt.Errorf("%w: %d bytes", ErrBadName, len(node))
	}
	t := &Transport[M]{opts: o, node: node, incarnation: incarnation, cookie: sha256.Sum256([]byte(o.Cookie)), codec: c,
		receiver: r, listener: o.Listener}
	t.mu.peers, t.mu.waiting = make(map[NodeID]*peer[M]), make(map[token]*arrival[M])
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.quiet.logger = o.Logger
	t.gate.limit(o.MaxHandshakes, o.MaxHandshakesPerAddress)
	var err error
	if o.TLS != nil {
		if t.tls, err = o.TLS.open(); err != nil {
			return nil, err
		}
	}
	if t.listener == nil {
		if t.listener, err = net.Listen("tcp", o.Listen); err != nil {
			return nil, fmt.Errorf("tcp: %w", err)
		}
	}
	t.work.Go(t.accept)
	return t, nil
}

// Addr is the address on which the node listens.
func (t *Transport[M]) Addr() net.Addr { return t.listener.Addr() }

// Send implements transport.Transport.
func (t *Transport[M]) Send(to NodeID, class transport.Class, m M) error {
	if t.closed.Load() {
		return transport.ErrClosed
	}
	if class >= transport.Classes {
		return transport.ErrClass
	}
	p, err := t.peer(to)
	if err != nil {
		return transport.ErrUnreachable
	}
	return p.send(class, m)
}

// Close implements transport.Transport.
func (t *Transport[M]) Close() error {
	t.closed.Store(true)
	t.mu.Lock()
	again := t.mu.closed
	t.mu.closed = true
	t.mu.Unlock()
	var err error
	if !again {
		t.cancel()
		err = t.listener.Close()
		for _, p := range t.all() {
			p.close()
		}
	}
	t.work.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// begin runs f as one of the transport's goroutines, unless it is closed.
func (t *Transport[M]) begin(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.closed {
		return false
	}
	t.work.Go(f)
	return true
}

func (t *Transport[M]) all() (list []*peer[M]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.mu.peers {
		list = append(list, p)
	}
	return list
}

// peer returns what is known of a node. Errors: ErrBadName, errCrowded.
func (t *Transport[M]) peer(id NodeID) (*peer[M], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.mu.peers[id]; p != nil {
		return p, nil
	}
	if id == "" || len(id) > MaxName || id == t.node {
		return nil, ErrBadName
	}
	if len(t.mu.peers) >= t.opts.MaxPeers {
		return nil, errCrowded
	}
	p := &peer[M]{t: t, id: id}
	t.mu.peers[id] = p
	return p, nil
}

// accept takes connections until the listener is closed.
func (t *Transport[M]) accept() {
	for pause := time.Duration(0); ; {
		c, err := t.listener.Accept()
		if err == nil {
			pause = 0
			t.admit(c)
			continue
		}
		if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		// Too many open files, for example: it passes.
		t.quiet.warn("", "listen", "no connection is accepted", err)
		pause = min(max(2*pause, t.opts.MinPause), t.opts.MaxPause)
		select {
		case <-time.After(pause):
		case <-t.ctx.Done():
			return
		}
	}
}

// admit begins the handshake of a connection, if there is room for one more that has not proved who it is.
func (t *Transport[M]) admit(c net.Conn) {
	t.stats.accepted.Add(1)
	leave, ok := t.gate.enter(c.RemoteAddr())
	if !ok {
		t.refused(c, errCrowded)
		_ = c.Close()
		return
	}
	begun := t.begin(func() {
		defer leave()
		t.answer(c)
	})
	if !begun {
		leave()
		_ = c.Close()
	}
}
