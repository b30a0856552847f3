package transport

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"
)

// pair is two nodes and what is between them: at most one connection, and two links.
type pair[M Message] struct {
	net  *Network[M]
	ends [2]*link[M]

	mu     sync.Mutex // guards all below, and the links
	epoch  uint64     // of the newest connection
	open   bool       // it has not ended
	order  uint64     // of the newest item
	closed bool
	stats  Stats
}

// link is one direction of a pair.
type link[M Message] struct {
	pair     *pair[M]
	from, to *node[M]
	back     *link[M]
	lanes    [Classes]lane[M]

	// Guarded by pair.mu.
	random *rand.Rand
	cut    cut
	// Until when the wire has something to do where a rule bounds it, and until when that is of Control.
	busy, ahead int64
	torn        uint64 // newest epoch of which messages were lost to a cut or a dead end; no later ones of it arrive
	// What the receiver has been told: the newest epoch, and whether that connection is up.
	told  uint64
	up    bool
	since uint64 // items up to this order are for an earlier life of the receiver
	// Production mode: a goroutine delivers once there is something; while it rests a timer may be set for timerAt.
	started bool
	running bool
	wake    sync.Cond // of pair.mu: running was set, or the network is closed
	timer   *time.Timer
	timerAt int64
}

// lane is one class of a link: an outbox, and the way from there.
type lane[M Message] struct {
	link   *link[M]
	class  Class
	rule   *Rule
	queue  queue[M]
	bytes  int   // in the outbox, of the present epoch
	wanted bool  // a message was refused and no Ready given since
	coming bool  // a Ready is on its way
	last   int64 // when the last message of this epoch is due that keeps its place
	place  place // in the agenda
}

func newPair[M Message](n *Network[M], a, b *node[M]) *pair[M] {
	p := &pair[M]{net: n}
	there, back := &link[M]{pair: p, from: a, to: b}, &link[M]{pair: p, from: b, to: a}
	there.back, back.back = back, there
	there.wake.L, back.wake.L = &p.mu, &p.mu
	p.ends = [2]*link[M]{there, back}
	for _, l := range p.ends {
		h := fnv.New64a()
		h.Write([]byte(l.from.id + "\x00" + l.to.id))
		l.random = rand.New(rand.NewPCG(n.opts.Seed, h.Sum64()))
		for c := range l.lanes {
			l.lanes[c] = lane[M]{link: l, class: Class(c), rule: n.mu.rule}
		}
	}
	return p
}

// send takes a message of a living endpoint into a link.
func (p *pair[M]) send(l *link[M], class Class, m M, e *Endpoint[M]) error {
	size := m.Size()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || l.from.end.Load() != e {
		return ErrClosed
	}
	a := &l.lanes[class]
	bound := p.net.opts.Outbox[class]
	if size > bound {
		p.stats.Refused++
		return ErrTooLarge
	}
	now := p.now(a)
	cut := l.cut.at(now)
	if p.open && !cut && l.torn == p.epoch && l.to.end.Load() != nil {
		p.disconnect(p.net.opts.Now())
	}
	if !p.open && !p.connect(p.net.opts.Now()) {
		p.stats.Refused++
		return ErrUnreachable
	}
	if a.bytes+size > bound {
		a.wanted = true
		p.stats.Refused++
		return ErrFull
	}
	p.stats.Sent++
	if cut || l.to.end.Load() == nil {
		l.torn = p.epoch
		p.stats.Cut++
		return nil
	}
	p.travel(a, now, item[M]{epoch: p.epoch, size: size, kind: message, m: m})
	return nil
}

// now returns the time for a message that is sent, 0 where none depends on it: in production mode, a message that
// travels no time is due at once. Asking a clock costs as much as the rest of a send.
func (p *pair[M]) now(a *lane[M]) int64 {
	if p.net.agenda == nil && a.link.cut.down == 0 && *a.rule == (Rule{}) {
		return 0
	}
	return p.net.opts.Now()
}

// travel lets a message meet the rule of its lane.
func (p *pair[M]) travel(a *lane[M], now int64, it item[M]) {
	r, random := a.rule, a.link.random
	if happens(random, r.Loss) {
		p.stats.Lost++
		return
	}
	a.bytes += it.size
	it.at = a.link.leaves(r, a.class, now, it.size) + r.delay(random)
	moved := happens(random, r.Reorder)
	if !moved {
		it.at = max(it.at, a.last)
		a.last = it.at
	}
	p.push(a, now, it, moved)
	if happens(random, r.Duplicate) {
		p.stats.Duplicated++
		it.at += r.delay(random)
		it.size = 0
		p.push(a, now, it, false)
	}
}

// push puts an item on its way.
func (p *pair[M]) push(a *lane[M], now int64, it item[M], first bool) {
	p.order++
	it.order = p.order
	a.queue.push(it, first)
	p.schedule(a, now)
}

// connect makes a connection if both directions carry and both ends live.
func (p *pair[M]) connect(now int64) bool {
	for _, l := range p.ends {
		if l.cut.at(now) || l.to.end.Load() == nil {
			return false
		}
	}
	p.epoch++
	p.open = true
	p.stats.Connections++
	for _, l := range p.ends {
		l.busy, l.ahead = 0, 0
		for c := range l.lanes {
			a := &l.lanes[c]
			a.bytes, a.last = 0, 0
			// What the last epoch has left may yet arrive; one more would let a paused node's queue grow for ever.
			p.stats.Stale += a.queue.drop(p.epoch - 1)
			p.schedule(a, now)
		}
		p.signal(l, connected, now)
	}
	return true
}

// disconnect ends the connection. What is on its way may still arrive, until the receiver is told.
func (p *pair[M]) disconnect(now int64) {
	if !p.open {
		return
	}
	p.open = false
	for _, l := range p.ends {
		p.signal(l, disconnected, now)
		for c := range l.lanes {
			l.lanes[c].bytes = 0
			p.refill(&l.lanes[c], now)
		}
	}
}

// signal sends word of the connection to the receiver of a link.
func (p *pair[M]) signal(l *link[M], kind itemKind, now int64) {
	a := &l.lanes[Control]
	p.push(a, now, item[M]{at: now + a.rule.delay(l.random), epoch: p.epoch, kind: kind}, false)
}

// refill gives the sender a Ready if it has been refused and its outbox has room.
func (p *pair[M]) refill(a *lane[M], now int64) {
	if !a.wanted || a.coming || !a.roomy() {
		return
	}
	a.coming = true
	p.push(&a.link.back.lanes[Control], now, item[M]{at: now, kind: ready, class: a.class}, false)
}

// roomy says whether an outbox that refused a message is worth another try.
func (a *lane[M]) roomy() bool { return a.bytes <= a.link.pair.net.opts.Outbox[a.class]/2 }

// leave ends what a node has through the link to it, as it closes.
func (p *pair[M]) leave(l *link[M], tell bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if tell {
		p.disconnect(p.net.opts.Now())
	}
	p.forget(l)
}

// revive prepares the link to a node for its next life.
func (p *pair[M]) revive(l *link[M]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(l)
	l.torn, l.back.torn = p.epoch, p.epoch // if a connection is open, it is one with the life before
}

// forget lets nothing that is or was on its way to a node reach a later life of it.
func (p *pair[M]) forget(l *link[M]) {
	l.told, l.up, l.since = p.epoch, false, p.order
	for c := range l.back.lanes {
		l.back.lanes[c].wanted, l.back.lanes[c].coming = false, false
	}
}

// close ends all deliveries.
func (p *pair[M]) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, l := range p.ends {
		if l.timer != nil {
			l.timer.Stop()
		}
		l.wake.Signal()
		for c := range l.lanes {
			l.lanes[c].queue, l.lanes[c].bytes = queue[M]{}, 0
			p.schedule(&l.lanes[c], 0)
		}
	}
}
