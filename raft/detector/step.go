package detector

// Step does what is due: it suspects peers, hands over changes and notices, sends heartbeats. It returns when it wants
// to be called next, Never if nothing is to be done; Next tells when something has made that earlier. A step that
// comes early does no harm. One goroutine calls it, and no callback does.
func (d *Detector) Step(now int64) int64 {
	events, now := d.takeEvents(now)
	for i := range events {
		d.handOver(&events[i])
	}
	next := d.takeBeats(now, events)
	for i, h := range d.beats {
		d.beats[i] = nil
		d.opts.Send(h)
	}
	return next
}

func (d *Detector) handOver(e *event) {
	if e.number == 0 {
		d.opts.Changed(e.change)
		return
	}
	d.opts.Notice(e.peer.id, e.incarnation, e.notice)
}

// takeEvents judges all peers and takes the events.
func (d *Detector) takeEvents(now int64) ([]event, int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now = d.advanceLocked(now)
	for i := 0; i < len(d.mu.active); {
		p := d.mu.active[i]
		if s := p.judge(now, d.limits); s != p.state {
			d.turnLocked(p, s)
		}
		if d.retireLocked(p, now) {
			continue // another peer has taken its place
		}
		i++
	}
	events := d.mu.events
	d.mu.events = nil
	return events, now
}

// retireLocked ends the heartbeats to a peer that neither wants nor gives any.
func (d *Detector) retireLocked(p *peer, now int64) bool {
	if p.refs == 0 && p.state == Down {
		d.mu.stats.NoticesDropped += uint64(p.out.drop())
	}
	if p.wants() || p.asked(now) {
		return false
	}
	d.deactivateLocked(p)
	return true
}

// takeBeats notes that the events have been handed over and makes the heartbeats that are due. It returns when
// Step is due next.
func (d *Detector) takeBeats(now int64, handed []event) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range handed {
		d.handedLocked(&handed[i], now)
	}
	d.beats = d.beats[:0]
	switch {
	case len(d.mu.active) > 0 && now >= d.mu.tick:
		d.regularLocked(now)
	case len(d.mu.urgent) > 0 && now >= d.extraAtLocked(now):
		d.extraLocked(now)
	}
	d.mu.next = d.planLocked(now)
	return d.mu.next
}

func (d *Detector) handedLocked(e *event, now int64) {
	if e.number == 0 {
		return
	}
	d.mu.stats.NoticesHandedOver++
	if p := e.peer; p.incarnation == e.incarnation {
		p.in.acked = e.number
		p.in.bytes -= len(e.notice) + noticeOverhead
		if p.slot >= 0 {
			d.hurryLocked(p, now)
		}
	}
}

func (d *Detector) regularLocked(now int64) {
	d.clearUrgentLocked()
	for _, p := range d.mu.active {
		d.beatLocked(p, now)
	}
	d.mu.tick = (now/d.every + 1) * d.every // the multiples: other loops of this machine wake then
}

func (d *Detector) extraLocked(now int64) {
	for _, p := range d.mu.urgent {
		if p.slot >= 0 {
			d.beatLocked(p, now)
		}
	}
	d.clearUrgentLocked()
	d.mu.lastExtra = now
}

func (d *Detector) clearUrgentLocked() {
	for i, p := range d.mu.urgent {
		p.urgent = false
		d.mu.urgent[i] = nil
	}
	d.mu.urgent = d.mu.urgent[:0]
}

func (d *Detector) beatLocked(p *peer, now int64) {
	h := p.heartbeat(&d.opts, now)
	d.beats = append(d.beats, h)
	d.mu.stats.Sent++
	d.mu.stats.NoticesSent += uint64(len(h.Notices))
}

// planLocked returns when Step is due next.
func (d *Detector) planLocked(now int64) int64 {
	if len(d.mu.events) > 0 {
		return now // they came while callbacks ran
	}
	if len(d.mu.active) == 0 {
		return Never
	}
	next := d.mu.tick
	if len(d.mu.urgent) > 0 {
		next = min(next, d.extraAtLocked(now))
	}
	for _, p := range d.mu.active {
		next = min(next, p.deadline(now, d.limits))
	}
	return max(next, now)
}

// turnLocked gives the peer another state and, if it is watched, reports that.
func (d *Detector) turnLocked(p *peer, s State) {
	was := p.state
	p.state = s
	p.version++
	switch s {
	case Down:
		d.mu.stats.Suspected++
	case OneWay:
		d.mu.stats.FoundOneWay++
	}
	if p.refs > 0 {
		d.mu.events = append(d.mu.events, event{peer: p, change: Change{Peer: p.id, View: p.view(), Was: was}})
	}
}
