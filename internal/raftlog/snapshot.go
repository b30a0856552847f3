package raftlog

import "fmt"

// SnapshotKind tells the three kinds of captured state apart. The numbers are frozen: they
// stand in files.
type SnapshotKind uint8

const (
	// KindSnapshot is durable and lets go of the log below it.
	KindSnapshot SnapshotKind = 1
	// KindCheckpoint is neither synced nor does it let go of anything; it may be promoted to
	// a snapshot later.
	KindCheckpoint SnapshotKind = 2
	// KindRecovery is a checkpoint that an orderly shutdown leaves to make the next start short.
	KindRecovery SnapshotKind = 3
)

// String returns the kind as it begins file names.
func (k SnapshotKind) String() string {
	switch k {
	case KindSnapshot:
		return "snapshot"
	case KindCheckpoint:
		return "checkpoint"
	case KindRecovery:
		return "recovery"
	}
	return fmt.Sprintf("kind-%d", uint8(k))
}

// Valid reports whether k is one of the kinds.
func (k SnapshotKind) Valid() bool { return k >= KindSnapshot && k <= KindRecovery }

// Snapshot describes one captured state of a log, as the manifest lists it.
type Snapshot struct {
	Kind SnapshotKind
	// ID is the last entry that the state covers.
	ID EntryID
	// Bytes is the length of its file.
	Bytes int64
	// Live counts the entries at or below ID that are still needed.
	Live uint64
}

// MaxSlotName bounds Slot.Name, in bytes.
const MaxSlotName = 64

// Slot is a named reader's claim on a log: entries behind Acked are kept for it.
type Slot struct {
	// Name is 1 to MaxSlotName characters of the alphabet of UIDs.
	Name string
	// Acked is the last entry that the reader needs no longer.
	Acked EntryID
	// Invalid says that the claim was given up because it held too much for too long.
	Invalid bool
}
