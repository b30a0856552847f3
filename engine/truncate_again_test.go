package engine_test

import (
	"context"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestTruncateToReleasedAgain: the manifest knows a release whose entry replaced another of that index. On the
// way there replay meets a truncation to the other one: the log ends with the released entry all the same.
func TestTruncateToReleasedAgain(t *testing.T) {
	fs := memfs.New(1)
	d := openDriven(t, fs, slotOptions())
	l, err := d.Create(slotUID)
	slotOK(t, err)
	put := func(prev, last engine.Index, term engine.Term) {
		t.Helper()
		before, err := l.Term(prev)
		slotOK(t, err)
		at := engine.EntryID{Term: before, Index: prev}
		for i := prev + 1; i <= last; i++ {
			id := engine.EntryID{Term: term, Index: i}
			slotOK(t, l.Append(at, []engine.Entry{makeEntry(slotUID, 1, id, 100)}))
			at = id
		}
		d.drain(t, "commit", "pool")
	}
	put(0, 2, 1)
	_ = d.Flush(canceled()) // asks for the roll
	d.drain(t, "commit", "pool")
	put(2, 10, 1)
	slotOK(t, l.TruncateTo(5))
	put(3, 5, 4)
	slotOK(t, l.Release(5))
	d.step("idle")
	for d.Stats().SealedFiles > 0 { // the first file only: the manifest learns of the release
		d.step("flush")
	}
	for range 2 {
		slotEqual(t, engine.EntryID{Term: 4, Index: 5}, l.Last())
		slotEqual(t, l.Last(), l.LastWritten())
		d, l, fs = reborn(t, fs, slotOptions())
	}
	put(5, 7, 4)
	slotOK(t, d.Close(context.Background()))
}
