package raft

import (
	"slices"
	"sync"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

const (
	// sendCredit is how many parts of a snapshot may be on their way.
	sendCredit = 4
	// livePartBytes bounds the payloads of the live entries of one part, beyond the first, livePartEntries their number.
	livePartBytes   = 1 << 20
	livePartEntries = 8192
)

// outgoing is a snapshot on its way to a peer. It moves when the receiver's replies come, on a goroutine that lives no
// longer than it takes to send what there is credit for.
type outgoing struct {
	server   *server
	to       ServerID
	inc      core.Incarnation
	transfer uint64
	meta     core.SnapshotMeta
	from     *engine.SnapshotReader
	chunks   int

	mu      sync.Mutex
	started bool // the receiver took the header
	live    []Index
	next    int // chunk
	parts   int // sent, the header not counted
	taken   int // of them, as the receiver says
	paced   bool
	closed  bool
	stall   alarm // rings when the receiver has not answered for too long
	pace    alarm // rings when the node may send again; set while paced
}

// offer has a goroutine open a snapshot for a peer that has fallen behind the log, when it is time to try again. Until that has told
// the core, further wishes for the same peer are the same one.
func (s *server) offer(h core.Head) {
	if !s.outgoing.begin(h.To) {
		return
	}
	open := func() { s.node.spawn(func() { s.openOffered(h) }) }
	if d := s.outgoing.pause(h.ToInc); d > 0 {
		s.node.wheel.after(d/2+time.Duration(s.node.random(int64(d))), open)
		return
	}
	open()
}

// openOffered chooses the snapshot and tells the core of it.
func (s *server) openOffered(h core.Head) {
	s.endTransfers(func(id ServerID) bool { return id == h.To })
	o, err := s.openOutgoing(h)
	if !s.outgoing.add(s, h.To, o) { // the server has stopped
		if o != nil {
			_ = o.from.Close()
		}
		return
	}
	s.startLooking()
	if err != nil {
		s.node.opts.Logger.Warn("a snapshot for a peer cannot be read", "server", s.id.String(), "peer", h.To.String(), "err", err)
		s.outgoing.fault(h.ToInc)
		s.mail.put(core.SnapshotSent{To: h.To}) // of no transfer: the core asks again later
		return
	}
	s.mail.put(core.SnapshotOffered{To: h.To, Transfer: o.transfer, Snapshot: o.meta})
}

func (s *server) openOutgoing(h core.Head) (*outgoing, error) {
	snap, ok := s.newestSnapshot()
	if !ok {
		return nil, engine.ErrNoSnapshot
	}
	r, err := s.log.OpenSnapshot(snap)
	if err != nil {
		return nil, err
	}
	meta, _, err := openContext(r.Context())
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	meta.ID = snap.ID
	o := &outgoing{server: s, to: h.To, inc: h.ToInc, transfer: s.node.number(), meta: meta, from: r, chunks: r.Chunks()}
	o.stall.ring = func() { s.node.spawn(func() { o.end(false) }) }
	o.pace.ring = func() { s.node.spawn(o.resume) }
	return o, nil
}

// rearm gives the receiver time for its next answer.
func (o *outgoing) rearm() {
	n := o.server.node
	n.wheel.set(&o.stall, n.now()+int64(n.optionsOf(o.server.record).SnapshotTimeout))
}

// endTransfers gives up what is on its way to some peers.
func (s *server) endTransfers(of func(ServerID) bool) {
	for _, o := range s.outgoing.all() {
		if of(o.to) {
			o.end(false)
		}
	}
}

// reply takes what the receiver says.
func (o *outgoing) reply(r *snapshotReply) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.rearm()
	switch {
	case r.failed:
		if r.busy {
			o.server.outgoing.postpone(o.inc)
		} else {
			o.server.outgoing.fault(o.inc)
		}
		o.endLocked(false)
	case r.done:
		o.endLocked(true)
	case r.alive:
	case !r.have:
		o.sendLocked(&snapshotPart{header: o.from.Header()})
	default:
		o.startLocked(r)
		o.tookLocked(r.parts)
		o.moveLocked()
	}
}

// tookLocked takes note of how many parts the receiver has taken.
func (o *outgoing) tookLocked(parts int) {
	if parts <= o.taken {
		return
	}
	o.taken = parts
	o.server.outgoing.forgive(o.inc)
	o.waitLocked()
}

// waitLocked has cursors wait for this transfer, here and on the other members, which are told at once when they do not know.
func (o *outgoing) waitLocked() {
	s := o.server
	if s.outgoing.goesOn(o.inc, o.meta.ID.Index, s.holdUntil()) {
		s.tellHold("", o.meta.ID.Index, s.holdTime())
	}
	s.startLooking()
}

// startLocked takes note of what the receiver has, once.
func (o *outgoing) startLocked(r *snapshotReply) {
	if o.started {
		return
	}
	o.started, o.next = true, r.next
	o.live = slices.Collect(o.from.Live().All())
}

// resume goes on when the node may send again.
func (o *outgoing) resume() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.paced = false
	o.moveLocked()
}

// moveLocked sends what there is credit for, at the node's rate.
func (o *outgoing) moveLocked() {
	n := o.server.node
	for o.parts-o.taken < sendCredit && o.next <= o.chunks && !o.paced && !o.closed {
		if d := n.transfers.wait(n.now()); d > 0 {
			o.paced = true
			n.wheel.set(&o.pace, n.now()+d)
			return
		}
		p, err := o.partLocked()
		if err != nil {
			n.opts.Logger.Warn("a snapshot cannot be read", "server", o.server.id.String(), "err", err)
			o.server.outgoing.fault(o.inc)
			o.sendLocked(&snapshotPart{failed: true})
			o.endLocked(false)
			return
		}
		o.parts++
		o.sendLocked(p)
	}
}

// partLocked is the next part: first the live entries that the receiver lacks, then chunks, then the end.
func (o *outgoing) partLocked() (p *snapshotPart, err error) {
	switch {
	case len(o.live) > 0:
		return o.livePart()
	case o.next < o.chunks:
		p = &snapshotPart{chunk: o.next}
		p.data, p.sum, err = o.from.Chunk(o.next, nil)
	default:
		p = &snapshotPart{end: true}
	}
	o.next++
	return p, err
}

// livePart reads live entries for one part.
func (o *outgoing) livePart() (*snapshotPart, error) {
	p := &snapshotPart{}
	bytes := 0
	for len(o.live) > 0 {
		e, err := o.server.log.Read(o.live[0])
		if err != nil {
			return nil, err
		}
		if len(p.live) > 0 && bytes+len(e.Data) > livePartBytes || len(p.live) == livePartEntries {
			break
		}
		bytes += len(e.Data)
		p.live = append(p.live, e)
		p.sums = append(p.sums, engine.PayloadChecksum(e.Data))
		o.live = o.live[1:]
	}
	return p, nil
}

// sendLocked sends a part; when the network does not take it, the transfer has failed and begins anew.
func (o *outgoing) sendLocked(p *snapshotPart) {
	p.to, p.toInc, p.transfer = o.to, o.inc, o.transfer
	n := o.server.node
	if !n.sendSnapshot(o.to.Node, p) {
		o.endLocked(false)
		return
	}
	n.transfers.spend(p.Size(), n.now())
	o.server.count(CounterTransferBytesSent, p.payload())
}

func (o *outgoing) end(ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endLocked(ok)
}

func (o *outgoing) endLocked(ok bool) {
	if o.closed {
		return
	}
	o.closed = true
	s := o.server
	s.node.wheel.stop(&o.stall)
	s.node.wheel.stop(&o.pace)
	_ = o.from.Close()
	s.outgoing.remove(o.transfer)
	if ok {
		s.count(CounterSnapshotsSent, 1)
	}
	s.sending.Add(-1)
	o.leaveLocked(ok)
	s.mail.put(core.SnapshotSent{To: o.to, Transfer: o.transfer, OK: ok})
}

// leaveLocked ends the waiting for a transfer that has ended, unless it may go on where it was interrupted.
func (o *outgoing) leaveLocked(ok bool) {
	s := o.server
	switch {
	case ok:
		s.outgoing.done(o.inc, o.meta.ID.Index)
	case o.taken == 0:
		s.outgoing.endsAsItBegan(o.inc)
		s.cursorAgain()
		return
	case s.outgoing.interrupted(o.inc, o.meta.ID, o.next):
		o.waitLocked()
		return
	}
	s.holdLess(s.outgoing.over(o.inc))
}

// leaveTransfers ends what is on its way to those who are members no more, and what was noted of them.
func (s *server) leaveTransfers(v *leaderView) {
	s.endTransfers(func(id ServerID) bool { return !v.has(id) })
	s.holdLess(s.outgoing.keep(v.members))
}
