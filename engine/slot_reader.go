package engine

import (
	"errors"
	"fmt"
)

// FromSlot goes on behind the newest position of a slot: what was acknowledged does not come again,
// but for what a crash took of it. The reader sees what the slot keeps,
// although the log's machine has released it; see Reader.Ack. Several readers of one slot see the
// same, as long as none acknowledges what another has yet to read: that one meets a GapError. Besides
// its own errors OpenReader has ErrNoSlot and SlotInvalidError then, which end the reader's iterations as
// well when the slot ends.
func FromSlot(name string) From { return From{kind: fromSlot, slot: name} }

// seekSlot places the reader behind the slot's newest position: what lies between the durable one and
// that goes at any moment.
func (r *Reader) seekSlot(name string) error {
	l := r.log
	l.mu.Lock()
	s, err := l.claimOfLocked(name)
	state := l.slots[name]
	if err == nil && state.ended.Load() != nil {
		err = *state.ended.Load()
	}
	if err != nil {
		l.mu.Unlock()
		return err
	}
	state.watch.active(l.e.now())
	r.slot.Store(state)
	r.pos = later(s.Acked, state.next)
	l.mu.Unlock()
	if r.pos.Index > l.view.Load().released.Index {
		err = l.checkCursor(Cursor{UID: l.uid, Incarnation: l.id, At: r.pos})
	}
	if err == nil || errors.Is(err, ErrCompacted) { // released, perhaps just now: the slot keeps it
		err = nil
		if r.pos.Index < r.low(l.view.Load()) {
			err = l.gap(r.pos.Index + 1)
		}
	}
	if first := r.o.Range.First; err == nil && r.pos.Index+1 < first {
		err = r.seekBehind(first - 1)
	}
	if end := r.slotEnd(); end != nil && errors.Is(err, ErrCompacted) { // that is why it was released
		err = end
	}
	r.start = r.pos.Index + 1
	return err
}

// Ack moves the reader's slot up to a cursor of this reader, or of an earlier one of the slot: the
// entries up to it are needed no longer. It returns without waiting, and forces no sync; see
// Log.AckSlot. It belongs to the goroutine that iterates, like Cursor. What the slot has passed
// already does nothing. Errors: ErrNoSlot (also of a reader without slot), ErrIncarnation,
// ErrOutOfRange (the cursor is ahead of what was delivered), DivergedError, and those of Log.AckSlot.
func (r *Reader) Ack(c Cursor) error {
	state := r.slot.Load()
	l := r.log
	switch {
	case state == nil:
		return fmt.Errorf("%w: reader of log %s was not opened at one", ErrNoSlot, l.uid)
	case c.UID != l.uid || c.Incarnation != l.id:
		return fmt.Errorf("%w: cursor of log %s, life %d; this is log %s, life %d", ErrIncarnation, c.UID, c.Incarnation, l.uid, l.id)
	case c.At.Index > r.pos.Index:
		return fmt.Errorf("%w: acknowledged %d, log %s was delivered up to %d", ErrOutOfRange, c.At.Index, l.uid, r.pos.Index)
	}
	if end := state.ended.Load(); end != nil {
		return *end
	}
	if v := l.view.Load(); c.At.Index > v.floor {
		if term, err := l.termOf(c.At.Index, true); err == nil && term != c.At.Term {
			return &DivergedError{Cursor: c, Have: EntryID{Term: term, Index: c.At.Index}, Last: l.Last(), Snapshot: l.newestSnapshot()}
		}
	}
	return l.ackSlotOf(state.name, state, c.At.Index)
}

// slotEnd is why the reader's slot is over, nil when it is not, or there is none.
func (r *Reader) slotEnd() error {
	if state := r.slot.Load(); state != nil {
		if end := state.ended.Load(); end != nil {
			return *end
		}
	}
	return nil
}

// low is the last index of the view that the reader can not see because it was released.
func (r *Reader) low(v *view) Index {
	if r.slot.Load() != nil {
		return v.floor
	}
	return v.released.Index
}
