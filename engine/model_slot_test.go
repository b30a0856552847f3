package engine_test

import (
	"context"
	"fmt"
	"maps"

	"github.com/rawl-db/rawl/engine"
)

// slotPlace is where a slot stands.
type slotPlace struct {
	acked   engine.EntryID
	invalid bool
}

func (s *state) applySlot(r rec) {
	if s.slots == nil {
		s.slots = make(map[string]slotPlace)
	}
	at := s.slots[r.slot]
	switch r.kind {
	case recSlotCreate:
		at = slotPlace{acked: r.id}
	case recSlotAck:
		at.acked = r.id
	case recSlotGiveUp:
		at.invalid = true
	}
	s.slots[r.slot] = at
	if r.kind == recSlotDrop {
		delete(s.slots, r.slot)
	}
	s.pruneHeld()
}

// floor is the last index that neither the machine nor a slot needs.
func (s *state) floor() engine.Index {
	i := s.released.Index
	for _, at := range s.slots {
		if !at.invalid {
			i = min(i, at.acked.Index)
		}
	}
	return i
}

// passSlots ends the slots that wanted what an installed snapshot replaced.
func (s *state) passSlots() {
	for name, at := range s.slots {
		if at.acked.Index < s.released.Index {
			at.invalid = true
			s.slots[name] = at
		}
	}
	s.pruneHeld()
}

// hold notes entries that a release lets go of, as far as slots need them.
func (s *state) hold(upTo engine.Index) {
	if len(s.slots) == 0 {
		return
	}
	if s.held == nil {
		s.held = make(map[engine.Index]engine.Term)
	}
	for i := s.released.Index + 1; i <= upTo; i++ {
		s.held[i] = s.at(i).Term
	}
}

func (s *state) pruneHeld() {
	floor := s.floor()
	maps.DeleteFunc(s.held, func(i engine.Index, _ engine.Term) bool { return i <= floor })
}

// acked is the highest position of a slot: nothing up to it can be cut.
func (s *state) acked() (i engine.Index) {
	for _, at := range s.slots {
		i = max(i, at.acked.Index)
	}
	return i
}

// slot does something to a slot of the log.
func (w *world) slot(l *engine.Log, h *history) {
	w.t.Helper()
	if queued, durable := l.Controls(); queued-durable > 30 {
		return // acknowledgements would become one record
	}
	s := &h.now
	known := max(l.Committed(), l.First()-1, s.released.Index)
	if known < s.last().Index && w.rng.IntN(2) == 0 {
		known += 1 + engine.Index(w.rng.Uint64N(uint64(s.last().Index-known)))
	}
	if known > s.released.Index && !w.did(l.SetCommitted(known)) || max(l.Committed(), l.First()-1) < known {
		return
	}
	name := fmt.Sprintf("slot-%d", w.rng.IntN(2))
	at, exists := s.slots[name]
	low := max(s.released.Index, at.acked.Index)
	id := s.at(low + engine.Index(w.rng.Uint64N(uint64(known-min(low, known))+1)))
	if id.Index > known {
		return
	}
	switch d := w.rng.IntN(10); {
	case !exists:
		if w.did(l.CreateSlot(name, id.Index)) {
			w.control(l, h, rec{kind: recSlotCreate, slot: name, id: id})
		}
	case d == 0 && !at.invalid:
		if w.did(l.GiveUpSlot(name)) {
			w.control(l, h, rec{kind: recSlotGiveUp, slot: name})
		}
	case d <= 1 || at.invalid:
		if w.did(l.DropSlot(name)) {
			w.control(l, h, rec{kind: recSlotDrop, slot: name})
		}
	default:
		if at.acked.Index < s.released.Index && w.rng.IntN(2) == 0 { // among what is held
			i := at.acked.Index + 1 + engine.Index(w.rng.Uint64N(uint64(s.released.Index-at.acked.Index)))
			id = engine.EntryID{Term: s.held[i], Index: i}
			if i == s.released.Index {
				id = s.released
			}
		}
		if id.Index > at.acked.Index && w.did(l.AckSlot(name, id.Index)) {
			w.control(l, h, rec{kind: recSlotAck, slot: name, id: id})
		}
	}
}

// observeSlots reads what slots hold, by a reader of each.
func observeSlots(l *engine.Log, open func(engine.From) (*engine.Reader, error), s *state, largest int) error {
	for _, info := range l.Slots() {
		if s.slots == nil {
			s.slots, s.held = make(map[string]slotPlace), make(map[engine.Index]engine.Term)
		}
		s.slots[info.Name] = slotPlace{info.Acked, info.Invalid}
		if info.Invalid {
			continue
		}
		if err := observeSlot(l, open, info, s, largest); err != nil {
			return fmt.Errorf("slot %s at %v, durable at %v: %w", info.Name, info.Acked, info.Durable, err)
		}
	}
	return nil
}

func observeSlot(l *engine.Log, open func(engine.From) (*engine.Reader, error), info engine.SlotInfo, s *state, largest int) error {
	r, err := open(engine.FromSlot(info.Name))
	if err != nil {
		return err
	}
	defer r.Close()
	next := r.Cursor().At.Index + 1
	if next > info.Acked.Index+1 {
		return fmt.Errorf("reader begins with %d", next)
	}
	for e, err := range r.Entries(context.Background()) {
		if err != nil {
			return err
		}
		life, err := checkEntry(l.UID(), e, largest)
		if err != nil || e.Index != next || s.life > 0 && life > 0 && life != s.life {
			return fmt.Errorf("entry %v of life %d at %d, log of %d: %w", e.ID(), life, next, s.life, err)
		}
		s.life = max(s.life, life)
		if e.Index > info.Acked.Index && e.Index <= s.released.Index {
			s.held[e.Index] = e.Term
		}
		next++
	}
	if next <= s.released.Index {
		return fmt.Errorf("reader ends before %d, released is %v", next, s.released)
	}
	return nil
}
