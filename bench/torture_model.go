package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rawl-db/rawl/engine"
)

// modelEntry is an entry by what its bytes can be computed from.
type modelEntry struct {
	term engine.Term
	size int
	op   uint64
}

// logState is what a log should hold. The zero state is a log that does not exist.
type logState struct {
	exists   bool
	released engine.EntryID
	entries  []modelEntry // from released.Index+1 on
	hard     engine.HardState
	life     uint64                      // the operation that created it
	snapshot engine.EntryID              // the newest, zero for none
	live     map[engine.Index]modelEntry // what that snapshot keeps; replaced, never modified
	pending  *pendingSnapshot            // announced behind all else that was applied; nil for none
	gone     []modelEntry                // what was released, from index 1 on, for slots
	slots    map[string]slotState        // replaced, never modified
}

func (s *logState) last() engine.EntryID {
	if n := len(s.entries); n > 0 {
		return engine.EntryID{Term: s.entries[n-1].term, Index: s.released.Index + engine.Index(n)}
	}
	return s.released
}

// at returns the entry at an index that the log holds.
func (s *logState) at(i engine.Index) modelEntry { return s.entries[i-s.released.Index-1] }

// id is the identity of the entry at i, which may be the last released one.
func (s *logState) id(i engine.Index) engine.EntryID {
	if i == s.released.Index {
		return s.released
	}
	return engine.EntryID{Term: s.at(i).term, Index: i}
}

func (s *logState) bytes() (n int) {
	for i := range s.entries {
		n += s.entries[i].size
	}
	return n
}

func (s *logState) clone() *logState {
	c := *s
	c.entries = slices.Clone(s.entries)
	c.gone = slices.Clip(s.gone)
	return &c
}

func (s *logState) String() string {
	if !s.exists {
		return "no log"
	}
	return fmt.Sprintf("released %v, last %v, hard state %d %q, snapshot %v%s", s.released, s.last(), s.hard.Term, s.hard.Vote, s.snapshot, slotsText(s.slots))
}

type stepKind uint8

const (
	stepCreate stepKind = iota
	stepDelete
	stepEntry
	stepTruncate
	stepRelease
	stepHard
	stepSnapshot
	stepSlotCreate
	stepSlotDrop
	stepSlotGivenUp
)

// step is a part of an operation that becomes durable as a whole, in the order of the log.
type step struct {
	kind  stepKind
	op    uint64
	index engine.Index // of an entry, or what to truncate or release to
	entry modelEntry
	hard  engine.HardState
	state *capture // of a snapshot
	name  string   // of a slot
	slot  uint64   // which creation of that name is meant; of stepSlotGivenUp
	facts *slotFacts
}

func (p step) String() string {
	switch p.kind {
	case stepCreate:
		return "create"
	case stepDelete:
		return "delete"
	case stepEntry:
		return fmt.Sprintf("entry %d/%d", p.entry.term, p.index)
	case stepTruncate:
		return fmt.Sprintf("truncate to %d", p.index)
	case stepRelease:
		return fmt.Sprintf("release %d", p.index)
	case stepSnapshot:
		return fmt.Sprintf("snapshot %v", p.state.at)
	case stepSlotCreate:
		return fmt.Sprintf("create %s behind %d", p.name, p.index)
	case stepSlotDrop:
		return "drop " + p.name
	case stepSlotGivenUp:
		return fmt.Sprintf("slot %d given up", p.slot)
	}
	return fmt.Sprintf("hard state %d %q", p.hard.Term, p.hard.Vote)
}

// apply carries out a step on a state that it was meant for.
func (s *logState) apply(p *step) error {
	end, ok := s.last().Index, s.exists
	switch p.kind {
	case stepCreate:
		ok = !s.exists
		*s = logState{exists: true, life: p.op}
	case stepDelete:
		*s = logState{}
	case stepEntry:
		ok = ok && p.index == end+1
		s.entries = append(s.entries, p.entry)
	case stepTruncate:
		if ok = ok && s.released.Index <= p.index && p.index <= end; ok {
			s.entries = s.entries[:p.index-s.released.Index]
		}
	case stepRelease:
		if ok = ok && p.index <= end; ok {
			s.release(p.index)
		}
	case stepSnapshot:
		ok = ok && p.state.at.Index <= end && s.announce(p.op, p.state)
	case stepHard:
		s.hard = p.hard
	case stepSlotCreate, stepSlotDrop, stepSlotGivenUp:
		ok = s.changeSlot(p)
	}
	if !ok {
		return fmt.Errorf("step %v does not fit a log with %v", *p, s)
	}
	return nil
}

// release gives up what is not given up yet up to an index: a snapshot may have come before.
func (s *logState) release(upTo engine.Index) {
	if upTo > s.released.Index {
		id := s.id(upTo)
		s.gone = append(s.gone, s.entries[:upTo-s.released.Index]...)
		s.entries = s.entries[upTo-s.released.Index:]
		s.released = id
	}
}

// logModel is one name's history: what is certainly durable, and the steps behind it, of which
// any number from the front may be durable too.
type logModel struct {
	sure *logState
	tail []step
	facts
}

func newLogModel() *logModel { return &logModel{sure: &logState{}, facts: newFacts()} }

// advance makes the first n steps certain.
func (m *logModel) advance(n int) error {
	for i := range m.tail[:n] {
		if err := m.sure.apply(&m.tail[i]); err != nil {
			return err
		}
	}
	m.tail = append(m.tail[:0], m.tail[n:]...)
	return nil
}

// acknowledge makes the last step that matches, and all before it, certain. None may match: it
// was certain already.
func (m *logModel) acknowledge(match func(*step) bool) error {
	for i := len(m.tail) - 1; i >= 0; i-- {
		if match(&m.tail[i]) {
			return m.advance(i + 1)
		}
	}
	return nil
}

// refused takes back the steps of an operation that failed and changed nothing.
func (m *logModel) refused(op uint64) {
	if p := m.sure.pending; p != nil && p.op == op {
		m.sure.pending = nil
	}
	m.tail = slices.DeleteFunc(m.tail, func(p step) bool { return p.op == op })
}

// found is a log as the engine has it.
type found struct {
	exists   bool
	released engine.EntryID
	last     engine.EntryID
	hard     engine.HardState
	snapshot engine.EntryID // the newest, zero for none
	slots    map[string]foundSlot
}

func (f found) String() string {
	if !f.exists {
		return "no log"
	}
	return fmt.Sprintf("released %v, last %v, hard state %d %q, snapshot %v%s", f.released, f.last, f.hard.Term, f.hard.Vote, f.snapshot, slotsText(f.slots))
}

func (f found) matches(s *logState) bool {
	if !f.exists || !s.exists {
		return f.exists == s.exists
	}
	return f.released == s.released && f.last == s.last() && f.hard == s.hard && f.snapshot == s.snapshot && f.slotsMatch(s)
}

// resolve finds how many steps of the tail became durable, and returns the state then. No
// match is a broken promise.
func (m *logModel) resolve(f found) (*logState, error) {
	s := m.sure.clone()
	for i := 0; ; i++ {
		if f.matches(s) {
			return s.settleSlots(f), nil
		}
		if s.pending != nil {
			if p := s.clone(); f.matches(p.publish()) {
				return p.settleSlots(f), nil
			}
		}
		if i == len(m.tail) {
			return nil, fmt.Errorf("found %v; certain is %v; then possibly%s", f, m.sure, m.story())
		}
		if err := s.apply(&m.tail[i]); err != nil {
			return nil, err
		}
	}
}

func (m *logModel) story() string {
	var b strings.Builder
	for i, p := range m.tail {
		if i == 40 {
			fmt.Fprintf(&b, "; and %d more", len(m.tail)-i)
			break
		}
		fmt.Fprintf(&b, "; %v", p)
	}
	if b.Len() == 0 {
		return " nothing"
	}
	return b.String()[1:]
}

// settle takes the state that was found as certain.
func (m *logModel) settle(s *logState) {
	s.pending = nil
	m.sure, m.tail = s, nil
}
