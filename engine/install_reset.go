package engine

import (
	"slices"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// A reset is what an installed snapshot does to a log that does not hold the snapshot's entry: all
// there was is replaced, in one record, so that a crash finds the old log or the new one. From the
// moment the record is queued the view knows the new log only, as with a truncation, and slots that wanted
// what was replaced are over. What a flush of an older WAL file does meanwhile belongs to the old log: it
// goes to the manifest, which is true as of that file, and not to the view.

// installed is a reset that is durable, and not in the manifest.
type installed struct {
	batch    raftlog.Batch // that of its record
	id       EntryID
	segments []raftlog.Segment // of the live entries
}

// resetLocked makes the log empty behind the snapshot at id, in memory. It returns the memory that is now held
// for the WAL only.
func (l *Log) resetLocked(id EntryID, live *liveSet, segments []raftlog.Segment) (held int64) {
	v := l.view.Load()
	l.cutOutside(v.inMemory(max(v.released.Index, l.Committed())))
	for _, k := range v.chain {
		held += k.table.Bytes()
	}
	l.setView(&view{
		released: id, floor: id.Index, live: live, segments: segments,
		chain: []link{{table: l.e.tables.New(id.Index + 1), start: id.Index + 1, prev: id}},
	})
	l.last, l.base = id, l.durable.released
	l.cuts++
	l.failWaitersLocked(ErrTruncated, func(w *waiter) bool { return w.table != nil })
	l.happened(happenedCut | happenedRelease | happenedSegments)
	return held
}

// inMemory is the entry at i, without its term when only a segment has that: what is there no crash takes back, so
// that a cursor which stands there can not diverge.
func (v *view) inMemory(i Index) EntryID {
	id := EntryID{Index: i}
	if i == v.released.Index {
		return v.released
	}
	if t := v.at(i); t != nil && t.Contains(i) {
		id.Term, _ = t.Term(i)
	}
	return id
}

// settleInstallLocked makes a reset count: its record is durable.
func (l *Log) settleInstallLocked(f *pendingFact, batch raftlog.Batch) {
	l.chargeLocked(-f.held)
	l.resets--
	for _, s := range l.durable.seldom().snapshots {
		if s.Kind != f.more.snap.Kind || s.ID != f.more.snap.ID { // the manifest had it before a crash that put the record in the tail
			l.e.captures.retire(l.snapshotPath(s))
		}
	}
	l.durable.reset(batch, f.more.snap, f.more.live, f.more.segments)
	l.capturing, l.capturingLive = false, false
	if b := f.more.heals; b != nil {
		l.broken.CompareAndSwap(b, nil)
		l.e.slotted.note(l, len(l.slots) > 0) // the monitor takes no interest in a quarantined log
	}
	l.happened(happenedSnapshot | happenedRelease | happenedSegments)
}

// reset takes over that a reset is durable.
func (d *durableFacts) reset(batch raftlog.Batch, s Snapshot, live *liveSet, segments []raftlog.Segment) {
	d.released, d.releasedSince = s.ID, batch
	r := d.change()
	r.snapshots = []raftlog.Snapshot{s}
	r.live, r.liveSince, r.resetAt = live, batch, batch
	r.slots, r.claims = passedOver(r.slots, s.ID), passedOver(r.claims, s.ID)
	r.installs = append(slices.Clip(r.installs), installed{batch: batch, id: s.ID, segments: segments})
}

// overtakenLocked reports whether what was true as of a batch is of a log that was replaced since.
func (l *Log) overtakenLocked(asOf raftlog.Batch) bool {
	return l.resets > 0 || l.durable.seldom().resetAt > asOf
}

// rebase starts what the manifest will say of the log anew, as the last reset up to batch asOf has it.
func (d *durableFacts) rebase(base *manifest.Log, asOf raftlog.Batch) {
	for _, in := range d.seldom().installs {
		if in.batch <= asOf {
			base.Last, base.Released, base.Segments = in.id, in.id, in.segments
		}
	}
}

// settleResetsLocked forgets the resets that the manifest has, and returns the segments of those that
// it never had, because another came before it heard of them.
func (l *Log) settleResetsLocked(asOf raftlog.Batch) (gone []raftlog.Segment) {
	list := l.durable.seldom().installs
	n := 0
	for n < len(list) && list[n].batch <= asOf {
		if n > 0 {
			gone = append(gone, list[n-1].segments...)
		}
		n++
	}
	if n > 0 {
		l.durable.change().installs = append([]installed(nil), list[n:]...)
	}
	return gone
}

// ownsInstalled reports whether a segment file belongs to an install that the manifest does not know.
func (l *Log) ownsInstalled(number uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if number < installedSegments {
		return false
	}
	has := l.capturing
	for _, in := range l.durable.seldom().installs {
		for _, s := range in.segments {
			has = has || s.Number == number
		}
	}
	return has
}
