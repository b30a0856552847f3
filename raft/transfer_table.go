package raft

import (
	"cmp"
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
	// Another member that sends a snapshot at heldAt asks for none behind it until then.
	heldAt    Index
	heldUntil int64
}

// reached is a place in a snapshot.
type reached struct {
	at    EntryID
	chunk int
}

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
			reached: make(map[core.Incarnation]reached)}
	}
}

// hold takes note that no snapshot behind at is to be taken until then; with 0 that any may.
func (t *outgoingTable) hold(at Index, until int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fillLocked()
	t.heldAt, t.heldUntil = at, until
}

// held reports whether a snapshot at an index would be behind that.
func (t *outgoingTable) held(at Index, now int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.transfersOut != nil && t.heldAt > 0 && at > t.heldAt && now < t.heldUntil
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

// further notes how far a transfer came, and reports whether that is further than the last one of the same snapshot.
func (t *outgoingTable) further(to core.Incarnation, r reached) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before := t.reached[to]; before.at == r.at && before.chunk >= r.chunk {
		return false
	}
	t.reached[to] = r
	return true
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
