package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rawl-db/rawl/engine"
)

// slotFacts are the bounds of a slot's durable position: what the engine said, and what was asked.
type slotFacts struct {
	name       string
	sure, most engine.Index
}

// slotCounts is what a journal tells of slots.
type slotCounts struct{ created, dropped, acked, durable, givenUp int }

func (c *slotCounts) count(kind string) {
	switch kind {
	case "q":
		c.acked++
	case "u":
		c.durable++
	case "g":
		c.givenUp++
	}
}

func (c slotCounts) String() string {
	return fmt.Sprintf("%d created, %d acknowledged, %d known to be durable, %d given up, %d dropped", c.created, c.acked, c.durable, c.givenUp, c.dropped)
}

// slotState is a slot as a log should have it.
type slotState struct {
	op      uint64 // that created it
	givenUp bool   // it certainly is; else it may be at any time
	facts   *slotFacts
}

func (s slotState) String() string {
	text := "at an unknown place"
	if s.facts != nil {
		text = fmt.Sprintf("at %d to %d", s.facts.sure, s.facts.most)
	}
	return text + givenUpText(s.givenUp)
}

// foundSlot is a slot as the engine has it.
type foundSlot struct {
	at      engine.Index
	givenUp bool // by an earlier life of the engine
}

func (s foundSlot) String() string { return fmt.Sprintf("at %d%s", s.at, givenUpText(s.givenUp)) }

func givenUpText(is bool) string {
	if is {
		return ", given up"
	}
	return ""
}

func givenUpWord(is bool) int {
	if is {
		return 1
	}
	return 0
}

func slotsText[S fmt.Stringer](slots map[string]S) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(slots)) {
		fmt.Fprintf(&b, ", %s %s", name, slots[name])
	}
	return b.String()
}

// changeSlot carries out a step of a slot. What is said of a slot that is over means nothing.
func (s *logState) changeSlot(p *step) bool {
	old, exists := s.slots[p.name]
	if p.kind == stepSlotGivenUp {
		if p.name, exists = s.slotOf(p.slot); !exists {
			return true
		}
		old = s.slots[p.name]
	}
	if !s.exists || exists == (p.kind == stepSlotCreate) {
		return false
	}
	slots := make(map[string]slotState, len(s.slots)+1)
	maps.Copy(slots, s.slots)
	switch p.kind {
	case stepSlotCreate:
		slots[p.name] = slotState{op: p.op, facts: p.facts}
	case stepSlotDrop:
		delete(slots, p.name)
	case stepSlotGivenUp:
		old.givenUp = true
		slots[p.name] = old
	}
	s.slots = slots
	return true
}

// slotOf is the name of the slot that an operation created, if it is still there.
func (s *logState) slotOf(op uint64) (name string, ok bool) {
	for name, at := range s.slots {
		if at.op == op {
			return name, true
		}
	}
	return "", false
}

// slotsMatch reports whether the slots that were found are those of s: at positions that were asked
// for, and not behind those that were durable.
func (f found) slotsMatch(s *logState) bool {
	if len(f.slots) != len(s.slots) {
		return false
	}
	for name, at := range f.slots {
		want, ok := s.slots[name]
		if !ok || at.at < want.facts.sure || at.at > want.facts.most || want.givenUp && !at.givenUp {
			return false
		}
	}
	return true
}

// settleSlots takes the slots that were found as certain, and returns s.
func (s *logState) settleSlots(f found) *logState {
	slots := make(map[string]slotState, len(s.slots))
	for name, at := range s.slots {
		is := f.slots[name]
		at.givenUp, at.facts.sure, at.facts.most = is.givenUp, is.at, is.at
		slots[name] = at
	}
	s.slots = slots
	return s
}

// kept is the entry at an index that a slot may keep.
func (s *logState) kept(i engine.Index) modelEntry {
	if i <= s.released.Index {
		return s.gone[i-1]
	}
	return s.at(i)
}

// createSlot reads the rest of an announced creation.
func (x *facts) createSlot(op uint64, f *fields) step {
	name, after := f.word(), f.index()
	s := &slotFacts{name: name, sure: after, most: after}
	x.slots[op] = s
	return step{kind: stepSlotCreate, name: name, index: after, facts: s}
}

// slot takes a line about what befalls a slot.
func (m *logModel) slot(kind string, f *fields) error {
	op := f.number()
	s := m.slots[op]
	if s == nil {
		return errors.New("a slot that was never created")
	}
	switch kind {
	case "q":
		s.most = max(s.most, f.index())
	case "u":
		i := f.index()
		if i > s.most {
			return fmt.Errorf("position %d is durable, acknowledged was %d at most", i, s.most)
		}
		s.sure = max(s.sure, i)
		return m.acknowledge(func(p *step) bool { return p.kind == stepSlotCreate && p.op == op })
	case "g":
		m.tail = append(m.tail, step{kind: stepSlotGivenUp, slot: op})
	}
	return nil
}

// openSlot checks where a reader of a slot goes on: not before its durable position, and not behind
// what was acknowledged.
func (x *facts) openSlot(y *life, name string, f *fields) error {
	s, at := x.slots[f.number()], f.index()
	if s == nil || s.name != name {
		return errors.New("a slot that was never created")
	}
	if at < s.sure || at > s.most {
		return fmt.Errorf("opened behind %d; the slot is at %d to %d", at, s.sure, s.most)
	}
	y.readers[name] = &readerModel{at: at, durable: at, slotted: true}
	return nil
}
