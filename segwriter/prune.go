package segwriter

import "github.com/rawl-db/rawl/internal/raftlog"

// Prune returns the segments that are still needed, in their order: those whose Range holds an
// index at or above floor, the first index that is not released, or a live one. It is the
// minor compaction: nothing is read or written, and the caller removes the files of the others once
// the new list is durable. The list given is not changed.
func Prune(segments []raftlog.Segment, floor raftlog.Index, live raftlog.Seq) []raftlog.Segment {
	var kept []raftlog.Segment
	for _, s := range segments {
		if (retained{floor, live}).any(s.Range) {
			kept = append(kept, s)
		}
	}
	return kept
}
