package engine_test

import (
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestInstallCutsCursor: a reader that was delivered what an installed snapshot replaced stands, with index and term,
// at the last entry that was committed: after a crash that took entry and snapshot the cursor finds another history.
func TestInstallCutsCursor(t *testing.T) {
	fs := memfs.New(1)
	d, l := slotLog(t, fs, slotOptions(), 3)
	d.drain(t, "commit", "pool")
	grow(t, l, 2) // committed by others, and not durable here
	r, err := d.OpenReader(slotUID, engine.FromFirst(), engine.ReaderOptions{Uncommitted: true})
	slotOK(t, err)
	slotOK(t, readOn(t, r))
	last := l.Last()
	slotOK(t, l.Append(last, []engine.Entry{makeEntry(slotUID, 1, engine.EntryID{Term: 1, Index: 6}, 1000)}))
	before := fs.Crash(memfs.CrashOptions{Unsynced: memfs.Lost})
	d.drain(t, "commit", "pool")
	slotOK(t, readOn(t, r))
	ship(t, 20, always(2), 100).begin(t, l)
	err = readOn(t, r)
	cut := wantAs[*engine.TruncatedError](t, "replaced log", err)
	slotEqual(t, last.Index+1, cut.From)
	slotEqual(t, last, r.Cursor().At)
	err = readOn(t, r)
	slotErr(t, err, engine.ErrCompacted)

	d = openDriven(t, before, slotOptions())
	l, err = d.Log(slotUID)
	slotOK(t, err)
	id := l.Last()
	for k := range engine.Index(3) {
		next := engine.EntryID{Term: 2, Index: id.Index + 1 + k}
		slotOK(t, l.Append(l.Last(), []engine.Entry{makeEntry(slotUID, 1, next, 1000)}))
	}
	_, err = d.OpenReader(slotUID, engine.AtCursor(r.Cursor()), engine.ReaderOptions{Uncommitted: true})
	diverged := wantAs[*engine.DivergedError](t, "cursor", err)
	slotEqual(t, id.Index, diverged.Common)
}

// readOn reads to the end of what there is, and returns why it ended earlier.
func readOn(t *testing.T, r *engine.Reader) error {
	t.Helper()
	for _, err := range r.Entries(t.Context()) {
		if err != nil {
			return err
		}
	}
	return nil
}
