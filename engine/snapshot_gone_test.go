package engine_test

import (
	"io"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// Records of snapshots whose files left with a newer one, and releases between them, cost no live
// entry in recovery.
func TestRecoveryWithoutOlderSnapshots(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		w := newWorld(t, 1, rolls())
		w.open()
		l, err := w.e.Create("log-0")
		if err != nil {
			t.Fatal(err)
		}
		w.hist["log-0"].lives = 1
		w.logs[l] = &handle{h: w.hist["log-0"], life: 1}
		if err := l.Append(engine.EntryID{}, entries(engine.EntryID{}, 1, 90)); err != nil {
			t.Fatal(err)
		}
		w.step("commit")
		if flushed {
			_ = w.e.Flush(canceled())
			for w.step("commit") || w.step("flush") || w.step("pool") {
			}
		}
		capture := func(at engine.Index, live ...engine.Index) {
			t.Helper()
			err := l.Capture(engine.Capture{
				Kind: engine.KindSnapshot, At: engine.EntryID{Term: 1, Index: at}, Live: raftlog.SeqOf(live...),
				State: func(w io.Writer) error { _, err := io.WriteString(w, "state"); return err },
			})
			if err != nil {
				t.Fatal(err)
			}
			w.step("snapshots")
			w.step("idle")
			w.step("flush")
		}
		capture(37, 5, 16, 32, 36)
		capture(53, 5, 16, 48)
		if err := l.Release(65); err != nil {
			t.Fatal(err)
		}
		capture(76, 5, 48)
		w.step("idle")
		e, err := engine.OpenParts(w.mem.Crash(memfs.CrashOptions{Unsynced: memfs.Kept}), "/db", w.o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := e.Log("log-0")
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []engine.Index{5, 48, 77, 90} {
			if _, err := again.Read(i); err != nil {
				t.Errorf("flushed %v: read %d: %v", flushed, i, err)
			}
		}
		if got := again.Snapshots(); len(got) != 1 || got[0].ID.Index != 76 {
			t.Errorf("flushed %v: snapshots %v", flushed, got)
		}
	}
}
