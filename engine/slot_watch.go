package engine

import (
	"fmt"
	"time"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// slotWatch measures how long a slot holds something and how long it has been silent, on the
// engine's clock in nanoseconds.
type slotWatch struct {
	heard int64 // when the slot was last heard of, or was caught up
	// since is when the slot was first seen to hold what it holds now, and upTo the last entry that
	// was released then: behind it something younger is held. upTo 0 means that it held nothing.
	since int64
	upTo  Index
}

func newSlotState(name string, now int64) *slotState {
	return &slotState{name: name, watch: slotWatch{heard: now}}
}

func (w *slotWatch) active(now int64) { w.heard = max(w.heard, now) }

func (w *slotWatch) idleFor(now int64) time.Duration { return time.Duration(max(0, now-w.heard)) }

func (w *slotWatch) heldFor(now int64) time.Duration {
	if w.upTo == 0 {
		return 0
	}
	return time.Duration(max(0, now-w.since))
}

// look takes note of how a slot stands: acked is its position, released what the machine let go,
// end the last entry that it could acknowledge.
func (w *slotWatch) look(acked, released, end Index, now int64) {
	if acked >= end {
		w.active(now)
	}
	switch {
	case acked >= released:
		w.upTo = 0
	case acked >= w.upTo:
		w.since, w.upTo = now, released
	}
}

// slotCheckEvery is the number of the monitor's steps between two looks at all slots.
const slotCheckEvery = 10

// checkSlots gives up the slots of the engine that exceed a bound. It belongs to the monitor.
func (e *Engine) checkSlots(now int64) {
	for _, l := range e.slotted.snapshot() {
		for _, err := range l.checkSlots(now) {
			e.slotGivenUp(err)
		}
	}
}

// slotGivenUp tells of a slot that is over.
func (e *Engine) slotGivenUp(err *SlotInvalidError) {
	e.opts.Logger.Error("slot is given up", "uid", string(err.UID), "slot", err.Slot, "err", err)
	e.event(Event{Kind: EventSlotInvalid, UID: err.UID, Entry: err.Acked, Err: err})
}

func (l *Log) checkSlots(now int64) (givenUp []*SlotInvalidError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken.Load() != nil {
		l.e.slotted.note(l, false)
		return nil
	}
	v := l.view.Load()
	end := max(l.Committed(), v.released.Index)
	for _, s := range l.durable.seldom().claims {
		if s.Invalid {
			continue
		}
		state := l.slots[s.Name]
		acked := max(s.Acked.Index, state.next.Index)
		state.watch.look(acked, v.released.Index, end, now)
		reason := l.e.opts.slotExcess(v.held(acked), state.watch.heldFor(now), state.watch.idleFor(now))
		if reason == "" {
			continue
		}
		if err := l.giveUpSlotLocked(s, reason); err != nil {
			givenUp = append(givenUp, err)
		}
	}
	return givenUp
}

// giveUpSlotLocked returns nil when the record can not be queued now: the next look tries again.
func (l *Log) giveUpSlotLocked(s raftlog.Slot, reason string) *SlotInvalidError {
	loss := l.slotLossLocked(s, reason)
	state := l.slots[s.Name]
	s.Invalid = true
	err := l.controlLocked(pendingFact{kind: factSlot, more: &pendingMore{change: slotGivenUp, slot: s}}, slotControl(slotGivenUp, s, true))
	if err != nil {
		return nil
	}
	state.end(loss)
	l.claimLocked(slotGivenUp, s)
	l.happened(happenedEnd)
	return loss
}

// slotExcess says which bound a slot exceeds, "" for none.
func (o *Options) slotExcess(bytes int64, age, idle time.Duration) string {
	switch {
	case o.SlotMaxBytes > 0 && bytes > o.SlotMaxBytes:
		return fmt.Sprintf("it holds %d bytes, at most %d", bytes, o.SlotMaxBytes)
	case o.SlotMaxAge > 0 && age > o.SlotMaxAge:
		return fmt.Sprintf("it has held entries for %v, at most %v", age, o.SlotMaxAge)
	case o.SlotMaxIdle > 0 && idle > o.SlotMaxIdle:
		return fmt.Sprintf("it was not heard of for %v, at most %v", idle, o.SlotMaxIdle)
	}
	return ""
}
