package tcp

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rawl-db/rawl/raft/transport"
)

// peer is another node: what waits for it, and the connection with it.
type peer[M transport.Message] struct {
	t  *Transport[M]
	id NodeID

	mu          sync.Mutex
	lanes       [transport.Classes]lane[M]
	link        *link[M] // the newest, nil when there is none
	epoch       uint64   // the newest that was agreed on
	incarnation uint64   // the newest that was heard of
	dialing     context.CancelFunc
	arriving    int // handshakes of the peer that are under way
	failures    int
	notBefore   time.Time // of the next attempt

	calls sync.Mutex // held over calls of the receiver, which come one after another
}

// lane is the outbox of a class.
type lane[M transport.Message] struct {
	queue   []M
	bytes   int
	refused bool // a Ready is owed
}

// send puts a message into its outbox.
func (p *peer[M]) send(class transport.Class, m M) error {
	size := m.Size()
	most := min(p.t.opts.Outbox[class], p.t.opts.MaxFrameBytes)
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &p.lanes[class]
	switch {
	case size > most:
		p.t.stats.refused.Add(1)
		return transport.ErrTooLarge
	case p.link == nil && p.dialing == nil && p.arriving == 0 && !p.dialLocked():
		p.t.stats.refused.Add(1)
		return transport.ErrUnreachable
	case l.bytes+size > p.t.opts.Outbox[class]:
		l.refused = true
		p.t.stats.refused.Add(1)
		return transport.ErrFull
	}
	l.queue, l.bytes = append(l.queue, m), l.bytes+size
	p.t.stats.sent.Add(1)
	if p.link != nil {
		p.link.wake(class)
	}
	return nil
}

// dialLocked begins an attempt, unless the last one failed a moment ago.
func (p *peer[M]) dialLocked() bool {
	if time.Now().Before(p.notBefore) {
		return false
	}
	ctx, cancel := context.WithCancel(p.t.ctx)
	begun := p.t.begin(func() {
		err := p.dialUntilSure(ctx)
		cancel()
		p.dialed(err)
	})
	if !begun {
		cancel()
		return false
	}
	p.dialing = cancel
	return true
}

// dialUntilSure dials until the peer says that it makes no connection itself: what waits is not lost to that.
func (p *peer[M]) dialUntilSure(ctx context.Context) error {
	end := time.Now().Add(p.t.opts.DialTimeout + p.t.opts.HandshakeTimeout)
	for {
		err := p.dial(ctx)
		if !errors.Is(err, errBusy) || time.Now().After(end) || p.connected() {
			return err
		}
		select {
		case <-time.After(p.t.opts.MinPause/2 + rand.N(p.t.opts.MinPause)):
		case <-ctx.Done():
			return err
		}
	}
}

func (p *peer[M]) connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link != nil
}

// dialed takes note of how an attempt ended. What waited is lost when there is no connection then.
func (p *peer[M]) dialed(err error) {
	p.mu.Lock()
	p.dialing = nil
	if err == nil || p.link != nil || p.arriving > 0 {
		p.mu.Unlock()
		return
	}
	p.failures++
	pause := min(p.t.opts.MaxPause, p.t.opts.MinPause<<min(p.failures-1, 16))
	p.notBefore = time.Now().Add(pause/2 + rand.N(pause/2+1))
	events := p.giveUpLocked()
	p.mu.Unlock()
	p.t.stats.failed.Add(1)
	p.t.quiet.warn(p.id, "dial", "no connection with a node", err)
	p.tell(events...)
}

// giveUpLocked drops what waits for a connection that has not come about, and returns what is to be told of it.
func (p *peer[M]) giveUpLocked() (events []transport.Event) {
	if p.waitingLocked() {
		events = append(events, transport.Event{Kind: transport.Dropped, Peer: p.id})
	}
	return append(events, p.dropLocked()...)
}

// waitingLocked reports whether a message waits.
func (p *peer[M]) waitingLocked() bool {
	for c := range p.lanes {
		if len(p.lanes[c].queue) > 0 {
			return true
		}
	}
	return false
}

// dropLocked drops what waits, and returns which outboxes have room again.
func (p *peer[M]) dropLocked() (ready []transport.Event) {
	for c := range p.lanes {
		l := &p.lanes[c]
		p.t.stats.lost.Add(uint64(len(l.queue)))
		if l.refused {
			ready = append(ready, transport.Event{Kind: transport.Ready, Peer: p.id, Class: transport.Class(c)})
		}
		*l = lane[M]{}
	}
	return ready
}

// tell makes calls of the receiver about events.
func (p *peer[M]) tell(events ...transport.Event) {
	if len(events) == 0 {
		return
	}
	p.calls.Lock()
	defer p.calls.Unlock()
	for _, e := range events {
		p.t.receiver.Event(e)
	}
}

// begun makes a connection that was agreed on the newest, and runs it. It reports false, and ends it, when it was overtaken.
func (p *peer[M]) begun(l *link[M]) bool {
	p.mu.Lock()
	if l.epoch <= p.epoch {
		p.mu.Unlock()
		l.end(errBusy)
		return false
	}
	old := p.link
	if old != nil {
		l.before, old.owed = old.done, p.dropLocked()
	}
	if !p.t.begin(l.run) {
		p.mu.Unlock()
		l.end(transport.ErrClosed)
		return false
	}
	p.link, p.epoch, p.failures, p.notBefore = l, l.epoch, 0, time.Time{}
	p.incarnation = max(p.incarnation, l.incarnation)
	if p.dialing != nil && !l.dialed {
		p.dialing() // it has become pointless
	}
	p.mu.Unlock()
	if old != nil {
		old.end(errReplaced)
	}
	return true
}

// ended takes note that a connection is no more, and returns what is owed to the receiver.
func (p *peer[M]) ended(l *link[M]) []transport.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	events := append([]transport.Event{{Kind: transport.Disconnected, Peer: p.id, Epoch: l.epoch}}, l.owed...)
	if p.link == l {
		p.link = nil
		events = append(events, p.dropLocked()...)
	}
	return events
}

// take moves what waits in some classes to the caller, the first class first, as far as it fits into a batch. The classes whose
// outboxes have room again are ready.
func (p *peer[M]) take(l *link[M], classes []transport.Class, list []outgoing[M]) (_ []outgoing[M], ready []transport.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != l {
		return list, nil
	}
	room := batchBytes
	for _, c := range classes {
		l := &p.lanes[c]
		n := 0
		for n < len(l.queue) && room > 0 {
			size := l.queue[n].Size()
			list = append(list, outgoing[M]{c, l.queue[n]})
			l.bytes -= size
			room -= size
			n++
		}
		l.queue = l.queue[n:]
		if len(l.queue) == 0 {
			l.queue = nil
		}
		if l.refused && l.bytes <= p.t.opts.Outbox[c]/2 {
			l.refused = false
			ready = append(ready, transport.Event{Kind: transport.Ready, Peer: p.id, Class: c})
		}
	}
	return list, ready
}

func (p *peer[M]) close() {
	p.mu.Lock()
	l := p.link
	p.mu.Unlock()
	if l != nil {
		l.end(transport.ErrClosed)
	}
}
