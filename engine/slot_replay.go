package engine

import (
	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/wal"
)

// slot applies the record of a slot, unless the manifest has it: a slot that was dropped and made
// anew must not stand for a while where the earlier one stood, what it holds would go.
func (r *replay) slot(l *Log, rec *wal.Record) {
	change, s, err := decodeSlot(rec)
	if err != nil {
		r.quarantine(l, Range{First: l.view.Load().released.Index + 1}, err.Error())
		return
	}
	if rec.Tail {
		f := r.tail[len(r.tail)-1].fact.more
		f.change, f.slot = change, s
		l.claimLocked(change, s)
		return
	}
	if rec.Batch <= r.slotsAsOf[l.id] {
		return
	}
	l.claimLocked(change, s)
	rare := l.durable.change()
	rare.slots, rare.slotsAsOf = changeSlots(rare.slots, change, s), rec.Batch
	v := l.view.Load()
	if n := v.release(v.released, l.durable.floor(v.released.Index), v.live); n.floor > v.floor {
		l.setView(n)
		l.dropReleasedLocked()
	}
}

// settleSlots lets the manifest name no batch that this life of the engine may write anew. There
// is one when the last batch of the life before was damaged, or stands in the tail.
func (r *replay) settleSlots() error {
	var edit manifest.Edit
	for m := range r.e.manifest.Logs() {
		if m.SlotsAsOf > r.report.LastDurable {
			m.SlotsAsOf = r.report.LastDurable
			edit.Put = append(edit.Put, m)
		}
		if l := r.logs[m.ID]; l != nil && l.durable.seldom().slotsAsOf > r.report.LastDurable {
			l.durable.change().slotsAsOf = r.report.LastDurable
		}
	}
	if len(edit.Put) == 0 {
		return nil
	}
	if err := r.e.manifest.Apply(edit); err != nil && !noSpace(err) {
		return err
	}
	return nil // on a full disk the next flush says so
}
