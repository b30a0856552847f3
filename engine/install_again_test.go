package engine_test

import (
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestInstallCommittedAgain: a flush of an older file has named an installed snapshot in the manifest, and then a power
// cut leaves its record in the last batch, which is committed again: the snapshot's file stays.
func TestInstallCommittedAgain(t *testing.T) {
	fs := memfs.New(1)
	d, l := slotLog(t, fs, slotOptions(), 5)
	d.drain(t, "commit", "pool")
	_ = d.Flush(canceled()) // asks for the roll
	d.drain(t, "commit", "pool")
	s := ship(t, 40, always(2), 100, 3, 30)
	s.begin(t, l)
	d.drain(t, "commit", "pool")
	d.drain(t, "flush")
	for range 3 {
		slotEqual(t, 1, len(l.Snapshots()))
		r, err := l.Restore(t.Context())
		slotOK(t, err)
		slotEqual(t, s.id, r.Info().ID)
		slotOK(t, r.Close())
		e, err := l.Read(30)
		slotOK(t, err)
		slotEqual(t, engine.EntryID{Term: 2, Index: 30}, e.ID())
		d, l, fs = reborn(t, fs, slotOptions())
		d.drain(t, "commit", "pool", "flush")
	}
}
