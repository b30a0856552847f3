package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// wantErr reports an error that is not want.
func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// oneLog returns an engine with log a, which holds 1/1 to 1/10.
func oneLog(t *testing.T, fs vfs.FS, o engine.Options) (*engine.Engine, *engine.Log) {
	t.Helper()
	e, err := engine.OpenOn(fs, "/db", o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := e.CreateSync(t.Context(), "a")
	if err == nil {
		err = l.AppendSync(t.Context(), engine.EntryID{}, entries(engine.EntryID{}, 1, 10))
	}
	if err != nil {
		t.Fatal(err)
	}
	return e, l
}

// disk is the content of all files.
func disk(t *testing.T, m *memfs.FS) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range m.Files() {
		b, err := m.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(b)
	}
	return all
}

// refused checks that an open fails with want and changes nothing.
func refused(t *testing.T, m *memfs.FS, o engine.Options, want error) {
	t.Helper()
	before := disk(t, m)
	e, err := engine.OpenOn(m, "/db", o)
	wantErr(t, "open", err, want)
	if err == nil {
		closeEngine(t, e)
		return
	}
	after := disk(t, m)
	for name, b := range before {
		if after[name] != b {
			t.Errorf("a refused open changed %s", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("a refused open left %d files, there were %d", len(after), len(before))
	}
}

func TestBadUIDs(t *testing.T) {
	e := openMem(t, memfs.New(1), engine.Options{})
	defer closeEngine(t, e)
	for _, uid := range []engine.UID{"", ".", "..", "a/b", "a\\b", "a\x00", "ä", "a b", engine.UID(strings.Repeat("x", 129))} {
		_, err := e.Create(uid)
		wantErr(t, fmt.Sprintf("create %q", uid), err, engine.ErrBadUID)
		_, err = e.CreateSync(t.Context(), uid)
		wantErr(t, fmt.Sprintf("create %q", uid), err, engine.ErrBadUID)
		_, err = e.Log(uid)
		wantErr(t, "log", err, engine.ErrNotFound)
	}
	for _, uid := range []engine.UID{"x", "X", "a-b_c", engine.UID(strings.Repeat("x", 128))} {
		if _, err := e.CreateSync(t.Context(), uid); err != nil {
			t.Error(err)
		}
	}
	_, err := e.Create("x")
	wantErr(t, "create again", err, engine.ErrExists)
	wantErr(t, "delete", e.Delete(t.Context(), "y"), engine.ErrNotFound)
}

func TestRefusedAppends(t *testing.T) {
	e, l := oneLog(t, memfs.New(1), engine.Options{WALFileBytes: 1 << 20, MaxEntryBytes: 1000})
	defer closeEngine(t, e)
	id := func(term engine.Term, i engine.Index) engine.EntryID { return engine.EntryID{Term: term, Index: i} }
	one := func(term engine.Term, i engine.Index) []engine.Entry { return []engine.Entry{{Term: term, Index: i}} }
	for _, c := range []struct {
		what string
		prev engine.EntryID
		es   []engine.Entry
		want error
	}{
		{"beyond the end", id(1, 11), one(1, 12), engine.ErrGap},
		{"wrong term of prev", id(2, 10), one(2, 11), engine.ErrGap},
		{"wrong term of an older prev", id(2, 5), one(2, 6), engine.ErrGap},
		{"gap behind prev", id(1, 10), one(1, 12), engine.ErrGap},
		{"overlap with prev", id(1, 10), one(1, 10), engine.ErrGap},
		{"gap inside", id(1, 10), append(one(1, 11), one(1, 13)...), engine.ErrGap},
		{"falling term", id(1, 10), one(0, 11), engine.ErrGap},
		{"falling term inside", id(1, 10), append(one(3, 11), one(2, 12)...), engine.ErrGap},
		{"too large", id(1, 10), []engine.Entry{{Term: 1, Index: 11, Data: make([]byte, 1001)}}, engine.ErrTooLarge},
		{"too large and conflicting", id(1, 5), []engine.Entry{{Term: 2, Index: 6, Data: make([]byte, 1001)}}, engine.ErrTooLarge},
	} {
		wantErr(t, c.what, l.Append(c.prev, c.es), c.want)
		wantErr(t, c.what, l.AppendSync(t.Context(), c.prev, c.es), c.want)
		checkRange(t, l, 1, 10, 1)
		if l.Last() != id(1, 10) {
			t.Fatalf("%s: the log ends at %v", c.what, l.Last())
		}
	}
	if err := l.AppendSync(t.Context(), id(1, 10), []engine.Entry{{Term: 1, Index: 11, Data: make([]byte, 1000)}}); err != nil {
		t.Error(err)
	}
	wantErr(t, "truncate beyond the end", l.TruncateTo(12), engine.ErrOutOfRange)
	wantErr(t, "release beyond the end", l.Release(12), engine.ErrOutOfRange)
	wantErr(t, "vote", l.SetHardState(engine.HardState{Term: 1, Vote: strings.Repeat("v", 5000)}), engine.ErrTooLarge)
	if err := l.SetHardStateSync(t.Context(), engine.HardState{Term: 3, Vote: "x"}); err != nil {
		t.Error(err)
	}
	wantErr(t, "lower term", l.SetHardState(engine.HardState{Term: 2}), engine.ErrHardState)
	wantErr(t, "other vote", l.SetHardState(engine.HardState{Term: 3, Vote: "y"}), engine.ErrHardState)
	wantErr(t, "no vote", l.SetHardState(engine.HardState{Term: 3}), engine.ErrHardState)
}

func TestReleasedAndBeyond(t *testing.T) {
	e, l := oneLog(t, memfs.New(1), engine.Options{WALFileBytes: 1 << 20})
	defer closeEngine(t, e)
	check := func() {
		t.Helper()
		for i := engine.Index(1); i <= 4; i++ {
			_, err := l.Read(i)
			wantErr(t, "read", err, engine.ErrCompacted)
			for _, err := range l.ReadRange(i, 10) {
				wantErr(t, "range", err, engine.ErrCompacted)
			}
			if _, err := l.Term(i); i < 4 {
				wantErr(t, "term", err, engine.ErrCompacted)
			}
		}
		if term, err := l.Term(4); term != 1 || err != nil {
			t.Errorf("term of the last released entry: %d, %v", term, err)
		}
		for _, i := range []engine.Index{0, 11, 1 << 40, ^engine.Index(0)} {
			_, err := l.Read(i)
			wantErr(t, "read", err, engine.ErrOutOfRange)
		}
		checkRange(t, l, 5, 10, 1)
	}
	if err := l.Release(4); err != nil {
		t.Fatal(err)
	}
	check()
	wantErr(t, "truncate below the released", l.TruncateTo(3), engine.ErrCompacted)
	wantErr(t, "append behind a released one", l.Append(engine.EntryID{Term: 1, Index: 3}, entries(engine.EntryID{Index: 3}, 2, 1)), engine.ErrCompacted)
	if err := errors.Join(l.Release(2), l.Release(4), e.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	check()
	if err := l.TruncateTo(4); err != nil {
		t.Fatal(err)
	}
	if l.First() != 5 || l.Last() != (engine.EntryID{Term: 1, Index: 4}) {
		t.Errorf("after truncation to the released entry: %d to %v", l.First(), l.Last())
	}
	if err := l.AppendSync(t.Context(), l.Last(), entries(l.Last(), 2, 3)); err != nil {
		t.Fatal(err)
	}
	checkRange(t, l, 5, 7, 2)
}

func TestClosedEngine(t *testing.T) {
	e, l := oneLog(t, memfs.New(1), engine.Options{WALFileBytes: 1 << 20})
	closeEngine(t, e)
	ctx := t.Context()
	for what, err := range map[string]error{
		"append":      l.Append(l.Last(), entries(l.Last(), 1, 1)),
		"append sync": l.AppendSync(ctx, l.Last(), entries(l.Last(), 1, 1)),
		"truncate":    l.TruncateTo(3), "release": l.Release(3), "applied": l.SetApplied(3),
		"hard":      l.SetHardState(engine.HardState{Term: 1}),
		"hard sync": l.SetHardStateSync(ctx, engine.HardState{Term: 1}),
		"delete":    e.Delete(ctx, "a"), "flush": e.Flush(ctx), "close": e.Close(ctx),
	} {
		wantErr(t, what, err, engine.ErrClosed)
	}
	_, err := e.Create("b")
	wantErr(t, "create", err, engine.ErrClosed)
	_, err = e.CreateSync(ctx, "b")
	wantErr(t, "create sync", err, engine.ErrClosed)
	_, err = e.Log("a")
	wantErr(t, "log", err, engine.ErrClosed)
	e.Stats()
	l.Stats()
}

func TestCanceledContexts(t *testing.T) {
	e, l := oneLog(t, memfs.New(1), engine.Options{WALFileBytes: 1 << 20})
	defer closeEngine(t, e)
	cause := errors.New("the cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	wantErr(t, "append", l.AppendSync(ctx, l.Last(), entries(l.Last(), 1, 1)), cause)
	wantErr(t, "hard state", l.SetHardStateSync(ctx, engine.HardState{Term: 9}), cause)
	if l.Last().Index != 10 || l.HardState().Term != 0 {
		t.Errorf("a context that had ended before the call changed the log: %+v", l.Stats())
	}
	wantErr(t, "flush", e.Flush(ctx), cause)
}

func TestInUse(t *testing.T) {
	m := memfs.New(1)
	e, _ := oneLog(t, m, engine.Options{WALFileBytes: 1 << 20})
	_, err := engine.OpenOn(m, "/db", engine.Options{})
	wantErr(t, "second open", err, engine.ErrInUse)
	closeEngine(t, e)
	closeEngine(t, openMem(t, m, engine.Options{}))
}

func TestBadOptions(t *testing.T) {
	m := memfs.New(1)
	for _, o := range []engine.Options{
		{Backend: "disk"}, {WALFileBytes: 1000}, {WALFileBytes: 64<<10 + 1}, {WALSpares: 65}, {MaxBatchBytes: 1},
		{MaxEntryBytes: -1}, {MemoryBytes: 1}, {Strategy: 99}, {SegmentBytes: 1}, {OpenSegments: -1}, {StallAfter: 1},
	} {
		_, err := engine.OpenOn(m, "/db", o)
		wantErr(t, fmt.Sprintf("%+v", o), err, engine.ErrOptions)
	}
	if len(m.Files()) > 0 {
		t.Error("something was made:", m.Files())
	}
}

// sound returns the disk of a closed engine whose WAL lies in walDir.
func sound(t *testing.T, walDir string) *memfs.FS {
	t.Helper()
	m := memfs.New(1)
	e, l := oneLog(t, m, engine.Options{WALFileBytes: 64 << 10, WALDir: walDir})
	if err := e.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.AppendSync(t.Context(), l.Last(), entries(l.Last(), 1, 10)); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	return m
}

func TestOtherVersion(t *testing.T) {
	m := sound(t, "")
	text, _ := m.ReadFile("/db/FORMAT")
	for version, want := range map[string]error{
		"rawl 2\n": engine.ErrVersion, "rawl 10\n": engine.ErrVersion, "": engine.ErrCorrupt, "other\n": engine.ErrCorrupt,
	} {
		if err := m.WriteFile("/db/FORMAT", []byte(version)); err != nil {
			t.Fatal(err)
		}
		refused(t, m, engine.Options{}, want)
	}
	if err := m.WriteFile("/db/FORMAT", text); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, openMem(t, m, engine.Options{}))
}

// remove removes the files whose names contain part.
func remove(t *testing.T, m *memfs.FS, part string, n int) {
	t.Helper()
	for _, name := range m.Files() {
		if strings.Contains(name, part) && n > 0 {
			n--
			if err := m.RemoveFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestMissingFiles(t *testing.T) {
	t.Run("one WAL file", func(t *testing.T) {
		m := sound(t, "")
		if err := m.RemoveFile(fileWith(t, m, "1/20")); err != nil {
			t.Fatal(err)
		}
		refused(t, m, engine.Options{}, engine.ErrMissingWAL)
	})
	t.Run("WALDir not mounted", func(t *testing.T) {
		m := sound(t, "/mnt/wal")
		remove(t, m, "/mnt/wal/", 99)
		refused(t, m, engine.Options{WALDir: "/mnt/wal"}, engine.ErrMissingWAL)
	})
	t.Run("other WALDir", func(t *testing.T) {
		refused(t, sound(t, "/mnt/wal"), engine.Options{}, engine.ErrMissingWAL)
	})
	t.Run("WAL of another engine", func(t *testing.T) {
		m, other := sound(t, ""), sound(t, "")
		for _, name := range m.Files() {
			if b, err := other.ReadFile(name); strings.HasSuffix(name, ".wal") && err == nil {
				if err := m.WriteFile(name, b); err != nil {
					t.Fatal(err)
				}
			}
		}
		refused(t, m, engine.Options{}, engine.ErrMissingWAL)
	})
	t.Run("manifest", func(t *testing.T) {
		m := sound(t, "")
		remove(t, m, "manifest-", 99)
		refused(t, m, engine.Options{}, engine.ErrCorrupt)
	})
	t.Run("FORMAT", func(t *testing.T) {
		m := sound(t, "")
		remove(t, m, "FORMAT", 1)
		refused(t, m, engine.Options{}, engine.ErrCorrupt)
	})
	t.Run("FORMAT and manifest", func(t *testing.T) {
		m := sound(t, "")
		remove(t, m, "FORMAT", 1)
		remove(t, m, "manifest-", 99)
		refused(t, m, engine.Options{}, engine.ErrCorrupt)
	})
	t.Run("segment", func(t *testing.T) {
		m := sound(t, "")
		remove(t, m, ".seg", 1)
		e := openMem(t, m, engine.Options{})
		defer closeEngine(t, e)
		l, err := e.Log("a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Read(3); err == nil || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("read from a segment that is gone: %v", err)
		}
		checkRange(t, l, 11, 20, 1)
	})
}

// TestForeignFiles leaves what is not its own where it is.
func TestForeignFiles(t *testing.T) {
	m := sound(t, "")
	names := []string{"/db/notes", "/db/wal/notes.wal", "/db/wal/x", "/db/logs/readme"}
	for _, name := range names {
		if err := m.WriteFile(name, []byte("mine")); err != nil {
			t.Fatal(err)
		}
	}
	e := openMem(t, m, engine.Options{})
	if err := errors.Join(e.Delete(t.Context(), "a"), e.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	closeEngine(t, openMem(t, m, engine.Options{}))
	for _, name := range names {
		if b, err := m.ReadFile(name); err != nil || !bytes.Equal(b, []byte("mine")) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// TestDeleted checks a handle of a deleted log, and its name.
func TestDeleted(t *testing.T) {
	m := memfs.New(1)
	e, l := oneLog(t, m, engine.Options{WALFileBytes: 64 << 10})
	ctx := t.Context()
	if err := errors.Join(e.Flush(ctx), e.Delete(ctx, "a")); err != nil {
		t.Fatal(err)
	}
	_, readErr := l.Read(1)
	for what, err := range map[string]error{
		"append": l.Append(l.Last(), entries(l.Last(), 1, 1)), "read": readErr, "truncate": l.TruncateTo(3),
		"hard": l.SetHardState(engine.HardState{Term: 1}),
	} {
		wantErr(t, what, err, engine.ErrDeleted)
	}
	wantErr(t, "delete again", e.Delete(ctx, "a"), engine.ErrNotFound)
	again, err := e.CreateSync(ctx, "a")
	if err != nil || again.Last().Index != 0 || again.HardState().Term != 0 {
		t.Fatalf("%v %v", again, err)
	}
	for range 2 {
		if err := e.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	closeEngine(t, e)
	e = openMem(t, m, engine.Options{WALFileBytes: 64 << 10})
	defer closeEngine(t, e)
	if got := slices.Collect(e.Logs()); len(got) != 1 || got[0].Last().Index != 0 {
		t.Errorf("%v", got)
	}
	for _, name := range m.Files() {
		if strings.HasSuffix(name, ".seg") {
			t.Errorf("%s is left of the deleted log", name)
		}
	}
}
