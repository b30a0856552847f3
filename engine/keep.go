package engine

import (
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/segwriter"
	"github.com/rawl-db/rawl/wal"
)

// keep says which entries of a log are still needed: those above floor, and those in live.
type keep struct {
	floor Index
	live  raftlog.Seq
}

// segments returns the list without segments that hold nothing needed. It does not change segs.
func (k keep) segments(segs []raftlog.Segment) []raftlog.Segment {
	if k.live.Empty() {
		return floorSegments(segs, k.floor)
	}
	return segwriter.Prune(segs, k.floor+1, k.live)
}

// liveSet is the set of entries at or below a snapshot's index that its state machine still
// needs. nil is the empty set.
type liveSet struct {
	seq raftlog.Seq
	// unknown says that the file that has the set cannot be read: all entries above above count as
	// live, beside those of seq, which an older snapshot named.
	unknown error
	above   Index
}

func newLiveSet(seq raftlog.Seq) *liveSet {
	if seq.Empty() {
		return nil
	}
	return &liveSet{seq: seq}
}

// has reports whether entry i is in the set, and an error when that is not known.
func (s *liveSet) has(i Index) (bool, error) {
	if s == nil {
		return false, nil
	}
	return s.unknown == nil && s.seq.Contains(i), s.unknown
}

// keepAbove is what a release up to floor leaves: nothing is given up on a guess.
func keepAbove(floor Index, live *liveSet) keep {
	switch {
	case live == nil:
		return keep{floor: floor}
	case live.unknown != nil:
		return keep{floor: min(floor, live.above), live: live.seq}
	}
	return keep{floor: floor, live: live.seq}
}

// keep is what of the log is needed as far as is durable.
func (d *durableFacts) keep() keep {
	return keepAbove(d.floor(d.released.Index), d.seldom().live)
}

// durableNow is what is durable of the log now.
func (l *Log) durableNow() durableFacts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

// durableKeep is keep of what is durable now, for a file up to batch asOf: nothing of it is needed
// once the log was replaced by a later record.
func (l *Log) durableKeep(asOf raftlog.Batch) keep {
	d := l.durableNow()
	if d.seldom().resetAt > asOf {
		return keep{floor: ^Index(0) - 1}
	}
	return d.keep()
}

// durableLive is the live entries that a file up to batch asOf has to give: those of its spans that no
// truncation took from their table since. Where one did, the live entry of that index is another.
func (l *Log) durableLive(asOf raftlog.Batch, spans []wal.Span) raftlog.Seq {
	all := l.durableKeep(asOf).live
	l.mu.Lock()
	v, replaced := l.view.Load(), l.resets > 0
	l.mu.Unlock()
	if all.Empty() || replaced { // until that is durable the old log's entries count
		return all
	}
	var live raftlog.Seq
	for _, s := range spans {
		live = live.Union(all.Floor(s.First).Limit(min(s.Last, v.answersFrom(s.Source))))
	}
	return live
}

// answersFrom is the last index for which the chain asks a table, 0 when it does not know the table.
func (v *view) answersFrom(table wal.Source) Index {
	last := ^Index(0)
	for _, k := range v.chain {
		if wal.Source(k.table) == table {
			return last
		}
		last = k.start - 1
	}
	return 0
}

// floor is the last index that neither the machine, which released up to released, nor a slot
// needs.
func (d *durableFacts) floor(released Index) Index {
	return d.floorID(EntryID{Index: released}).Index
}

// floorID is floor with the term of that entry.
func (d *durableFacts) floorID(released EntryID) EntryID {
	rare := d.seldom()
	for _, list := range [...][]raftlog.Slot{rare.slots, rare.claims} {
		for _, s := range list {
			if !s.Invalid && s.Acked.Index < released.Index {
				released = s.Acked
			}
		}
	}
	return released
}
