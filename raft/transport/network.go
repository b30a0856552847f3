package transport

import (
	"sync"
	"sync/atomic"
)

// Network joins nodes of one process. Its methods may be called by any goroutine in production mode, by one at a
// time in stepped mode; none but Close waits for a Receiver.
type Network[M Message] struct {
	opts   Options
	agenda *agenda[M]     // nil in production mode
	drains sync.WaitGroup // goroutines that deliver
	mu     struct {       // ordered before pair.mu
		sync.Mutex
		nodes  map[NodeID]*node[M] // never iterated
		order  []*node[M]          // the same, by their first mention
		pairs  []*pair[M]          // by their first mention
		rule   *Rule               // of links to come
		closed bool
	}
}

// node is a name in the network and all that is kept of it between its lives.
type node[M Message] struct {
	id     NodeID
	end    atomic.Pointer[Endpoint[M]] // the present life, nil between lives
	paused atomic.Bool
	out    sync.Map   // NodeID → *link[M]: links to others, for look-ups only
	links  []*link[M] // the same, by their first mention; guarded by Network.mu
}

// New returns a network without nodes. Its error joins all violations of the options.
func New[M Message](o Options) (*Network[M], error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	n := &Network[M]{opts: o}
	if o.Stepped {
		n.agenda = newAgenda[M](o.Seed)
	}
	n.mu.nodes = make(map[NodeID]*node[M])
	n.mu.rule = &Rule{}
	return n, nil
}

// Join begins a life of a node, which ends with the Close or Abandon of what is returned. Errors: ErrJoined, ErrNode
// for an empty name, ErrClosed.
func (n *Network[M]) Join(id NodeID, r Receiver[M]) (*Endpoint[M], error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed {
		return nil, ErrClosed
	}
	if id == "" {
		return nil, ErrNode
	}
	v := n.nodeLocked(id)
	if v.end.Load() != nil {
		return nil, ErrJoined
	}
	for _, l := range v.links {
		l.pair.revive(l.back)
	}
	e := &Endpoint[M]{net: n, node: v, receiver: r}
	v.end.Store(e)
	return e, nil
}

// Close closes all nodes and waits for every call of a Receiver, as Endpoint.Close does.
func (n *Network[M]) Close() error {
	n.mu.Lock()
	n.mu.closed = true
	order := n.mu.order
	n.mu.Unlock()
	for _, v := range order {
		if e := v.end.Load(); e != nil {
			_ = e.Close() // it has no errors
		}
	}
	n.mu.Lock()
	pairs := n.mu.pairs
	n.mu.Unlock()
	for _, p := range pairs {
		p.close()
	}
	if n.agenda == nil {
		n.drains.Wait()
	}
	return nil
}

func (n *Network[M]) nodeLocked(id NodeID) *node[M] {
	v := n.mu.nodes[id]
	if v == nil {
		v = &node[M]{id: id}
		n.mu.nodes[id] = v
		n.mu.order = append(n.mu.order, v)
	}
	return v
}

// linkLocked returns the link from one node to another, and makes it and the one back if there is none.
func (n *Network[M]) linkLocked(from, to NodeID) (*link[M], error) {
	if from == "" || to == "" || from == to {
		return nil, ErrNode
	}
	a, b := n.nodeLocked(from), n.nodeLocked(to)
	if l, ok := a.out.Load(to); ok {
		return l.(*link[M]), nil
	}
	p := newPair(n, a, b)
	n.mu.pairs = append(n.mu.pairs, p)
	for _, l := range p.ends {
		l.from.links = append(l.from.links, l)
		l.from.out.Store(l.to.id, l)
	}
	return p.ends[0], nil
}

// link returns the link for a Send, nil if the other node was never heard of.
func (n *Network[M]) link(from *node[M], to NodeID) *link[M] {
	if l, ok := from.out.Load(to); ok {
		return l.(*link[M])
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.nodes[to] == nil || n.mu.closed {
		return nil
	}
	l, err := n.linkLocked(from.id, to)
	if err != nil {
		return nil
	}
	return l
}
