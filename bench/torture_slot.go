package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// Bounds of slots under torture: who acknowledges now and then stays below, who does so seldom does not.
const (
	tortureSlotBytes = 192 << 10
	tortureSlotAge   = 200 * time.Millisecond
)

// attachSlot goes on at a slot: it makes one, opens a reader at it, or, when it was given up, drops it
// some time.
func (o *owner) attachSlot(l *tortureLog, t *tail) error {
	if t.life != l.state.life {
		t.life = l.state.life
	}
	s, exists := l.state.slots[t.name]
	if !exists {
		if o.rng.IntN(4) > 0 {
			return nil
		}
		return o.createSlot(l, t)
	}
	t.dropping.Store(false)
	if lost := t.lost.Swap(false); lost && t.slot == s.op { // else that was another of the name
		if err := o.givenUp(l, t.name); err != nil {
			return err
		}
	}
	if t.slot != s.op {
		t.slot, t.lazy = s.op, o.rng.IntN(3) == 0
	}
	if l.state.slots[t.name].givenUp {
		return o.useless(l, t)
	}
	return o.openSlot(l, t)
}

// createSlot makes a slot at what is released or committed. A snapshot that is about to release more may
// forbid that.
func (o *owner) createSlot(l *tortureLog, t *tail) (err error) {
	after := o.between(l.state.released.Index, max(l.state.released.Index, l.committed))
	waits := o.waits(l)
	op := o.t.journal.intent("n", l.uid, t.name, after)
	if waits {
		ctx, cancel := o.patience()
		defer cancel()
		err = l.log.CreateSlotSync(ctx, t.name, after)
	} else {
		err = l.log.CreateSlot(t.name, after)
	}
	var gap *engine.GapError
	late := errors.Is(err, context.DeadlineExceeded) && !hasSlot(l.log, t.name) // over before it began
	if late || errors.As(err, &gap) && l.capture != nil {
		o.t.journal.answer("F", op, l.uid)
		return o.t.journal.failed()
	}
	return o.done(l, op, waits, err, step{kind: stepSlotCreate, op: op, name: t.name, index: after})
}

func hasSlot(l *engine.Log, name string) bool {
	for _, s := range l.Slots() {
		if s.Name == name {
			return true
		}
	}
	return false
}

// openSlot opens a reader at the slot. It may find that the slot was given up, and nothing else.
func (o *owner) openSlot(l *tortureLog, t *tail) (err error) {
	t.rng = rand.New(rand.NewPCG(o.rng.Uint64(), 4))
	t.reader, err = o.t.e.OpenReader(l.uid, engine.FromSlot(t.name), engine.ReaderOptions{Name: t.name, MaxBatchEntries: 1 + t.rng.IntN(64)})
	if errors.Is(err, engine.ErrSlotInvalid) {
		return o.lostSlot(l, t.name, err)
	}
	if err != nil {
		return err
	}
	o.t.journal.reading("z", l.uid, t.life, t.name, t.slot, t.reader.Cursor().At.Index)
	t.over.Store(false)
	o.t.readers.Go(t.run)
	return nil
}

// lostSlot takes note of the error of a slot that was given up.
func (o *owner) lostSlot(l *tortureLog, name string, err error) error {
	if err := o.t.losses.expect(l.uid, name, err); err != nil {
		return err
	}
	return o.givenUp(l, name)
}

// givenUp takes note of a slot that the engine has given up.
func (o *owner) givenUp(l *tortureLog, name string) error {
	s, exists := l.state.slots[name]
	if !exists || s.givenUp {
		return nil
	}
	o.t.journal.slot("g", l.uid, l.state.life, s.op)
	return l.state.apply(&step{kind: stepSlotGivenUp, slot: s.op})
}

// useless makes sure that a slot which was given up serves nobody, and now and then drops it.
func (o *owner) useless(l *tortureLog, t *tail) error {
	r, err := o.t.e.OpenReader(l.uid, engine.FromSlot(t.name), engine.ReaderOptions{})
	if err == nil {
		r.Close()
	}
	if err := o.t.losses.expect(l.uid, t.name, err); err != nil {
		return err
	}
	if err := l.log.AckSlot(t.name, l.state.released.Index); !errors.Is(err, engine.ErrSlotInvalid) {
		return fmt.Errorf("acknowledgement of a slot that was given up: %w", err)
	}
	if err := l.log.CreateSlot(t.name, l.committed); !errors.Is(err, engine.ErrSlotExists) && !errors.Is(err, engine.ErrCompacted) {
		return fmt.Errorf("creation over a slot that was given up: %w", err)
	}
	if o.rng.IntN(32) == 0 {
		return o.dropSlot(l, t)
	}
	return nil
}

// dropSlot ends a slot, perhaps with a reader at it.
func (o *owner) dropSlot(l *tortureLog, t *tail) error {
	t.dropping.Store(true)
	op := o.t.journal.intent("x", l.uid, t.name)
	return o.done(l, op, false, l.log.DropSlot(t.name), step{kind: stepSlotDrop, op: op, name: t.name})
}

// observeSlots writes down what the engine says of the log's slots: those that were made and not
// dropped. Now and then it drops one.
func (o *owner) observeSlots(l *tortureLog) error {
	all := l.log.Slots()
	if len(all) != len(l.state.slots) {
		return fmt.Errorf("%d slots, %d were made: %v", len(all), len(l.state.slots), all)
	}
	for _, info := range all {
		s, made := l.state.slots[info.Name]
		if !made || info.Durable.Index > info.Acked.Index || s.givenUp && !info.Invalid {
			return fmt.Errorf("%+v is not %+v", info, s)
		}
		if info.Durable.Index > 0 {
			o.t.journal.slot("u", l.uid, l.state.life, s.op, info.Durable.Index)
		}
		if info.Invalid {
			if err := o.givenUp(l, info.Name); err != nil {
				return err
			}
		}
	}
	if len(l.slots) == 0 || o.rng.IntN(16) > 0 {
		return nil
	}
	t := l.slots[o.rng.IntN(len(l.slots))]
	if _, exists := l.state.slots[t.name]; !exists {
		return nil
	}
	return o.dropSlot(l, t)
}

// acknowledge lets the reader's slot move up, now and then. It is false when the slot is over.
func (t *tail) acknowledge() bool {
	seldom := 3
	if t.lazy {
		seldom = 400
	}
	if t.rng.IntN(seldom) > 0 {
		return true
	}
	c := t.reader.Cursor()
	t.t.journal.slot("q", t.uid, t.life, t.slot, c.At.Index)
	err := t.reader.Ack(c)
	switch {
	case err == nil, errors.Is(err, engine.ErrBusy):
		return true
	case t.slotEnded(err), errors.Is(err, engine.ErrDeleted), errors.Is(err, engine.ErrClosed):
	default:
		t.t.fail(fmt.Errorf("log %s: %s: acknowledge %v: %w", t.uid, t.name, c, err))
	}
	return false
}

// slotEnded reports whether an error is that of a slot which was dropped or given up.
func (t *tail) slotEnded(err error) bool {
	switch {
	case !t.slotted:
		return false
	case errors.Is(err, engine.ErrSlotInvalid):
		if err := t.t.losses.expect(t.uid, t.name, err); err != nil {
			t.t.fail(fmt.Errorf("log %s: %w", t.uid, err))
		}
		t.lost.Store(true)
		return true
	}
	return errors.Is(err, engine.ErrNoSlot) && t.dropping.Load()
}

// losses are the slots that were given up: what readers hear of, an event must have told.
type losses struct {
	mu        sync.Mutex
	told, due map[lostSlot]bool
}

// lostSlot names a slot that was given up in this run.
type lostSlot struct {
	uid   engine.UID
	name  string
	acked engine.EntryID
}

// expect checks the error of a slot that was given up.
func (x *losses) expect(uid engine.UID, name string, err error) error {
	var lost *engine.SlotInvalidError
	if !errors.As(err, &lost) || lost.UID != uid || lost.Slot != name || lost.Lost.First != lost.Acked.Index+1 {
		return fmt.Errorf("%s was given up, and says %w", name, err)
	}
	if lost.Reason != "" { // in this life of the engine
		x.note(&x.due, lost)
	}
	return nil
}

func (x *losses) note(to *map[lostSlot]bool, lost *engine.SlotInvalidError) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if *to == nil {
		*to = make(map[lostSlot]bool)
	}
	(*to)[lostSlot{lost.UID, lost.Slot, lost.Acked}] = true
}

// event is Options.OnEvent.
func (x *losses) event(ev engine.Event) {
	var lost *engine.SlotInvalidError
	if ev.Kind == engine.EventSlotInvalid && errors.As(ev.Err, &lost) {
		x.note(&x.told, lost)
	}
}

// silent is the error of a slot that was given up without an event. It is for the end.
func (x *losses) silent() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for s := range x.due {
		if !x.told[s] {
			return fmt.Errorf("log %s: slot %s at %v was given up silently", s.uid, s.name, s.acked)
		}
	}
	return nil
}
