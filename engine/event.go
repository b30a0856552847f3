package engine

import "time"

// EventKind says what happened.
type EventKind uint8

// The points at which Options.OnEvent is called.
const (
	// EventCreated: a log was created; not yet durable.
	EventCreated EventKind = iota + 1
	// EventDeleted: a log was deleted; not yet durable.
	EventDeleted
	// EventTruncated: a log was cut behind Entry; not yet durable.
	EventTruncated
	// EventRolled: the WAL went on in another file; File is the sealed one.
	EventRolled
	// EventFlushed: a sealed WAL file's entries are in segments and it left service.
	EventFlushed
	// EventHealth: the engine's health changed to Health; Err is why.
	EventHealth
	// EventQuarantined: a log was set apart; Err says why.
	EventQuarantined
	// EventCorrupt: bytes of a log did not verify when they were read; Err says which.
	EventCorrupt
	// EventSnapshot: a snapshot or checkpoint at Entry is published.
	EventSnapshot
	// EventSnapshotDamaged: a captured state at Entry did not verify, or could not be synced, and was set aside; Err says why.
	EventSnapshotDamaged
	// EventCompacted: segments of a log were merged; File is the new one's number.
	EventCompacted
	// EventSlotInvalid: a slot of a log was given up, as it held too much for too long or wanted what an
	// installed snapshot replaced; Entry is its position, Err a SlotInvalidError.
	EventSlotInvalid
)

// Event is what Options.OnEvent receives. Fields that do not apply are zero.
type Event struct {
	Kind   EventKind
	UID    UID
	Entry  EntryID
	File   uint64
	Took   time.Duration
	Health Health
	Err    error
}

func (e *Engine) event(ev Event) {
	if e.opts.OnEvent != nil {
		e.opts.OnEvent(ev)
	}
}
