package transport

import "time"

// schedule sees to it that a lane that has changed is delivered from when its first item is due. The caller
// holds pair.mu.
func (p *pair[M]) schedule(a *lane[M], now int64) {
	if p.net.agenda != nil {
		p.net.agenda.touch(a)
		return
	}
	a.link.kick(now)
}

// kick begins to deliver from a link, or sets its timer. The caller holds pair.mu. A time of 0 stands for one
// that nothing has depended on yet.
func (l *link[M]) kick(now int64) {
	if l.running || l.pair.closed || l.to.paused.Load() {
		return
	}
	a := l.first()
	if a == nil {
		return
	}
	at := a.queue.first().at
	if at > now {
		now = l.pair.net.opts.Now()
	}
	if at > now {
		l.arm(at, now)
		return
	}
	l.running = true
	if l.started {
		l.wake.Signal()
		return
	}
	l.started = true
	l.pair.net.drains.Add(1)
	go l.drain()
}

// first returns the lane whose first item is due first, nil when all are empty.
func (l *link[M]) first() *lane[M] {
	var found *lane[M]
	for c := range l.lanes {
		a := &l.lanes[c]
		if a.queue.len() == 0 {
			continue
		}
		if found == nil || a.queue.first().before(found.queue.first()) {
			found = a
		}
	}
	return found
}

func (it *item[M]) before(other *item[M]) bool {
	return it.at < other.at || it.at == other.at && it.order < other.order
}

// arm sets the timer of a link.
func (l *link[M]) arm(at, now int64) {
	d := time.Duration(at - now)
	switch {
	case l.timer == nil:
		l.timer = time.AfterFunc(d, l.fire)
	case l.timerAt == 0 || at < l.timerAt:
		l.timer.Reset(d)
	default:
		return
	}
	l.timerAt = at
}

func (l *link[M]) fire() {
	l.pair.mu.Lock()
	defer l.pair.mu.Unlock()
	l.timerAt = 0
	l.kick(l.pair.net.opts.Now())
}

// batch is how many items are delivered between two looks at the queues.
const batch = 8

// drain delivers what is due on a link. It is a goroutine of production mode, one for each link from its first delivery
// on; link.running says that it does not rest. It ends when the network is closed, which waits for it.
func (l *link[M]) drain() {
	defer l.pair.net.drains.Done()
	var buffer [batch]delivery[M]
	for {
		n := l.next(&buffer)
		if n == 0 {
			return
		}
		for i := range n {
			buffer[i].run()
			buffer[i] = delivery[M]{} // the message is not kept alive
		}
	}
}

// next takes what is due, a batch at most, and rests while that is nothing. It returns 0 when the network is closed.
func (l *link[M]) next(buffer *[batch]delivery[M]) (n int) {
	p := l.pair
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if n = l.takeDue(buffer); n > 0 || p.closed {
			return n
		}
		l.running = false
		for l.kick(0); !l.running && !p.closed; {
			l.wake.Wait()
		}
	}
}

// takeDue takes what is due, a batch at most. The caller holds pair.mu.
func (l *link[M]) takeDue(buffer *[batch]delivery[M]) (n int) {
	p := l.pair
	now := int64(0)
	if l.cut.down > 0 {
		now = p.net.opts.Now()
	}
	for n < batch && !p.closed && !l.to.paused.Load() {
		a := l.first()
		if a == nil {
			break
		}
		if at := a.queue.first().at; at > now {
			if now = p.net.opts.Now(); at > now {
				break
			}
		}
		buffer[n] = p.take(a, now)
		n++
	}
	return n
}
