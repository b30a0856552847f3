package engine

import (
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// passOverLocked ends the slots that wanted entries below a snapshot which replaces the log, and returns
// what they lost. Their end is part of the record of the replacement, and has none of its own: until that
// is durable a crash brings them back, together with what they hold.
func (l *Log) passOverLocked(at EntryID) (lost []*SlotInvalidError) {
	for _, s := range l.durable.seldom().claims {
		if s.Invalid || s.Acked.Index >= at.Index {
			continue
		}
		loss := l.slotLossLocked(s, fmt.Sprintf("a snapshot at %v replaced the log", at))
		loss.Lost.Last, loss.Snapshot = at.Index, at
		if state := l.slots[s.Name]; state != nil {
			state.end(loss)
		}
		lost = append(lost, loss)
	}
	if len(lost) > 0 {
		l.durable.change().claims = passedOver(l.durable.seldom().claims, at)
		l.happened(happenedEnd)
	}
	return lost
}

// passedOver is the list without the claims that passOverLocked ends.
func passedOver(slots []raftlog.Slot, at EntryID) []raftlog.Slot {
	out := slices.Clone(slots)
	for k := range out {
		out[k].Invalid = out[k].Invalid || out[k].Acked.Index < at.Index
	}
	return out
}
