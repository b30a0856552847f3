package detector

import "math"

// never is a time that does not come.
const never = math.MaxInt64

// peer is all that is known of one other node. It is kept for the rest of the Detector's life, about 400 bytes, because
// numbers of heartbeats and notices must not start again.
type peer struct {
	id   NodeID
	refs int // watchers
	slot int // place in Detector.active, -1 outside

	state       State
	incarnation uint64
	version     uint64
	contact     int64

	heard  freshness // age of the last arrival
	echoed freshness // age of the newest own heartbeat that was echoed

	// The peer's heartbeats.
	seen      uint64 // newest number
	seenStamp int64
	seenAt    int64 // when it arrived
	answerTil int64 // it wants heartbeats until then

	// Own heartbeats to it.
	seq    uint64 // newest number
	echo   uint64 // newest number that was echoed
	trip   roundTrip
	urgent bool // listed in Detector.urgent

	out outbox
	in  inbox
}

func newPeer(id NodeID) *peer {
	return &peer{id: id, slot: -1, out: outbox{first: 1}}
}

// begin counts all ages from now on, nothing proved.
func (p *peer) begin(now int64) {
	p.state = Unknown
	p.heard.restart(now)
	p.echoed.restart(now)
}

func (p *peer) view() View {
	return View{State: p.state, Incarnation: p.incarnation, Contact: p.contact, Version: p.version}
}

// staleAt returns when the last arrival and the newest echo become stale.
func (p *peer) staleAt(l limits) (heard, echoed int64) {
	if p.state == Unknown {
		return p.heard.at + l.bound, p.echoed.at + l.bound
	}
	return p.heard.at + p.heard.limit(l), p.echoed.at + p.echoed.limit(l)
}

// judge returns the state that the passing of time alone has brought. Up is never among them: only
// an echo proves it. Echoes stop a little before arrivals when a peer dies; so the end of echoes is called OneWay only if
// the peer was heard within half the time that makes it silent.
func (p *peer) judge(now int64, l limits) State {
	heard, echoed := p.staleAt(l)
	switch {
	case now >= heard:
		return Down
	case now < echoed || p.state == OneWay:
		return p.state
	case now-p.heard.at < (heard-p.heard.at)/2:
		return OneWay
	}
	return Down
}

// deadline returns when judge may answer otherwise, if nothing arrives.
func (p *peer) deadline(now int64, l limits) int64 {
	heard, echoed := p.staleAt(l)
	switch {
	case p.state == OneWay:
		return heard
	case p.state == Down && (now >= heard || now >= echoed):
		return never
	case p.state == Down:
		return echoed
	}
	return min(heard, echoed)
}

// asked says whether the peer wants heartbeats.
func (p *peer) asked(now int64) bool { return now < p.answerTil }

// wants says whether this node wants heartbeats of the peer.
func (p *peer) wants() bool { return p.refs > 0 || len(p.out.notices) > 0 }

func (p *peer) forgive(late, now int64) {
	p.heard.forgive(late, now)
	p.echoed.forgive(late, now)
	if p.answerTil > now-late {
		p.answerTil += late
	}
}

// heartbeat makes the next heartbeat to the peer.
func (p *peer) heartbeat(o *Options, now int64) *Heartbeat {
	p.seq++
	h := &Heartbeat{
		From: o.Node, To: p.id, Incarnation: o.Incarnation,
		Seq: p.seq, Stamp: now, Answer: p.wants(),
		PeerIncarnation: p.incarnation,
		Echo:            p.seen, EchoStamp: p.seenStamp, EchoDelay: now - p.seenAt,
		NoticeAck: p.in.acked,
	}
	if p.incarnation != 0 {
		if batch := p.out.batch(o.NoticeBytes); len(batch) > 0 {
			h.NoticeFirst, h.Notices = p.out.first, batch
		}
	}
	return h
}
