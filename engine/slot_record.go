package engine

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/wal"
)

// The payload of a wal.KindSlot record: what happened (1 byte, a slotChange), flags (1 byte, 0), and
// the slot's name to the end. Index and Term of the record are the slot's position.

// slotChange is what a record does to a slot. The numbers are frozen: they stand in files.
type slotChange uint8

const (
	slotCreated slotChange = 1
	slotAcked   slotChange = 2
	slotDropped slotChange = 3
	slotGivenUp slotChange = 4
)

func slotControl(change slotChange, s raftlog.Slot, lazy bool) wal.Control {
	return wal.Control{Kind: wal.KindSlot, Index: s.Acked.Index, Term: s.Acked.Term, Lazy: lazy,
		Payload: append([]byte{byte(change), 0}, s.Name...)}
}

// decodeSlot reads such a record. The error wraps ErrCorrupt, or ErrVersion for flags of a later
// version.
func decodeSlot(rec *wal.Record) (slotChange, raftlog.Slot, error) {
	s := raftlog.Slot{Acked: EntryID{Term: rec.Term, Index: rec.Index}}
	p := rec.Payload
	if len(p) < 2 {
		return 0, s, fmt.Errorf("%w: slot record of %d bytes", ErrCorrupt, len(p))
	}
	if p[1] != 0 {
		return 0, s, fmt.Errorf("%w: slot record with flags %#x", ErrVersion, p[1])
	}
	change := slotChange(p[0])
	if change < slotCreated || change > slotGivenUp {
		return 0, s, fmt.Errorf("%w: slot record of kind %d", ErrCorrupt, p[0])
	}
	if err := checkSlotName(string(p[2:])); err != nil {
		return 0, s, fmt.Errorf("%w: slot record: %w", ErrCorrupt, err)
	}
	s.Name, s.Invalid = string(p[2:]), change == slotGivenUp
	return change, s, nil
}

// checkSlotName refuses what no slot may be called. It does not repeat the name, which may be long.
func checkSlotName(name string) error {
	if len(name) > raftlog.MaxSlotName {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrBadSlot, len(name), raftlog.MaxSlotName)
	}
	if err := UID(name).Validate(); err != nil {
		return fmt.Errorf("%w: %q", ErrBadSlot, name)
	}
	return nil
}

// changeSlots applies a change to a list of slots, ascending by name, and returns the new list.
// Positions do not go back but by a creation, and what is not there is not changed.
func changeSlots(list []raftlog.Slot, change slotChange, s raftlog.Slot) []raftlog.Slot {
	var n []raftlog.Slot
	placed := change != slotCreated
	for _, old := range list {
		if !placed && s.Name <= old.Name {
			n, placed = append(n, s), true
		}
		if old.Name == s.Name {
			if change == slotCreated || change == slotDropped {
				continue
			}
			old.Acked = later(old.Acked, s.Acked)
			old.Invalid = old.Invalid || change == slotGivenUp
		}
		n = append(n, old)
	}
	if !placed {
		n = append(n, s)
	}
	return n
}

func findSlot(list []raftlog.Slot, name string) (raftlog.Slot, bool) {
	for _, s := range list {
		if s.Name == name {
			return s, true
		}
	}
	return raftlog.Slot{}, false
}
