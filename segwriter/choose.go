package segwriter

import (
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

// SegmentUse says how much of a segment is kept: what is not released, and what is live.
type SegmentUse struct {
	Segment raftlog.Segment
	// LiveEntries counts the entries that are kept, of Segment.Entries.
	LiveEntries uint32
	// LiveBytes is what they take, of Bytes: payloads and their places in the index.
	LiveBytes int64
	// Bytes is the file's committed length without its header block. Overwritten entries
	// and padding are part of it.
	Bytes int64
}

// Limits bounds what Choose puts into one file. Zero values mean the defaults of Options.
type Limits struct {
	// MaxEntries is the most entries of the resulting file.
	MaxEntries uint32
	// MaxBytes is the most bytes of the resulting file.
	MaxBytes int64
	// ChunkBytes is Options.ChunkBytes of the Writer that compacts.
	ChunkBytes int
}

func (l Limits) withDefaults() Limits {
	o := Options{MaxEntries: l.MaxEntries, MaxBytes: l.MaxBytes, ChunkBytes: l.ChunkBytes}.withDefaults()
	return Limits{MaxEntries: o.MaxEntries, MaxBytes: o.MaxBytes, ChunkBytes: o.ChunkBytes}
}

// Measure returns the use of segment s when floor is the first index that is not released.
// r may promise more than s. It reads nothing: the index is in memory. The error
// is a *segment.CorruptError: a kept entry may be damaged.
func Measure(s raftlog.Segment, r *segment.Reader, floor raftlog.Index, live raftlog.Seq) (SegmentUse, error) {
	u := SegmentUse{Segment: s, Bytes: s.Bytes - segment.BlockSize}
	c := cursor{r: r, last: s.Range.Last, at: s.Range.First, keep: retained{floor, live}}
	for {
		_, loc, ok, err := c.next()
		if err != nil || !ok {
			return u, err
		}
		u.LiveEntries++
		u.LiveBytes += segment.EntryBytes + int64(loc.Length)
	}
}

// Choose returns the groups of adjacent segments that a major compaction should merge, one file
// per group, oldest first. uses describes the log's whole list, oldest first; its newest
// segment is never chosen, because it may be appended to. A segment qualifies when less than
// half of its entries or less than half of its bytes are kept; one that does not ends
// a group, and so do the limits. One segment is a group when rewriting it is sure to make
// the file smaller, whatever the limits say of it. So every compaction leaves fewer files or fewer
// bytes, and choosing again and again comes to an end.
func Choose(uses []SegmentUse, limits Limits) [][]raftlog.Segment {
	limits = limits.withDefaults()
	var groups [][]raftlog.Segment
	var g group
	end := func() {
		if g.worthwhile(limits) {
			groups = append(groups, g.segments)
		}
		g = group{}
	}
	for i := range max(len(uses), 1) - 1 {
		u := &uses[i]
		if !u.qualifies() {
			end()
			continue
		}
		if !g.takes(u, limits) {
			end()
		}
		g.segments = append(g.segments, u.Segment)
		g.entries += uint64(u.LiveEntries)
		g.bytes += u.LiveBytes
	}
	end()
	return groups
}

func (u *SegmentUse) qualifies() bool {
	return 2*uint64(u.LiveEntries) < uint64(u.Segment.Entries) || u.LiveBytes < u.Bytes-u.LiveBytes
}

// group is what Choose collects, and what is kept of it.
type group struct {
	segments []raftlog.Segment
	entries  uint64
	bytes    int64
}

func (g *group) takes(u *SegmentUse, limits Limits) bool {
	return len(g.segments) == 0 || g.entries+uint64(u.LiveEntries) <= uint64(limits.MaxEntries) &&
		fileBytes(g.bytes+u.LiveBytes, limits.ChunkBytes) <= limits.MaxBytes
}

func (g *group) worthwhile(limits Limits) bool {
	switch len(g.segments) {
	case 0:
		return false
	case 1:
		return g.entries == 0 || fileBytes(g.bytes, limits.ChunkBytes) < g.segments[0].Bytes
	}
	return true
}

// fileBytes is the most bytes of a file whose entries take n: exact when they fit in one chunk.
// Else any two neighbours together exceed what a chunk has room for, and each chunk adds
// its header, its footer and less than a block of padding.
func fileBytes(n int64, chunkBytes int) int64 {
	if n <= int64(chunkBytes) && segment.ChunkSize(0, int(n)) <= chunkBytes {
		return segment.BlockSize + int64(segment.ChunkSize(0, int(n)))
	}
	const overhead = 128
	room := int64(chunkBytes&^(segment.BlockSize-1) - overhead)
	chunks := 2*(n/room) + 1
	return segment.BlockSize + n + chunks*(overhead+segment.BlockSize)
}
