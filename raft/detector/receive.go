package detector

// Receive takes a heartbeat that the network brought. It does not block and makes no callback; what it changes is
// handed over by the next Step, which Next says is due. The heartbeat is only read.
func (d *Detector) Receive(now int64, h *Heartbeat) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now = d.advanceLocked(now)
	d.mu.stats.Received++
	if h.To != d.opts.Node || h.From == d.opts.Node || h.From == "" || h.Incarnation == 0 {
		d.mu.stats.Misaddressed++
		return
	}
	p := d.mu.peers[h.From]
	if p == nil {
		if !h.Answer {
			return // a late answer to an earlier life of this node
		}
		p = d.peerLocked(h.From)
	}
	if h.Incarnation < p.incarnation || h.Incarnation == p.incarnation && h.Seq <= p.seen {
		d.mu.stats.Stale++
		return
	}
	if h.Incarnation > p.incarnation {
		d.rebornLocked(p, h.Incarnation, now)
	}
	if h.Answer {
		p.answerTil = now + d.limits.bound
		d.activateLocked(p, now)
	}
	if p.slot < 0 {
		return // neither side wants heartbeats
	}
	d.hearLocked(p, h, now)
	if h.PeerIncarnation == d.opts.Incarnation {
		d.echoLocked(p, h, now)
		d.noticesLocked(p, h, now)
	}
	if len(d.mu.events) > 0 {
		d.dueLocked(now)
	}
}

// rebornLocked begins what is known of the peer anew for another life of it.
func (d *Detector) rebornLocked(p *peer, incarnation uint64, now int64) {
	previous, was, contact := p.incarnation, p.state, p.contact
	p.incarnation = incarnation
	p.contact, p.seen, p.seenStamp, p.seenAt = 0, 0, 0, 0
	p.answerTil = now
	p.in = inbox{}
	p.version++
	if p.slot >= 0 {
		p.begin(now)
		d.hurryLocked(p, now)
	}
	if previous == 0 {
		return
	}
	d.mu.stats.Restarts++
	d.mu.stats.NoticesDropped += uint64(p.out.drop())
	if p.refs > 0 {
		c := Change{Peer: p.id, View: p.view(), Was: was, Restarted: true, Previous: previous}
		c.Contact = contact
		d.mu.events = append(d.mu.events, event{peer: p, change: c})
	}
}

// hearLocked notes the arrival. After a silence echoes cannot be new yet: their age counts from now on, and an
// answer leaves at once.
func (d *Detector) hearLocked(p *peer, h *Heartbeat, now int64) {
	if silentSince, _ := p.staleAt(d.limits); p.state == Down && now >= silentSince {
		p.echoed.restart(now)
		d.hurryLocked(p, now)
	}
	p.heard.renew(now, now)
	p.seen, p.seenStamp, p.seenAt = h.Seq, h.Stamp, now
}

// echoLocked takes the proof that the peer has heard an own heartbeat.
func (d *Detector) echoLocked(p *peer, h *Heartbeat, now int64) {
	if h.Echo <= p.echo || h.Echo > p.seq || h.EchoStamp > now {
		return
	}
	p.echo = h.Echo
	p.contact = max(p.contact, h.EchoStamp)
	if h.EchoStamp >= d.mu.lateAt && h.EchoDelay >= 0 && h.EchoDelay <= now-h.EchoStamp {
		p.trip.sample(now - h.EchoStamp - h.EchoDelay)
	}
	p.echoed.renew(now, h.EchoStamp)
	if p.state != Up && now-h.EchoStamp < p.echoed.limit(d.limits) {
		d.turnLocked(p, Up)
	}
}

func (d *Detector) noticesLocked(p *peer, h *Heartbeat, now int64) {
	if p.out.ack(h.NoticeAck) && len(p.out.notices) > 0 {
		d.hurryLocked(p, now)
	}
	first, fresh := p.in.take(h, d.opts.NoticeBytes)
	for i, n := range fresh {
		d.mu.events = append(d.mu.events, event{peer: p, number: first + uint64(i), incarnation: h.Incarnation, notice: n})
	}
	if h.NoticeFirst != 0 && len(fresh) == 0 {
		d.hurryLocked(p, now) // the acknowledgement was lost, or has not arrived yet
	}
}
