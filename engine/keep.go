package engine

import (
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/segwriter"
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
	// unknown says that the file that has the set cannot be read: all entries count as live.
	unknown error
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
		return keep{}
	}
	return keep{floor: floor, live: live.seq}
}

// keep is what of the log is needed as far as is durable.
func (d *durableFacts) keep() keep { return keepAbove(d.floor(d.released.Index), d.live) }

// durableNow is what is durable of the log now.
func (l *Log) durableNow() durableFacts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

// durableKeep is keep of what is durable now.
func (l *Log) durableKeep() keep {
	d := l.durableNow()
	return d.keep()
}

// floor is the last index that neither the machine, which released up to released, nor a slot
// needs.
func (d *durableFacts) floor(released Index) Index {
	return d.floorID(EntryID{Index: released}).Index
}

// floorID is floor with the term of that entry.
func (d *durableFacts) floorID(released EntryID) EntryID {
	for _, list := range [...][]raftlog.Slot{d.slots, d.claims} {
		for _, s := range list {
			if !s.Invalid && s.Acked.Index < released.Index {
				released = s.Acked
			}
		}
	}
	return released
}
