package raft

import (
	"time"

	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/raft/core"
)

// hold keeps a server from taking snapshots behind an index, for some time.
type hold struct {
	at    Index
	until int64
	told  bool // to the other members; of holds for transfers of this server
}

// holder is what a hold is for: another member that asks for it, or a member that this server sends a snapshot, or has sent some of one.
type holder struct {
	asks ServerID
	to   core.Incarnation
}

// holdTable is what keeps released cursors waiting that ask for it. The lock of the outgoingTable guards it.
type holdTable struct {
	holds map[holder]hold
	look  alarm // rings when somebody is to look at them
	looks bool  // it is set, or rings
}

// beginsLocked begins the hold for a transfer of which nothing was taken yet. One that goes on where another one of the same snapshot was
// interrupted has that one's hold, and does not prolong it.
func (t *outgoingTable) beginsLocked(to core.Incarnation, h hold) {
	if before := t.holds[holder{to: to}]; !before.told || before.at != h.at {
		t.holds[holder{to: to}] = h
	}
}

// endsAsItBegan ends the hold for a transfer of which nothing was taken, unless it is that of an interrupted one.
func (t *outgoingTable) endsAsItBegan(to core.Incarnation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.holds[holder{to: to}].told {
		delete(t.holds, holder{to: to})
	}
}

// goesOn prolongs the hold for a transfer of which something was taken, and reports whether the other members have not heard of it.
func (t *outgoingTable) goesOn(to core.Incarnation, at Index, until int64) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.holds[holder{to: to}]
	t.holds[holder{to: to}] = hold{at: at, until: until, told: true}
	return !before.told || before.at != at
}

// over ends the hold for a transfer, and reports whether the other members have heard of it.
func (t *outgoingTable) over(to core.Incarnation) (told bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	told = t.holds[holder{to: to}].told
	delete(t.holds, holder{to: to})
	return told
}

// asked takes note of what another member asks for, in the place of what it has asked for before.
func (t *outgoingTable) asked(from ServerID, h hold) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fillLocked()
	t.holds[holder{asks: from}] = h
}

// held reports whether a snapshot at an index is to wait.
func (t *outgoingTable) held(at Index, now int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.transfersOut == nil {
		return false
	}
	for _, h := range t.holds {
		if at > h.at && now < h.until {
			return true
		}
	}
	return false
}

// telling is what the other members are asked for: to take no snapshot behind at for the time left, which is 0 when they may take any.
func (t *outgoingTable) telling(now int64) (at Index, left time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.transfersOut == nil {
		return 0, 0
	}
	for _, h := range t.holds {
		if d := time.Duration(h.until - now); h.told && d > 0 {
			if left == 0 || h.at < at {
				at = h.at
			}
			left = max(left, d)
		}
	}
	return at, left
}

// beginLooks sets the alarm for at, unless it is set.
func (t *outgoingTable) beginLooks(w *wheel, at int64, ring func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.looks {
		t.looks, t.look.ring = true, ring
		w.set(&t.look, at)
	}
}

// lookAgain forgets what has run out, and sets the alarm for at, or for when the next hold runs out; not when there is none.
func (t *outgoingTable) lookAgain(w *wheel, now, at int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := sched.Never
	for k, h := range t.holds {
		if now < h.until {
			next = min(next, h.until)
		} else {
			delete(t.holds, k)
		}
	}
	if t.looks = next < sched.Never; t.looks {
		w.set(&t.look, min(at, next))
	}
}

// endLooks ends them for good.
func (t *outgoingTable) endLooks(w *wheel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.transfersOut != nil {
		t.looks = true
		w.stop(&t.look)
	}
}
