package engine_test

import (
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestFlushBesideReleaseThatIsLost flushes a file while a release is queued and not durable. A
// power cut then loses the release: every entry must still be there.
func TestFlushBesideReleaseThatIsLost(t *testing.T) {
	m := memfs.New(1)
	d := openDriven(t, m, engine.Options{WALFileBytes: 1 << 20})
	l, err := d.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(engine.EntryID{}, entries(engine.EntryID{}, 1, 10)); err != nil {
		t.Fatal(err)
	}
	d.drain(t, "commit", "pool")
	_ = d.Flush(canceled()) // asks for the roll
	d.drain(t, "commit", "pool")
	if err := l.Release(5); err != nil {
		t.Fatal(err)
	}
	d.drain(t, "flush")
	if s := d.Stats(); s.SealedFiles > 0 || s.Flushes == 0 {
		t.Fatalf("%d files wait, %d were flushed", s.SealedFiles, s.Flushes)
	}

	e := openMem(t, m.Crash(memfs.CrashOptions{}), engine.Options{WALFileBytes: 1 << 20})
	if l, err = e.Log("a"); err != nil {
		t.Fatal(err)
	}
	if l.First() != 1 || l.LastWritten().Index != 10 {
		t.Fatalf("the log holds %d to %v, want 1 to 10", l.First(), l.LastWritten())
	}
	checkRange(t, l, 1, 10, 1)
	closeEngine(t, e)
}
