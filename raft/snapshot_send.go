package raft

import (
	"cmp"
	"slices"
	"sync"

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
	from     *engine.SnapshotReader

	mu      sync.Mutex
	started bool // the receiver took the header
	live    []Index
	next    int // chunk
	parts   int // sent, the header not counted
	closed  bool
	stall   alarm // rings when the receiver has not answered for too long
}

// outgoingTable is the transfers of one server, by their number.
type outgoingTable struct {
	mu   sync.Mutex
	list map[uint64]*outgoing
}

func (t *outgoingTable) get(transfer uint64) *outgoing {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.list[transfer]
}

// offer chooses the snapshot for a peer that has fallen behind the log.
func (s *server) offer(h core.Head) {
	s.endOutgoing(h.To)
	o, meta, err := s.openOutgoing(h)
	if err != nil {
		s.node.opts.Logger.Warn("a snapshot for a peer cannot be read", "server", s.id.String(), "peer", h.To.String(), "err", err)
		s.turn.again = append(s.turn.again, core.SnapshotSent{To: h.To}) // of no transfer: the core asks again later
		return
	}
	s.outgoing.mu.Lock()
	if s.outgoing.list == nil {
		s.outgoing.list = make(map[uint64]*outgoing)
	}
	s.outgoing.list[o.transfer] = o
	s.outgoing.mu.Unlock()
	s.sending.Add(1)
	o.stall.ring = func() { s.node.spawn(func() { o.end(false) }) }
	o.rearm()
	s.turn.again = append(s.turn.again, core.SnapshotOffered{To: h.To, Transfer: o.transfer, Snapshot: meta})
}

func (s *server) openOutgoing(h core.Head) (*outgoing, core.SnapshotMeta, error) {
	snap, ok := s.newestSnapshot()
	if !ok {
		return nil, core.SnapshotMeta{}, engine.ErrNoSnapshot
	}
	r, err := s.log.OpenSnapshot(snap)
	if err != nil {
		return nil, core.SnapshotMeta{}, err
	}
	meta, _, err := openContext(r.Context())
	if err != nil {
		_ = r.Close()
		return nil, core.SnapshotMeta{}, err
	}
	meta.ID = snap.ID
	return &outgoing{server: s, to: h.To, inc: h.ToInc, transfer: s.node.number(), from: r}, meta, nil
}

// rearm gives the receiver time for its next answer.
func (o *outgoing) rearm() {
	n := o.server.node
	n.wheel.set(&o.stall, n.now()+int64(n.opts.SnapshotTimeout))
}

// endOutgoing gives up what is on its way to a peer, to all when it is zero.
func (s *server) endOutgoing(to ServerID) {
	s.endTransfers(func(id ServerID) bool { return to.IsZero() || id == to })
}

// endTransfers gives up what is on its way to some peers.
func (s *server) endTransfers(of func(ServerID) bool) {
	s.outgoing.mu.Lock()
	var list []*outgoing
	for _, o := range s.outgoing.list {
		if of(o.to) {
			list = append(list, o)
		}
	}
	s.outgoing.mu.Unlock()
	slices.SortFunc(list, func(a, b *outgoing) int { return cmp.Compare(a.transfer, b.transfer) })
	for _, o := range list {
		o.end(false)
	}
}

// reply takes what the receiver says.
func (o *outgoing) reply(r *snapshotReply) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.rearm()
	}
	switch {
	case o.closed:
	case r.failed || r.done:
		o.endLocked(r.done)
	case !r.have:
		o.sendLocked(&snapshotPart{header: o.from.Header()})
	default:
		o.moveLocked(r)
	}
}

// moveLocked sends what there is credit for: first the live entries that the receiver lacks, then chunks.
func (o *outgoing) moveLocked(r *snapshotReply) {
	if !o.started {
		o.started, o.next = true, r.next
		for i := range o.from.Live().All() {
			if i > r.haveTo {
				o.live = append(o.live, i)
			}
		}
	}
	for o.parts-r.parts < sendCredit && !o.closed {
		o.parts++
		switch {
		case len(o.live) > 0:
			p := o.livePart()
			if len(p.live) == 0 {
				o.endLocked(false)
				return
			}
			o.sendLocked(p)
		case o.next < o.from.Chunks():
			data, sum, err := o.from.Chunk(o.next, nil)
			if err != nil {
				o.server.node.opts.Logger.Warn("a snapshot cannot be read", "server", o.server.id.String(), "err", err)
				o.sendLocked(&snapshotPart{failed: true})
				o.endLocked(false)
				return
			}
			o.sendLocked(&snapshotPart{chunk: o.next, data: data, sum: sum})
			o.next++
		case o.next == o.from.Chunks():
			o.next++
			o.sendLocked(&snapshotPart{end: true})
		default:
			o.parts--
			return
		}
	}
}

// livePart reads live entries for one part; none when one cannot be read.
func (o *outgoing) livePart() *snapshotPart {
	p := &snapshotPart{}
	bytes := 0
	for len(o.live) > 0 {
		e, err := o.server.log.Read(o.live[0])
		if err != nil {
			return &snapshotPart{}
		}
		if len(p.live) > 0 && bytes+len(e.Data) > livePartBytes || len(p.live) == livePartEntries {
			break
		}
		bytes += len(e.Data)
		p.live = append(p.live, e)
		p.sums = append(p.sums, engine.PayloadChecksum(e.Data))
		o.live = o.live[1:]
	}
	return p
}

// sendLocked sends a part; when the network does not take it, the transfer has failed and begins anew.
func (o *outgoing) sendLocked(p *snapshotPart) {
	p.to, p.toInc, p.transfer = o.to, o.inc, o.transfer
	if !o.server.node.sendSnapshot(o.to.Node, p) {
		o.endLocked(false)
	}
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
	o.server.node.wheel.stop(&o.stall)
	_ = o.from.Close()
	s := o.server
	s.outgoing.mu.Lock()
	delete(s.outgoing.list, o.transfer)
	s.outgoing.mu.Unlock()
	s.sending.Add(-1)
	if ok {
		s.count(CounterSnapshotsSent, 1)
	}
	s.mail.put(core.SnapshotSent{To: o.to, Transfer: o.transfer, OK: ok})
}
