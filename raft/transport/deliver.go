package transport

// delivery is what one item makes of itself at its receiver; end is nil if that is nothing.
type delivery[M Message] struct {
	end  *Endpoint[M]
	gone uint64 // epoch whose end is told first, 0 for none
	come uint64 // epoch whose beginning is told then, 0 for none
	item item[M]
	from NodeID
	in   Class
}

// take removes the first item of a lane and decides what becomes of it. The caller holds pair.mu, and calls run
// after it has released that.
func (p *pair[M]) take(a *lane[M], now int64) delivery[M] {
	it := a.queue.pop()
	if it.size > 0 && it.epoch == p.epoch && p.open {
		a.bytes -= it.size
		p.refill(a, now)
	}
	d := delivery[M]{item: it, from: a.link.from.id, in: a.class}
	if end := a.link.to.end.Load(); end != nil && it.order > a.link.since {
		p.arrive(a.link, &d, now, end)
	} else if it.kind == message {
		p.vanish(a.link, &it)
	}
	if d.end != nil {
		d.end.calls.Add(1)
	}
	return d
}

// vanish counts a message that a cut or a dead end has taken.
func (p *pair[M]) vanish(l *link[M], it *item[M]) {
	p.stats.Cut++
	l.torn = max(l.torn, it.epoch)
}

// arrive decides about an item that has come to a living end.
func (p *pair[M]) arrive(l *link[M], d *delivery[M], now int64, end *Endpoint[M]) {
	it := &d.item
	isMessage := it.kind == message
	switch {
	case it.kind == ready:
		a := &l.back.lanes[it.class]
		a.coming = false
		if a.roomy() { // otherwise it has been filled again meanwhile, and another Ready follows
			a.wanted = false
			d.end = end
		}
		return
	case l.cut.at(now):
		if isMessage {
			p.vanish(l, it)
		}
		return
	case isMessage && it.epoch <= l.torn:
		p.stats.Cut++ // an earlier one may be missing
		return
	case it.epoch < l.told || it.epoch == l.told && !l.up:
		if isMessage {
			p.stats.Stale++
		}
		return
	}
	if ends := it.kind == disconnected; it.epoch > l.told || ends {
		if l.up {
			d.gone = l.told
		}
		if l.up = !ends; l.up {
			d.come = it.epoch
		}
		l.told = it.epoch
	}
	if isMessage {
		p.stats.Delivered++
	} else if d.gone == 0 && d.come == 0 {
		return
	}
	d.end = end
}

// run makes the calls of the receiver.
func (d *delivery[M]) run() {
	if d.end == nil {
		return
	}
	defer d.end.calls.Done()
	r := d.end.receiver
	if d.item.kind == ready {
		r.Event(Event{Kind: Ready, Peer: d.from, Class: d.item.class})
		return
	}
	if d.gone != 0 {
		r.Event(Event{Kind: Disconnected, Peer: d.from, Epoch: d.gone})
	}
	if d.come != 0 {
		r.Event(Event{Kind: Connected, Peer: d.from, Epoch: d.come})
	}
	if d.item.kind == message {
		r.Receive(d.from, d.in, d.item.epoch, d.item.m)
	}
}
