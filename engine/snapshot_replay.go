package engine

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/wal"
)

// snapshot applies the publication of a captured state.
func (r *replay) snapshot(l *Log, rec *wal.Record) {
	s, err := decodeSnapshot(rec)
	if err != nil {
		r.quarantine(l, Range{First: l.view.Load().released.Index + 1}, err.Error())
		return
	}
	overtaken := slices.ContainsFunc(l.durable.seldom().snapshots, func(o Snapshot) bool {
		return o.Kind == KindSnapshot && o.ID.Index > s.ID.Index
	})
	if overtaken && !rec.Tail {
		return // the manifest has a newer one, whose record comes
	}
	live := l.readLive(s)
	known := live == nil || live.unknown == nil
	if !known {
		live = l.sinceUnknown(live)
	}
	if rec.Tail {
		f := r.tail[len(r.tail)-1].fact.more
		f.snap, f.live = s, live
	} else {
		rare := l.durable.change()
		rare.snapshots, _ = publishSnapshot(rare.snapshots, s, r.e.opts.MaxCheckpoints)
	}
	if s.Kind != KindSnapshot {
		return
	}
	if !rec.Tail {
		rare := l.durable.change()
		rare.live, rare.liveSince = live, rec.Batch
	}
	v := l.view.Load()
	if known { // a release may have passed over it: its live entries count all the same
		r.releaseAll(l, later(v.released, s.ID), live, rec.Batch, rec.Tail)
		return
	}
	l.setView(v.release(v.released, v.floor, live))
}

// sinceUnknown is the set of a snapshot whose file cannot be read. It may have left with a newer
// snapshot, whose record comes; until then what is kept now stays, and nothing more is given up.
func (l *Log) sinceUnknown(live *liveSet) *liveSet {
	v := l.view.Load()
	if v.live == nil {
		return &liveSet{unknown: live.unknown, above: v.released.Index}
	}
	if v.live.unknown != nil {
		return v.live
	}
	return &liveSet{unknown: live.unknown, above: v.released.Index, seq: v.live.seq}
}

// settleSnapshots carries out releases that the manifest left to the WAL, of logs whose record
// of it was lost to damage: now that all else is replayed nothing can pass for a live entry.
func (r *replay) settleSnapshots() {
	for _, l := range inOrder(maps.Values(r.logs)) {
		for _, s := range l.durable.seldom().snapshots {
			if s.Kind != KindSnapshot || s.ID.Index <= l.view.Load().released.Index || l.broken.Load() != nil {
				continue
			}
			if live := l.readLive(s); s.ID.Index <= l.last.Index && (live == nil || live.unknown == nil) {
				r.releaseAll(l, s.ID, live, r.report.LastDurable, false)
			}
		}
	}
}

// undoPromotions gives checkpoints their names back that a promotion had renamed when a crash came
// before its record.
func (r *replay) undoPromotions() {
	inTail := make(map[*Log][]Snapshot)
	for _, t := range r.tail {
		if t.fact.kind == factSnapshot {
			inTail[t.log] = append(inTail[t.log], t.fact.more.snap)
		}
	}
	for _, l := range inOrder(maps.Values(r.logs)) {
		if l.broken.Load() != nil {
			continue // what is left of it is what a repair works with
		}
		states := append(slices.Clone(l.durable.seldom().snapshots), inTail[l]...)
		for _, s := range states {
			counts := func(o Snapshot) bool { return o.Kind == KindSnapshot && o.ID == s.ID }
			if s.Kind == KindCheckpoint && !slices.ContainsFunc(states, counts) {
				l.undoPromotion(s)
			}
		}
	}
}

// inOrder sorts logs by their id: what recovery does to the disk is the same each time.
func inOrder(logs iter.Seq[*Log]) []*Log {
	return slices.SortedFunc(logs, func(a, b *Log) int { return cmp.Compare(a.id, b.id) })
}

// liveOf returns the live set of the newest snapshot in the list.
func (l *Log) liveOf(list []Snapshot) *liveSet {
	for k := len(list) - 1; k >= 0; k-- {
		if list[k].Kind == KindSnapshot {
			return l.readLive(list[k])
		}
	}
	return nil
}

// readLive reads a snapshot's live set from its file. It is for recovery.
func (l *Log) readLive(s Snapshot) *liveSet {
	if s.Live == 0 {
		return nil
	}
	r, err := snapshot.Open(l.e.device.fs, l.snapshotPath(s), l.id)
	if err != nil {
		l.e.opts.Logger.Error("live entries of a snapshot are not known: nothing of the log is given up", "uid", string(l.uid), "err", err)
		return &liveSet{unknown: fmt.Errorf("%w: live entries of log %s: %w", ErrCorrupt, l.uid, err)}
	}
	defer r.Close()
	return newLiveSet(r.Meta().Live)
}
