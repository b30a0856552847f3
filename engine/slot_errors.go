package engine

import (
	"errors"
	"fmt"
)

// Errors of slots.
var (
	// ErrNoSlot means that the log has no slot of that name.
	ErrNoSlot = errors.New("engine: no such slot")
	// ErrSlotExists means that the log has a slot of that name, valid or not.
	ErrSlotExists = errors.New("engine: slot exists")
	// ErrBadSlot means that the name of a slot is empty, too long, or holds other than base64url
	// characters.
	ErrBadSlot = errors.New("engine: bad slot name")
	// ErrTooManySlots means that the log has MaxSlots slots.
	ErrTooManySlots = errors.New("engine: too many slots")
	// ErrSlotInvalid means that the slot was given up; see SlotInvalidError.
	ErrSlotInvalid = errors.New("engine: slot was given up")
)

// SlotInvalidError says that a slot was given up because it held too much for too long, or because a
// snapshot of another member replaced the log, see Install. errors.Is(err, ErrSlotInvalid) holds. DropSlot removes what is left of the slot; a new one may then
// begin at the snapshot.
type SlotInvalidError struct {
	UID  UID
	Slot string
	// Acked is the last entry that was acknowledged.
	Acked EntryID
	// Lost holds the entries that nothing keeps for the slot any more. It is empty when none was
	// released.
	Lost Range
	// Snapshot is what to restart from, zero when the log has none.
	Snapshot EntryID
	// Reason says which bound was exceeded, "" for a slot that an earlier life of the engine gave up.
	Reason string
}

func (e *SlotInvalidError) Error() string {
	return fmt.Sprintf("%v: slot %s of log %s at %v, lost [%d,%d], snapshot %v: %s",
		ErrSlotInvalid, e.Slot, e.UID, e.Acked, e.Lost.First, e.Lost.Last, e.Snapshot, e.Reason)
}

// Is reports whether target is ErrSlotInvalid.
func (e *SlotInvalidError) Is(target error) bool { return target == ErrSlotInvalid }
