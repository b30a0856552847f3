package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// A slot is a named reader's claim on a log: entries behind its position stay although the log's
// machine releases them. A claim counts from when it is made, and what it holds goes when its next
// position, or its end, is durable. Two lists follow from that: durableFacts.claims has the newest
// positions, durableFacts.slots those that are durable, and both hold; see durableFacts.floor.
// The floor never falls from record to record: a new slot may not begin below what is still there,
// and not below what a queued release or snapshot will have let go.

// MaxSlots bounds the slots of one log.
const MaxSlots = 128

// slotState is what an engine knows of a slot besides its position.
type slotState struct {
	name string
	// ended is why the slot is over, nil while it is not. It is set once, and loaded without a lock
	// by the slot's readers.
	ended atomic.Pointer[error]

	// Guarded by Log.mu.
	created uint64  // the number of its creation's record among the log's control records
	queued  int     // acknowledgements whose records are not durable yet
	next    EntryID // acknowledged when queued was at its bound, zero for nothing
	watch   slotWatch
}

// maxQueuedAcks bounds the acknowledgements of one slot that wait for the device: what comes
// meanwhile becomes one record.
const maxQueuedAcks = 64

func (s *slotState) end(err error) { s.ended.CompareAndSwap(nil, &err) }

// slotList holds the logs that have slots, for the monitor.
type slotList struct {
	mu   sync.Mutex
	logs map[*Log]struct{}
}

// note adds or removes a log. Log.mu is held.
func (s *slotList) note(l *Log, has bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !has {
		delete(s.logs, l)
		return
	}
	if s.logs == nil {
		s.logs = make(map[*Log]struct{})
	}
	s.logs[l] = struct{}{}
}

// snapshot returns the logs in the order of their ids.
func (s *slotList) snapshot() []*Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.logs) == 0 {
		return nil
	}
	logs := make([]*Log, 0, len(s.logs))
	for l := range s.logs {
		logs = append(logs, l)
	}
	slices.SortFunc(logs, func(a, b *Log) int { return int(int64(a.id - b.id)) })
	return logs
}

// CreateSlot makes a slot behind the entry with index after: entries above stay until the slot
// acknowledges them, is dropped, or exceeds a bound of Options. The log keeps them from now on; the
// slot outlives the engine when its record is durable, which any later acknowledgement on the log
// implies. After must be released or committed; 0 is the log's begin.
//
// Errors: ErrBadSlot, ErrSlotExists, ErrTooManySlots, GapError (what the slot wants was released, or
// is about to be), ErrOutOfRange (after is neither released nor committed), ErrBusy, ErrFailed,
// ErrClosed, ErrDeleted, ErrQuarantined, and those of reading a segment.
func (l *Log) CreateSlot(name string, after Index) error {
	if err := l.createSlot(name, after, true); err != nil {
		return err
	}
	l.mu.Unlock()
	return nil
}

// CreateSlotSync is CreateSlot, and then waits until the slot is durable or ctx ends. When ctx ends
// first its cause is returned, and the slot exists; when it has ended before, nothing is done.
func (l *Log) CreateSlotSync(ctx context.Context, name string, after Index) error {
	if ctx.Err() != nil {
		return l.canceled(ctx, "create slot")
	}
	if err := l.createSlot(name, after, false); err != nil {
		return err
	}
	return l.awaitControl(ctx)
}

// createSlot leaves mu held when it succeeds.
func (l *Log) createSlot(name string, after Index, lazy bool) error {
	if err := checkSlotName(name); err != nil {
		return err
	}
	term, err := l.lockKnowing(after)
	if errors.Is(err, ErrCompacted) {
		return l.gap(after + 1)
	} else if err != nil {
		return err
	}
	s := raftlog.Slot{Name: name, Acked: EntryID{Term: term, Index: after}}
	first := l.leavingLocked() + 1
	if after+1 < first {
		l.mu.Unlock()
		return &GapError{UID: l.uid, Want: after + 1, First: first, Snapshot: l.newestSnapshot()}
	}
	if err := l.createSlotLocked(s, lazy); err != nil {
		l.mu.Unlock()
		return err
	}
	return nil
}

func (l *Log) createSlotLocked(s raftlog.Slot, lazy bool) error {
	if err := l.usable(); err != nil {
		return err
	}
	claims := l.durable.seldom().claims
	if _, exists := findSlot(claims, s.Name); exists {
		return fmt.Errorf("%w: %s of log %s", ErrSlotExists, s.Name, l.uid)
	}
	if len(claims) >= MaxSlots {
		return fmt.Errorf("%w: log %s has %d", ErrTooManySlots, l.uid, len(claims))
	}
	if known := max(l.Committed(), l.view.Load().released.Index); s.Acked.Index > known {
		return fmt.Errorf("%w: slot at %v, log %s is committed up to %d", ErrOutOfRange, s.Acked, l.uid, known)
	}
	return l.changeSlotLocked(slotCreated, s, lazy)
}

// leavingLocked is the last index that is released, or that a queued snapshot will release.
func (l *Log) leavingLocked() Index {
	i := l.view.Load().released.Index
	for k := range l.controls {
		if f := &l.controls[k]; f.kind == factSnapshot && f.more.snap.Kind == KindSnapshot {
			i = max(i, f.id.Index)
		}
	}
	return i
}

// changeSlotLocked queues a change of a slot and lets the newest positions show it.
func (l *Log) changeSlotLocked(change slotChange, s raftlog.Slot, lazy bool) error {
	err := l.controlLocked(pendingFact{kind: factSlot, more: &pendingMore{change: change, slot: s}}, slotControl(change, s, lazy))
	if err != nil {
		return err
	}
	l.claimLocked(change, s)
	if change == slotCreated {
		l.slots[s.Name].created = l.controls[len(l.controls)-1].seq
	}
	return nil
}

// durableSlotLocked is the durable position of the slot that a name stands for now; ok is false while
// its creation is not durable. One of that name that was dropped may be durable still: that is another.
func (l *Log) durableSlotLocked(name string) (s raftlog.Slot, ok bool) {
	if state := l.slots[name]; state == nil || state.created > l.done {
		return s, false
	}
	return findSlot(l.durable.seldom().slots, name)
}

// claimLocked makes the newest positions follow a change.
func (l *Log) claimLocked(change slotChange, s raftlog.Slot) {
	rare := l.durable.change()
	rare.claims = changeSlots(rare.claims, change, s)
	state := l.slots[s.Name]
	switch {
	case change == slotCreated:
		if l.slots == nil {
			l.slots = make(map[string]*slotState)
		}
		l.slots[s.Name] = newSlotState(s.Name, l.e.now())
	case change == slotDropped && state != nil:
		state.end(fmt.Errorf("%w: %s of log %s was dropped", ErrNoSlot, s.Name, l.uid))
		delete(l.slots, s.Name)
	case change == slotGivenUp && state != nil:
		state.end(l.slotLossLocked(s, ""))
	}
	l.e.slotted.note(l, len(l.slots) > 0)
}

// adoptSlots takes over the slots that the manifest has. It is for recovery.
func (l *Log) adoptSlots(slots []raftlog.Slot, asOf raftlog.Batch) {
	rare := l.durable.change()
	rare.slots, rare.slotsAsOf = slots, asOf
	for _, s := range slots {
		l.claimLocked(slotCreated, s)
		if s.Invalid {
			l.claimLocked(slotGivenUp, s)
		}
	}
}

// DropSlot ends a slot, valid or not. What it holds goes when that is durable; its readers end with
// ErrNoSlot. Errors: ErrNoSlot, ErrBusy, ErrFailed, ErrClosed, ErrDeleted, ErrQuarantined.
func (l *Log) DropSlot(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.slotLocked(name)
	if err != nil {
		return err
	}
	if err := l.changeSlotLocked(slotDropped, s, true); err != nil {
		return err
	}
	l.happened(happenedEnd)
	return nil
}

// slotLocked returns the newest position of a slot that is to be changed.
func (l *Log) slotLocked(name string) (raftlog.Slot, error) {
	if err := l.usable(); err != nil {
		return raftlog.Slot{}, err
	}
	return l.claimOfLocked(name)
}

// claimOfLocked is slotLocked for who reads: a failed engine still serves that.
func (l *Log) claimOfLocked(name string) (raftlog.Slot, error) {
	s, ok := findSlot(l.durable.seldom().claims, name)
	if !ok {
		return s, fmt.Errorf("%w: %s of log %s", ErrNoSlot, shortName(name), l.uid)
	}
	return s, nil
}

// shortName is a name from outside as an error may repeat it.
func shortName(name string) string { return fmt.Sprintf("%.*q", raftlog.MaxSlotName, name) }

// AckSlot says that the reader of a slot needs entries up to i no longer. The record rides with the
// next batch and forces no sync; what the slot holds goes when that is durable. An index at or
// below the slot's position does nothing. Any goroutine. Errors: ErrNoSlot, SlotInvalidError,
// ErrOutOfRange (i is neither released nor committed), ErrBusy, ErrFailed, ErrClosed, ErrDeleted,
// ErrQuarantined, and those of reading a segment.
func (l *Log) AckSlot(name string, i Index) error { return l.ackSlotOf(name, nil, i) }

// ackSlotOf is AckSlot for a reader of the slot of; nil is whichever has the name. Another of that
// name may have taken its place.
func (l *Log) ackSlotOf(name string, of *slotState, i Index) error {
	l.mu.Lock()
	s, err := l.slotToAckLocked(name, of)
	known := max(l.Committed(), l.view.Load().released.Index)
	l.mu.Unlock()
	switch {
	case err != nil:
		return err
	case i <= s.Acked.Index && !s.Invalid:
		return nil
	case i > known:
		return fmt.Errorf("%w: slot %s acknowledges %d, log %s is committed up to %d", ErrOutOfRange, s.Name, i, l.uid, known)
	}
	term, err := l.termOf(i, true)
	if err != nil && !errors.Is(err, ErrCompacted) { // released by an ack that was faster
		return err
	}
	return l.ackSlot(name, of, EntryID{Term: term, Index: i})
}

// slotToAckLocked is slotLocked with the error of a slot that is over.
func (l *Log) slotToAckLocked(name string, of *slotState) (raftlog.Slot, error) {
	s, err := l.slotLocked(name)
	if err == nil && of != nil && l.slots[name] != of {
		err = *of.ended.Load() // whoever takes a slot away ends it first
	}
	return s, err
}

// ackSlot moves the slot up to an entry that is in the log and committed.
func (l *Log) ackSlot(name string, of *slotState, to EntryID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.slotToAckLocked(name, of)
	if err != nil {
		return err
	}
	state := l.slots[name]
	if end := state.ended.Load(); end != nil {
		return *end
	}
	state.watch.active(l.e.now())
	if to.Index <= s.Acked.Index {
		return nil
	}
	s.Acked = to
	if state.queued >= maxQueuedAcks {
		state.next = later(state.next, to)
		return nil
	}
	if err := l.changeSlotLocked(slotAcked, s, true); err != nil {
		return err
	}
	state.queued++
	return nil
}

// settleSlotLocked makes a change of a slot count: its record is durable.
func (l *Log) settleSlotLocked(f *pendingFact, batch raftlog.Batch) {
	change, s := f.more.change, f.more.slot
	rare := l.durable.change()
	rare.slots, rare.slotsAsOf = changeSlots(rare.slots, change, s), batch
	if state := l.slots[s.Name]; state != nil && change == slotAcked && state.queued > 0 {
		state.queued--
		if next := state.next; next.Index > 0 && state.ended.Load() == nil {
			s := raftlog.Slot{Name: s.Name, Acked: next}
			if l.changeSlotLocked(slotAcked, s, true) == nil { // else it goes with a later one
				state.queued++
				state.next = EntryID{}
			}
		}
	}
	l.retainLocked()
}

// retainLocked lets go of what slots do not hold any more.
func (l *Log) retainLocked() {
	v := l.view.Load()
	n := v.release(v.released, l.durable.floor(v.released.Index), v.live)
	if n.floor == v.floor {
		return
	}
	l.setView(n)
	l.dropReleasedLocked()
	if len(n.segments) < len(v.segments) {
		l.e.flusher.tidy(l)
		l.happened(happenedSegments)
	}
}
