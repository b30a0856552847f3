package engine_test

import (
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestInspectSlotsAsRecovered compares the slots, and what is released, that the offline calls see of a disk after a power
// cut with what an open makes of it.
func TestInspectSlotsAsRecovered(t *testing.T) {
	seen := 0
	for n := range tries(20) {
		w := newLongWorld(t, uint64(n))
		w.open()
		for k, op := range longHistory(*firstSeed, uint64(n), 600) {
			if w.do(op); k%150 != 149 {
				continue
			}
			image := w.mem.Crash(memfs.CrashOptions{Unsynced: memfs.Unsynced(k / 150 % 3), Seed: uint64(n)})
			in, err := engine.InspectOn(image, "/db", engine.InspectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			seen += compareSlots(t, fmt.Sprintf("history %d after %d", n, k), in, openDriven(t, image, w.o))
		}
		w.close()
	}
	if histories := tries(20); seen < histories {
		t.Errorf("%d slots of %d histories were compared only", seen, histories)
	}
}

func compareSlots(t *testing.T, what string, in *engine.Inspection, d *driven) (seen int) {
	t.Helper()
	d.drain(t, "commit", "pool") // what was taken from above the watermark
	for k, info := range in.Logs {
		if k+1 < len(in.Logs) && in.Logs[k+1].UID == info.UID {
			continue // an earlier life, whose deletion an open asks for again
		}
		l, err := d.Log(info.UID)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var have []engine.SlotClaim
		for _, s := range l.Slots() {
			have = append(have, engine.SlotClaim{Name: s.Name, Acked: s.Acked, Invalid: s.Invalid})
		}
		if fmt.Sprint(have) != fmt.Sprint(info.Slots) || info.First != l.First() {
			t.Fatalf("%s: log %s has %v, first %d; offline it has %v, first %d", what, info.UID, have, l.First(), info.Slots, info.First)
		}
		seen += len(have)
	}
	return seen
}
