package engine_test

import (
	"io"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// A crash between a promotion's rename and its record leaves a whole checkpoint, whether the record
// of the checkpoint itself is in the manifest, in the WAL or in its last batch.
func TestPromotionCutOff(t *testing.T) {
	for _, idle := range []bool{false, true} {
		w := newWorld(t, 1, rolls())
		w.open()
		l, err := w.e.Create("log-0")
		if err != nil {
			t.Fatal(err)
		}
		w.hist["log-0"].lives = 1
		w.logs[l] = &handle{h: w.hist["log-0"], life: 1}
		if err := l.Append(engine.EntryID{}, entries(engine.EntryID{}, 1, 20)); err != nil {
			t.Fatal(err)
		}
		w.step("commit")
		err = l.Capture(engine.Capture{
			Kind: engine.KindCheckpoint, At: engine.EntryID{Term: 1, Index: 10},
			State: func(w io.Writer) error { _, err := io.WriteString(w, "state"); return err },
		})
		if err != nil {
			t.Fatal(err)
		}
		w.step("snapshots")
		if err := l.Append(engine.EntryID{Term: 1, Index: 20}, entries(engine.EntryID{Term: 1, Index: 20}, 1, 1)); err != nil {
			t.Fatal(err)
		}
		w.step("commit")
		if idle { // the batch of the checkpoint's record is known to be durable
			w.step("idle")
		}
		if err := l.Promote(10, nil); err != nil {
			t.Fatal(err)
		}
		w.step("snapshots") // renamed, its record queued

		image := w.mem.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})
		for range 2 { // nor does the second recovery miss it
			e, err := engine.OpenParts(image, "/db", w.o)
			if err != nil {
				t.Fatal(err)
			}
			again, err := e.Log("log-0")
			if err != nil {
				t.Fatal(err)
			}
			list := again.Snapshots()
			if len(list) != 1 || list[0].Kind != engine.KindCheckpoint {
				t.Fatalf("idle %v: %+v", idle, list)
			}
			r, err := again.OpenSnapshot(list[0])
			if err != nil {
				t.Fatalf("idle %v: %v", idle, err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			image = image.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})
		}
	}
}
