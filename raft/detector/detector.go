package detector

import (
	"math"
	"sync"
)

// Never is the time at which Step wants to be called when there is nothing to do.
const Never int64 = math.MaxInt64

// extras is how many times in one interval heartbeats may leave besides the regular ones: first answers, new
// notices and their acknowledgements.
const extras = 8

// Detector watches the peers of one node. Watch, Unwatch, Notify, Receive and the methods that only read may be called by
// any goroutine and wait for no callback; Step belongs to one goroutine.
type Detector struct {
	opts   Options
	limits limits
	every  int64 // nanoseconds between regular heartbeats
	slack  int64 // lateness of Step that is not forgiven, nanoseconds
	wake   chan struct{}

	mu struct { // never held in a callback
		sync.Mutex
		peers  map[NodeID]*peer // never iterated
		active []*peer          // those that get heartbeats
		urgent []*peer          // those among them that get one before the regular time
		events []event          // for the next Step to hand over, oldest first

		clock     int64 // latest time told
		next      int64 // when Step is due
		tick      int64 // when regular heartbeats are due, while there are active peers
		lastExtra int64 // when heartbeats last left out of turn
		lateAt    int64 // when the loop was last found late
		stats     Stats
	}
	// Owned by the goroutine of Step.
	beats []*Heartbeat
}

// event is one callback to be made.
type event struct {
	peer   *peer
	change Change
	// For a notice; number is 0 for a change.
	number      uint64
	incarnation uint64
	notice      []byte
}

// New returns a detector that watches nobody. Its error joins all violations of the options.
func New(o Options) (*Detector, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	d := &Detector{opts: o, every: int64(o.Interval), slack: int64(o.Interval) / 4, wake: make(chan struct{}, 1)}
	d.limits = limits{floor: int64(o.Missed) * int64(o.Interval), bound: int64(o.Bound)}
	d.mu.peers = make(map[NodeID]*peer)
	d.mu.next = Never
	d.mu.clock, d.mu.lateAt, d.mu.lastExtra = math.MinInt64, math.MinInt64, math.MinInt64/2
	return d, nil
}

// Watch counts one more watcher of the peer and returns what is known of it. Changes that come later are reported
// by Changed, once per peer and change. The own node may be watched; it is always Up.
func (d *Detector) Watch(now int64, id NodeID) View {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id == d.opts.Node {
		return d.self(now)
	}
	now = d.advanceLocked(now)
	p := d.peerLocked(id)
	p.refs++
	if p.refs == 1 {
		d.mu.stats.Watched++
		d.activateLocked(p, now)
	}
	return p.view()
}

// Unwatch takes back one Watch and returns false if there was none to take back. With the last one
// the reports end, but for a change that Step is about to hand over.
func (d *Detector) Unwatch(now int64, id NodeID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id == d.opts.Node {
		return true
	}
	d.advanceLocked(now)
	p := d.mu.peers[id]
	if p == nil || p.refs == 0 {
		return false
	}
	p.refs--
	if p.refs == 0 {
		d.mu.stats.Watched--
	}
	return true
}

// Peer returns what is known of a peer, as of the last call that told the time. A peer that nobody watches, and that
// asks for no heartbeats, is Unknown.
func (d *Detector) Peer(now int64, id NodeID) View {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id == d.opts.Node {
		return d.self(now)
	}
	if p := d.mu.peers[id]; p != nil {
		return p.view()
	}
	return View{}
}

// RTT returns the smoothed round trip time to the peer in nanoseconds, and false while it is not known. It is that of
// heartbeats: the way there, the time at which the peer's detector handles it excepted, and the way back.
func (d *Detector) RTT(id NodeID) (int64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.mu.peers[id]
	if p == nil || p.trip.mean == 0 {
		return 0, false
	}
	return p.trip.mean, true
}

// Notify puts a notice for the peer's present life, or the first one to be heard of, into its outbox. The bytes are
// copied. Errors: ErrOutboxFull, ErrNoticeSize, ErrSelf; the notice is not taken then.
func (d *Detector) Notify(now int64, id NodeID, notice []byte) error {
	switch {
	case id == d.opts.Node:
		return ErrSelf
	case len(notice)+noticeOverhead > d.opts.NoticeBytes:
		return ErrNoticeSize
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now = d.advanceLocked(now)
	p := d.peerLocked(id)
	if p.out.bytes+len(notice)+noticeOverhead > d.opts.OutboxBytes {
		d.mu.stats.NoticesRefused++
		return ErrOutboxFull
	}
	p.out.add(append(make([]byte, 0, len(notice)), notice...))
	d.activateLocked(p, now)
	d.hurryLocked(p, now)
	return nil
}

// Next returns when Step is due: that which Step returned last, or earlier if something has happened since.
func (d *Detector) Next() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.next
}

func (d *Detector) self(now int64) View {
	return View{State: Up, Incarnation: d.opts.Incarnation, Contact: now}
}

func (d *Detector) peerLocked(id NodeID) *peer {
	p := d.mu.peers[id]
	if p == nil {
		p = newPeer(id)
		d.mu.peers[id] = p
	}
	return p
}

// activateLocked begins heartbeats to the peer; the first leaves at once.
func (d *Detector) activateLocked(p *peer, now int64) {
	if p.slot >= 0 {
		return
	}
	if len(d.mu.active) == 0 {
		d.mu.tick = now
		d.dueLocked(now)
	}
	p.slot = len(d.mu.active)
	d.mu.active = append(d.mu.active, p)
	p.begin(now)
	d.hurryLocked(p, now)
}

// deactivateLocked ends them. What is known of the peer, its lives and numbers excepted, is void.
func (d *Detector) deactivateLocked(p *peer) {
	last := len(d.mu.active) - 1
	d.mu.active[p.slot] = d.mu.active[last]
	d.mu.active[p.slot].slot = p.slot
	d.mu.active[last] = nil
	d.mu.active = d.mu.active[:last]
	p.slot, p.state = -1, Unknown
}

// hurryLocked lets a heartbeat to the peer leave before its regular time.
func (d *Detector) hurryLocked(p *peer, now int64) {
	if !p.urgent {
		p.urgent = true
		d.mu.urgent = append(d.mu.urgent, p)
	}
	d.dueLocked(d.extraAtLocked(now))
}

func (d *Detector) extraAtLocked(now int64) int64 {
	return max(now, d.mu.lastExtra+d.every/extras)
}

// dueLocked makes Step due at the given time, if it is not due earlier.
func (d *Detector) dueLocked(at int64) {
	if at >= d.mu.next {
		return
	}
	d.mu.next = at
	select {
	case d.wake <- struct{}{}:
	default: // a signal is on its way already
	}
}

// advanceLocked takes the time and returns it, never before an earlier one. If Step is late by now, it
// forgives the peers that long.
func (d *Detector) advanceLocked(now int64) int64 {
	now = max(now, d.mu.clock)
	d.mu.clock = now
	if d.mu.next == Never || now <= d.mu.next || now-d.mu.next <= d.slack {
		return now
	}
	late := now - d.mu.next
	for _, p := range d.mu.active {
		p.forgive(late, now)
	}
	d.mu.tick = now
	d.mu.lateAt = now
	d.mu.next = now
	d.mu.stats.Late++
	d.mu.stats.LateTime += late
	return now
}
