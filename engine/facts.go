package engine

import "github.com/rawl-db/rawl/internal/raftlog"

// durableFacts is the part of a log's state that only moves forward, as far as it is durable. A copy
// stays as it is, whatever becomes of the log.
type durableFacts struct {
	hard     HardState
	released EntryID
	// releasedSince is the batch that holds the record of released.
	releasedSince raftlog.Batch
	applied       Index
	rare          *rareFacts // nil stands for none; see seldom and change
	deleted       bool
}

// rareFacts is what only logs with captured states, slots or installs have: most have none, and of
// an idle log every byte counts. A value is complete when change's caller gives up the log's mu, and
// never modified after that.
type rareFacts struct {
	live      *liveSet           // of the newest snapshot
	liveSince raftlog.Batch      // the batch that holds the record of that snapshot
	snapshots []raftlog.Snapshot // ascending; replaced, never modified
	slots     []raftlog.Slot     // ascending by name; replaced, never modified
	slotsAsOf raftlog.Batch      // the batch up to which slots is true
	// claims are the newest positions of slots, durable or not, in a list like slots: what is wanted
	// is held at once.
	claims   []raftlog.Slot
	resetAt  raftlog.Batch // the batch that holds the record of the newest reset
	installs []installed   // oldest first; replaced, never modified
}

// noRareFacts is read where there are none, and never written.
var noRareFacts rareFacts

// seldom returns the rare facts to be read.
func (d *durableFacts) seldom() *rareFacts {
	if d.rare == nil {
		return &noRareFacts
	}
	return d.rare
}

// change returns the rare facts to be modified at once: a copy, which d has from now on. The log's mu
// is held, or d is not shared.
func (d *durableFacts) change() *rareFacts {
	r := *d.seldom()
	d.rare = &r
	return &r
}

// pendingFact is a queued control record. seq is its number among the log's control records.
type pendingFact struct {
	seq  uint64
	id   EntryID // of release and snapshot
	hard HardState
	held int64        // of truncate and install: bytes of the tables that were cut off
	more *pendingMore // nil but for snapshot, install and slot
	kind factKind
}

// pendingMore is what a record of a snapshot, an install or a slot has besides.
type pendingMore struct {
	snap Snapshot
	live *liveSet              // of snapshot and install
	done func(Snapshot, error) // of snapshot; may be nil
	// Of install: the segments of the live entries, and the quarantine that it ends.
	segments []raftlog.Segment
	heals    *brokenLog
	slot     raftlog.Slot
	change   slotChange // of slot
}

type factKind uint8

const (
	factCreate factKind = iota
	factHard
	factRelease
	factTruncate
	factApplied
	factDelete
	factSnapshot
	factSlot
	factInstall
)
