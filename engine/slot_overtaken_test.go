package engine_test

import (
	"testing"

	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestSlotBecomesDurableBehindRelease: a slot is made, acknowledged and overtaken by a release before any of that is
// durable, and then a part of it is: who opens the slot goes on where it acknowledged, and not before what is there.
func TestSlotBecomesDurableBehindRelease(t *testing.T) {
	fs, o := memfs.New(1), slotOptions()
	o.MaxBatchBytes = 4096
	d, l := slotLog(t, fs, o, 20)
	d.drain(t, "commit", "pool")
	slotOK(t, l.CreateSlot("s", 3))
	slotOK(t, l.AckSlot("s", 5))
	grow(t, l, 60) // for which one batch has no room
	slotOK(t, l.AckSlot("s", 15))
	slotOK(t, l.Release(10))
	met := false
	for d.step("commit", "pool") {
		s := l.Slots()[0]
		met = met || s.Durable.Index == 5
		got, _ := readSlot(t, d.Engine, "s")
		slotTrue(t, len(got) > 0 && got[0] <= 16)
	}
	slotTrue(t, met)
}
