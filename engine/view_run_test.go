package engine

import (
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/memtable"
)

// Views of releases in a row share memory, and each stays as it was for who holds it. A view that
// holds other tables, segments or live entries shares none with them.
func TestReleasesShareViews(t *testing.T) {
	v := emptyView.push(memtable.New(1), EntryID{})
	var all []*view
	for i := range Index(20) {
		v = v.release(EntryID{Term: 1, Index: i + 1}, i, nil)
		all = append(all, v)
	}
	for i, old := range all {
		if old.released.Index != Index(i)+1 || old.floor != Index(i) || old.newest() != v.newest() {
			t.Errorf("view %d: released %v, floor %d", i, old.released, old.floor)
		}
	}
	if n := testing.AllocsPerRun(100, func() { v = v.release(EntryID{Term: 1, Index: 30}, 30, nil) }); n > 0.5 {
		t.Errorf("%v allocations for a release", n)
	}
	live := newLiveSet(raftlog.SeqOf(7))
	for name, w := range map[string]*view{
		"pushed":      v.push(memtable.New(40), EntryID{Term: 1, Index: 39}),
		"flushed":     v.withSegments([]raftlog.Segment{{Number: 1, Range: Range{First: 31, Last: 35}}}),
		"with live":   v.release(EntryID{Term: 1, Index: 31}, 31, live),
		"live before": v.release(EntryID{Term: 1, Index: 31}, 31, live).release(EntryID{Term: 1, Index: 32}, 32, nil),
	} {
		if len(w.spare) > 0 || w.run > 1 {
			t.Errorf("%s: room for %d more views of %d", name, len(w.spare), w.run)
		}
	}
}
