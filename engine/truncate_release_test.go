package engine_test

import (
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestZeroIsReleasedToo tries to begin anew a log that begins behind a release: that index 0 has a
// known term, 0, makes it no place to append to or to cut to. Only the last released entry is.
func TestZeroIsReleasedToo(t *testing.T) {
	m := memfs.New(1)
	o := engine.Options{WALFileBytes: 1 << 20}
	e, l := oneLog(t, m, o)
	if err := l.Release(5); err != nil {
		t.Fatal(err)
	}
	zero, released := engine.EntryID{}, engine.EntryID{Term: 1, Index: 5}
	refused := func() {
		t.Helper()
		first, last := l.First(), l.Last()
		wantErr(t, "append", l.Append(zero, entries(zero, 2, 3)), engine.ErrCompacted)
		wantErr(t, "append sync", l.AppendSync(t.Context(), zero, entries(zero, 2, 3)), engine.ErrCompacted)
		wantErr(t, "truncate to 0", l.TruncateTo(0), engine.ErrCompacted)
		wantErr(t, "truncate to 4", l.TruncateTo(4), engine.ErrCompacted)
		if l.First() != first || l.Last() != last || l.LastWritten() != last {
			t.Fatalf("a refused call changed the log: %+v", l.Stats())
		}
	}
	refused()
	checkRange(t, l, 6, 10, 1)
	if err := l.AppendSync(t.Context(), released, entries(released, 2, 3)); err != nil {
		t.Fatal(err)
	}
	refused()
	checkRange(t, l, 6, 8, 2)
	closeEngine(t, e)

	e = openMem(t, m, o)
	defer closeEngine(t, e)
	l, err := e.Log("a")
	if err != nil {
		t.Fatal(err)
	}
	if want := (engine.EntryID{Term: 2, Index: 8}); l.First() != 6 || l.Last() != want || l.LastWritten() != want {
		t.Fatalf("after reopen: %+v", l.Stats())
	}
	refused()
	checkRange(t, l, 6, 8, 2)
	_, err = l.Read(1)
	wantErr(t, "read", err, engine.ErrCompacted)
}
