package engine_test

import (
	"slices"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestFlushKeepsLiveEntries: a flush of a file whose entries a snapshot has released writes those that are live,
// whatever the flush of the file before held, and they outlive the file (I9).
func TestFlushKeepsLiveEntries(t *testing.T) {
	for _, flushed := range []engine.Index{0, 20} { // entries that an earlier flush has taken
		fs := memfs.New(1)
		roomy := small()
		roomy.WALFileBytes = 8 << 20 // no flush comes before the snapshot counts, however long that takes
		e := openMem(t, fs, roomy)
		l, err := e.CreateSync(t.Context(), "a")
		slotOK(t, err)
		slotOK(t, l.AppendSync(t.Context(), l.Last(), entries(l.Last(), 1, 20)))
		if flushed > 0 {
			slotOK(t, e.Flush(t.Context()))
		}
		slotOK(t, l.AppendSync(t.Context(), l.Last(), entries(l.Last(), 1, 20)))
		live := []engine.Index{3, 17, 21, 30, 35}
		done := make(chan error, 1)
		slotOK(t, l.Capture(engine.Capture{Kind: engine.KindSnapshot, At: engine.EntryID{Term: 1, Index: 35}, Live: seqOf(live...),
			State: noState, Done: func(_ engine.Snapshot, err error) { done <- err }}))
		for waiting := true; waiting; { // the record rides with others
			slotOK(t, l.AppendSync(t.Context(), l.Last(), entries(l.Last(), 1, 1)))
			select {
			case err := <-done:
				slotOK(t, err)
				waiting = false
			default:
			}
		}
		slotOK(t, e.Flush(t.Context()))
		last := l.Last().Index
		for range 3 {
			for i := engine.Index(1); i <= 35; i++ {
				entry, err := l.Read(i)
				if !slices.Contains(live, i) {
					slotErr(t, err, engine.ErrCompacted)
				} else if slotOK(t, err); string(entry.Data) != string(entries(engine.EntryID{Index: i - 1}, 1, 1)[0].Data) {
					t.Fatalf("live entry %d is %q", i, entry.Data)
				}
			}
			checkRange(t, l, 36, last, 1)
			closeEngine(t, e)
			fs = fs.Crash(memfs.CrashOptions{Unsynced: memfs.Lost})
			e = openMem(t, fs, small())
			l, err = e.Log("a")
			slotOK(t, err)
		}
		closeEngine(t, e)
	}
}
