package segwriter

import "github.com/rawl-db/rawl/internal/raftlog"

// retained says which entries of a log are kept: those at or above floor, the first index that
// is not released, and the live ones.
type retained struct {
	floor raftlog.Index
	live  raftlog.Seq
}

// next returns the lowest index at or above i that is kept.
func (k retained) next(i raftlog.Index) raftlog.Index {
	if i >= k.floor {
		return i
	}
	if next := k.live.Next(i); next != 0 && next < k.floor {
		return next
	}
	return k.floor
}

// any reports whether an index of r is kept.
func (k retained) any(r raftlog.Range) bool { return !r.Empty() && k.next(r.First) <= r.Last }
