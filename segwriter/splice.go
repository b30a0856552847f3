package segwriter

import (
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// Splice returns list with made, the outcome of compacting group, in the place of the group's
// segments. list is the log's list as it is now: since the compaction began segments may have
// been appended, pruned, or cut by a truncation, and made is cut like them. A made without
// a Range leaves nothing in their place. ok is false, and the list returned as it is, when
// the outcome does not fit any more: none of the group is left, or one of it was appended to.
// The lists given are not changed.
func Splice(list, group []raftlog.Segment, made raftlog.Segment) (spliced []raftlog.Segment, ok bool) {
	first, n := 0, 0
	for i, s := range list {
		k := slices.IndexFunc(group, func(g raftlog.Segment) bool { return g.Number == s.Number })
		if k < 0 {
			continue
		}
		if s.Bytes != group[k].Bytes || n > 0 && i != first+n {
			return list, false
		}
		if n == 0 {
			first = i
		}
		n++
	}
	if n == 0 {
		return list, false
	}
	bounds := raftlog.Range{First: list[first].Range.First, Last: list[first+n-1].Range.Last}
	made.Range = made.Range.Intersect(bounds)
	spliced = append(spliced, list[:first]...)
	if !made.Range.Empty() {
		spliced = append(spliced, made)
	}
	return append(spliced, list[first+n:]...), true
}
