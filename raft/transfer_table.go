package raft

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rawl-db/rawl/raft/core"
)

// Bounds of the pause before a snapshot is offered again to a member where the last one failed.
const (
	minTransferPause = 100 * time.Millisecond
	maxTransferPause = 10 * time.Second
)

// outgoingTable is the transfers of one server to its peers.
type outgoingTable struct {
	mu            sync.Mutex
	*transfersOut // nil until there are some: few servers ever lead members that lag behind
}

// transfersOut is what the table's lock guards.
type transfersOut struct {
	list   map[uint64]*outgoing // by their number
	opened map[ServerID]bool    // peers for which a snapshot is being opened, or is to be
	// failed is how often in a row transfers to members have failed for a reason that will not pass by itself: the snapshot cannot
	// be read, or the member cannot take it. That a node is away is no such reason: the core knows.
	failed map[core.Incarnation]int
	// reached is how far transfers to members came that did not come to their end.
	reached map[core.Incarnation]reached
	holdTable
}

// reached is a place in a snapshot, and how often in a row transfers were interrupted there.
type reached struct {
	at    EntryID
	chunk int
	times int
}

// mostTimes is how often a transfer that was interrupted where the one before was is waited for: what interrupts it may have come
// before it got on with chunks.
const mostTimes = 3

func (t *outgoingTable) get(transfer uint64) *outgoing {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.transfersOut == nil {
		return nil
	}
	return t.list[transfer]
}

// begin takes note that a snapshot is opened for a peer; false when one is already.
func (t *outgoingTable) begin(to ServerID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fillLocked()
	if t.opened[to] {
		return false
	}
	t.opened[to] = true
	return true
}

func (t *outgoingTable) fillLocked() {
	if t.transfersOut == nil {
		t.transfersOut = &transfersOut{list: make(map[uint64]*outgoing), opened: make(map[ServerID]bool), failed: make(map[core.Incarnation]int),
			reached: make(map[core.Incarnation]reached), holdTable: holdTable{holds: make(map[holder]hold)}}
	}
}

// add begins the transfer that was opened, nil when it could not be. It reports false when the server has stopped: who ends
// what a stopped server sends comes later.
func (t *outgoingTable) add(s *server, to ServerID, o *outgoing) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.opened, to)
	if s.stopError() != nil {
		return false
	}
	if o != nil {
		t.list[o.transfer] = o
		s.sending.Add(1)
		t.beginsLocked(o.inc, hold{at: o.meta.ID.Index, until: s.holdUntil()})
		o.rearm()
	}
	return true
}

// postpone notes that a member is busy: the next transfer waits for the least pause, if none has failed.
func (t *outgoingTable) postpone(to core.Incarnation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed[to] = max(t.failed[to], 1)
}

// fault counts a failure, forgive forgets them: something was taken.
func (t *outgoingTable) fault(to core.Incarnation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed[to]++
}

func (t *outgoingTable) forgive(to core.Incarnation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failed, to)
}

// pause is for how long the next transfer is to wait: it doubles with each failure.
func (t *outgoingTable) pause(to core.Incarnation) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.failed[to]; n > 0 {
		return min(maxTransferPause, minTransferPause<<min(n-1, 16))
	}
	return 0
}

// interrupted notes how far a transfer came, and reports whether another one is to be waited for: it goes on from there. One that comes
// no further, again and again, is not.
func (t *outgoingTable) interrupted(to core.Incarnation, at EntryID, chunk int) (waits bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.reached[to]
	if r.at != at || r.chunk < chunk {
		r = reached{at: at, chunk: chunk}
	}
	r.times++
	t.reached[to] = r
	return r.times <= mostTimes
}

// done forgets what was noted of a member that has the snapshot at an index, and what a former leader has asked for that began to send it.
func (t *outgoingTable) done(to core.Incarnation, at Index) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.reached, to)
	delete(t.failed, to)
	maps.DeleteFunc(t.holds, func(k holder, h hold) bool { return !k.asks.IsZero() && h.at <= at })
}

// used reports whether anything is on its way, or was.
func (t *outgoingTable) used() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.transfersOut != nil
}

// keep forgets what was noted of others than these. It reports whether they were told of a hold that has ended with that.
func (t *outgoingTable) keep(members []core.Member) (told bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	gone := func(i core.Incarnation) bool {
		return !slices.ContainsFunc(members, func(m core.Member) bool { return m.Incarnation == i })
	}
	maps.DeleteFunc(t.reached, func(i core.Incarnation, _ reached) bool { return gone(i) })
	maps.DeleteFunc(t.failed, func(i core.Incarnation, _ int) bool { return gone(i) })
	for k, h := range t.holds {
		if k.asks.IsZero() && gone(k.to) {
			told = told || h.told
			delete(t.holds, k)
		}
	}
	return told
}

func (t *outgoingTable) remove(transfer uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.list, transfer)
}

// all returns the transfers in the order in which they began.
func (t *outgoingTable) all() (list []*outgoing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.transfersOut == nil {
		return nil
	}
	for _, o := range t.list {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b *outgoing) int { return cmp.Compare(a.transfer, b.transfer) })
	return list
}
