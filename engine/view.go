package engine

import (
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/memtable"
	"github.com/rawl-db/rawl/wal"
)

// view is what a reader needs of one log, immutable: it loads one and finishes on it. The
// log publishes a new one at each truncation, release and flush, and never for an append.
type view struct {
	// released is the last entry that the machine needs no longer; the log begins behind it, but
	// for the entries in live. Slots keep what lies above floor, which is released or below.
	released EntryID
	floor    Index
	live     *liveSet // nil when there are none
	// chain holds the memtables, newest first. A table answers from its start up to the
	// next newer one's; nothing older answers there.
	chain []link
	// segments ascend and do not overlap. Where a table of the chain has answered "never
	// appended" they are not asked.
	segments []raftlog.Segment

	// spare is memory for the views of the next releases, and run for how many it was allocated. Only
	// the log's writer looks at them.
	spare []view
	run   int
}

// link is a memtable of a chain. start is the first index it may hold, fixed when a
// truncation made it, while the table is still empty.
type link struct {
	table *memtable.Table
	start Index
	prev  EntryID // the entry before start
}

// emptyView is what all logs share that hold nothing and have released nothing.
var emptyView view

func (v *view) isEmpty() bool {
	return len(v.chain) == 0 && len(v.segments) == 0 && v.live == nil && v.released == EntryID{} && v.floor == 0
}

// newest returns the table that is appended to, nil when the log has none yet.
func (v *view) newest() *memtable.Table {
	if len(v.chain) == 0 {
		return nil
	}
	return v.chain[0].table
}

// at returns the table that answers for index i, nil when only segments can.
func (v *view) at(i Index) *memtable.Table {
	for _, l := range v.chain {
		if i >= l.start {
			return l.table
		}
	}
	return nil
}

// runOnDisk returns the indexes from i to at most last that no table holds, given that none holds
// i: a table gives up its entries from the front. They end where another table answers. A live entry
// stands alone.
func (v *view) runOnDisk(i, last Index) Range {
	if i <= v.released.Index {
		return Range{First: i, Last: i}
	}
	if t := v.at(i); t != nil {
		last = min(last, max(t.First()-1, i))
	}
	return Range{First: i, Last: min(last, v.answersTo(i))}
}

// last returns the last index, as far as the view knows without the log's lock.
func (v *view) last() Index {
	if t := v.newest(); t != nil {
		return t.Last()
	}
	if n := len(v.segments); n > 0 {
		return max(v.segments[n-1].Range.Last, v.released.Index)
	}
	return v.released.Index
}

// answersTo returns the last index for which whatever answers for i does: the next newer table
// begins behind it. A flush may publish segments that go further.
func (v *view) answersTo(i Index) Index {
	last := ^Index(0)
	for _, l := range v.chain {
		if l.start <= i {
			break
		}
		last = l.start - 1
	}
	return last
}

// segmentAt returns the position of the segment that holds i, or -1.
func (v *view) segmentAt(i Index) int {
	n, found := slices.BinarySearchFunc(v.segments, i, func(s raftlog.Segment, i Index) int {
		switch {
		case s.Range.Last < i:
			return -1
		case s.Range.First > i:
			return 1
		}
		return 0
	})
	if !found {
		return -1
	}
	return n
}

// place is where a view has an index.
type place struct {
	kind    placeKind
	table   *memtable.Table // of placeTable
	segment int             // of placeSegment: its position in the view's segments
}

type placeKind uint8

const (
	placeReleased placeKind = iota
	placeBeyond             // above the last entry
	placeTable
	placeSegment
	placeLost // should be there, and is not
)

// resolve says where index i is. A flush publishes its view before it drops memory: so what is
// not placeTable holds only if, after resolve, v is still the log's view.
func (v *view) resolve(i Index) place { return v.resolveAbove(i, v.released.Index) }

// resolveAbove is resolve for who sees what lies above low, which is the floor for a slot.
func (v *view) resolveAbove(i, low Index) place {
	if i <= low && i > 0 {
		if live, err := v.live.has(i); err != nil {
			return place{kind: placeLost}
		} else if !live {
			return place{kind: placeReleased}
		}
	}
	t := v.at(i)
	if i == 0 || t != nil && i > t.Last() {
		return place{kind: placeBeyond}
	}
	if t != nil && t.Contains(i) {
		return place{kind: placeTable, table: t}
	}
	return v.resolveOnDisk(i)
}

// resolveOnDisk is resolve for an index that no table holds.
func (v *view) resolveOnDisk(i Index) place {
	if n := v.segmentAt(i); n >= 0 {
		return place{kind: placeSegment, segment: n}
	}
	if n := len(v.segments); len(v.chain) == 0 && (n == 0 || i > v.segments[n-1].Range.Last) {
		return place{kind: placeBeyond}
	}
	return place{kind: placeLost}
}

// push returns the view with a new newest table that begins behind prev, as a truncation to
// prev makes it. Tables that lie wholly above are gone from the chain.
func (v *view) push(t *memtable.Table, prev EntryID) *view {
	start := prev.Index + 1
	chain := []link{{table: t, start: start, prev: prev}}
	for _, l := range v.chain {
		if l.start < start {
			chain = append(chain, l)
		}
	}
	n := v.clone()
	n.chain, n.segments = chain, cutSegments(v.segments, prev.Index)
	return &n
}

// standing returns what the log still holds of last, the newest entry of table that a flush
// wrote: itself, or the entry at which later truncations cut below it. Of several that are not
// durable yet the newest may have cut an entry of another: that one is not on the device.
func (v *view) standing(last EntryID, table wal.Source) EntryID {
	cut := false
	for _, l := range v.chain {
		switch {
		case l.start > last.Index:
			continue
		case wal.Source(l.table) == table, cut && l.table.Durable() >= last.Index:
			return last
		}
		last, cut = l.prev, true
	}
	return last
}

// withSegments returns the view with a new list of segments.
func (v *view) withSegments(segments []raftlog.Segment) *view {
	segments = keepAbove(v.floor, v.live).segments(segments)
	if len(segments) == 0 && len(v.segments) == 0 {
		return v
	}
	n := v.clone()
	n.segments = segments
	return &n
}

// prune returns the view without the older tables that have nothing to answer for any more, and
// the memory that those hold.
func (v *view) prune() (pruned *view, gone int64) {
	if len(v.chain) <= 1 {
		return v, 0
	}
	var chain []link
	for i, l := range v.chain {
		if i == 0 || l.table.First() <= min(l.table.Last(), v.chain[i-1].start-1) || !l.table.Sparse().Empty() {
			chain = append(chain, l)
		} else {
			gone += l.table.Bytes()
		}
	}
	if len(chain) == len(v.chain) {
		return v, 0
	}
	n := v.clone()
	n.chain = chain
	return &n, gone
}

// release returns the view that begins behind id, keeps what lies above floor for slots, and live.
// The floor does not fall: what lies below is gone.
func (v *view) release(id EntryID, floor Index, live *liveSet) *view {
	n := v.next(live)
	n.released, n.floor, n.live = id, max(floor, v.floor), live
	n.segments = keepAbove(n.floor, live).segments(v.segments)
	return n
}

// maxRun bounds for how many releases views are allocated together.
const maxRun = 4

// clone returns a view to change.
func (v *view) clone() view {
	n := *v
	n.spare, n.run = nil, 0
	return n
}

// next is clone for a release. Those in a row share their memory, and live as long as one of them is
// used: they hold the same tables and nothing live.
func (v *view) next(live *liveSet) *view {
	spare, run := v.spare, v.run
	if live != nil || v.live != nil {
		spare, run = nil, 0
	}
	if len(spare) == 0 {
		run = min(run+1, maxRun)
		spare = make([]view, run)
	}
	n := &spare[0]
	*n = *v
	n.spare, n.run = spare[1:], run
	return n
}

// cutSegments returns the list without what lies above last; it does not change segs.
func cutSegments(segs []raftlog.Segment, last Index) []raftlog.Segment {
	n := len(segs)
	for n > 0 && segs[n-1].Range.First > last {
		n--
	}
	segs = segs[:n:n]
	if n > 0 && segs[n-1].Range.Last > last {
		segs = slices.Clone(segs)
		segs[n-1].Range.Last = last
	}
	return segs
}

// floorSegments returns the list without segments that hold nothing above released.
func floorSegments(segs []raftlog.Segment, released Index) []raftlog.Segment {
	n := 0
	for n < len(segs) && segs[n].Range.Last <= released {
		n++
	}
	return segs[n:]
}
