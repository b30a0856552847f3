package engine

import (
	"time"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// SlotInfo describes a slot.
type SlotInfo struct {
	Name string
	// Acked is the newest position: entries up to it are acknowledged. Durable is the position that
	// is durable, which counts for what is kept; zero while the slot's creation is not.
	Acked, Durable EntryID
	// Invalid says that the slot was given up: it holds nothing any more.
	Invalid bool
	// HeldBytes is what the slot keeps of what the log's machine has released: the files of whole
	// segments, and of memtables the share that its entries would have if all were equally long.
	// What is still in the write-ahead log counts as its memtable only. Bytes that several slots
	// keep count for each.
	HeldBytes int64
	// HeldFor is for how long the slot has kept what it keeps now, as of the monitor's last look, 0
	// when it keeps nothing. IdleFor is the time since it was last heard of: its creation, an
	// acknowledgement, an open of the engine or of a reader, or since it was caught up.
	HeldFor, IdleFor time.Duration
}

// Slots lists the slots of a log, ascending by name.
func (l *Log) Slots() []SlotInfo {
	now := l.e.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	infos := make([]SlotInfo, 0, len(l.durable.seldom().claims))
	for _, s := range l.durable.seldom().claims {
		i := SlotInfo{Name: s.Name, Acked: s.Acked, Invalid: s.Invalid}
		if state := l.slots[s.Name]; state != nil {
			i.Acked = later(i.Acked, state.next)
		}
		durable, _ := l.durableSlotLocked(s.Name)
		i.Durable = durable.Acked
		if !s.Invalid {
			i.HeldBytes = l.view.Load().held(s.Acked.Index)
			w := &l.slots[s.Name].watch
			i.HeldFor, i.IdleFor = w.heldFor(now), w.idleFor(now)
		}
		infos = append(infos, i)
	}
	return infos
}

// slotBytes is what a slot keeps, 0 when it is over.
func (l *Log) slotBytes(state *slotState) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := findSlot(l.durable.seldom().claims, state.name)
	if !ok || state.ended.Load() != nil {
		return 0
	}
	return l.view.Load().held(s.Acked.Index)
}

// held is about what a slot at an index keeps of what is released: see SlotInfo.HeldBytes.
func (v *view) held(acked Index) (bytes int64) {
	rng := Range{First: max(acked, v.floor) + 1, Last: v.released.Index}
	if rng.Empty() {
		return 0
	}
	for _, s := range v.segments {
		if s.Range.Last >= rng.First && s.Range.Last <= rng.Last {
			bytes += s.Bytes
		}
	}
	tables := view{chain: v.chain}
	return bytes + tables.weigh(rng)
}

// slotLossLocked is the error of a slot that was given up.
func (l *Log) slotLossLocked(s raftlog.Slot, reason string) *SlotInvalidError {
	return &SlotInvalidError{UID: l.uid, Slot: s.Name, Acked: s.Acked, Reason: reason,
		Lost: Range{First: s.Acked.Index + 1, Last: l.view.Load().released.Index}, Snapshot: l.newestSnapshotLocked()}
}
