package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// offlineOptions make files so small that a short history has several of each kind.
var offlineOptions = engine.Options{WALFileBytes: 64 << 10, MaxBatchBytes: 8 << 10, SegmentEntries: 16, Backend: engine.BackendFallback}

// offlineHistory writes a history whose facts lie in manifest, segments and WAL: log "a" has
// segments and entries above them, "b" released and truncated, "c" is in the WAL only, "d" was deleted.
func offlineHistory(t testing.TB, fs *memfs.FS, dir string) {
	t.Helper()
	ctx := context.Background()
	e, err := engine.OpenOn(fs, dir, offlineOptions)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	create := func(uid engine.UID) *engine.Log {
		l, err := e.CreateSync(ctx, uid)
		must(err)
		return l
	}
	a, b, d := create("a"), create("b"), create("d")
	for i := range 4 {
		prev := engine.EntryID{Index: engine.Index(10 * i)}
		if i > 0 {
			prev.Term = 1
		}
		must(a.AppendSync(ctx, prev, entries(prev, 1, 10)))
		must(b.AppendSync(ctx, prev, entries(prev, 1, 10)))
		must(d.AppendSync(ctx, prev, entries(prev, 1, 10)))
	}
	must(a.SetHardStateSync(ctx, engine.HardState{Term: 2, Vote: "x"}))
	must(e.Flush(ctx))
	must(a.AppendSync(ctx, engine.EntryID{Term: 1, Index: 40}, entries(engine.EntryID{Term: 1, Index: 40}, 2, 10)))
	must(b.Release(20))
	at := engine.EntryID{Term: 1, Index: 35}
	must(b.AppendSync(ctx, at, entries(at, 3, 5)))
	must(b.SetApplied(30))
	must(e.Delete(ctx, "d"))
	c := create("c")
	must(c.AppendSync(ctx, engine.EntryID{}, entries(engine.EntryID{}, 1, 5)))
	must(e.Close(ctx))
}

func soundFS(t testing.TB) *memfs.FS {
	t.Helper()
	fs := memfs.New(1)
	offlineHistory(t, fs, "/db")
	return fs
}

func inspect(t testing.TB, fs *memfs.FS) *engine.Inspection {
	t.Helper()
	in, err := engine.InspectOn(fs, "/db", engine.InspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func verify(t testing.TB, fs *memfs.FS) engine.VerifyReport {
	t.Helper()
	r, err := engine.VerifyOn(fs, "/db", engine.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestInspectSound(t *testing.T) {
	mem := soundFS(t)
	before := strings.Join(mem.Files(), "\n")
	in := inspect(t, mem)
	if len(in.Damage) != 0 || in.Torn != 0 || in.ManifestTorn {
		t.Fatalf("%+v", in)
	}
	if len(in.Logs) != 3 {
		t.Fatalf("%d logs: %+v", len(in.Logs), in.Logs)
	}
	a, b, c := in.Logs[0], in.Logs[1], in.Logs[2]
	if a.UID != "a" || a.First != 1 || a.Last != (engine.EntryID{Term: 2, Index: 50}) || a.HardState.Vote != "x" || a.WALEntries != 10 || len(a.Segments) < 2 {
		t.Errorf("%+v", a)
	}
	if b.UID != "b" || b.First != 21 || b.Last != (engine.EntryID{Term: 3, Index: 40}) || b.Applied != 30 || b.Released.Term != 1 || b.WALEntries != 5 {
		t.Errorf("%+v", b)
	}
	if c.UID != "c" || c.Last.Index != 5 || len(c.Segments) != 0 || c.WALEntries != 5 {
		t.Errorf("%+v", c)
	}
	r := verify(t, mem)
	if !r.Sound() || r.Logs != 3 || r.Entries != 50+20+5 || r.Segments == 0 {
		t.Fatalf("%+v", r)
	}
	if after := strings.Join(mem.Files(), "\n"); after != before {
		t.Fatalf("files changed from\n%s\nto\n%s", before, after)
	}
}

func dump(t testing.TB, fs *memfs.FS, uid engine.UID, o engine.DumpOptions) []engine.DumpRecord {
	t.Helper()
	var all []engine.DumpRecord
	for r, err := range engine.DumpOn(fs, "/db", uid, engine.Range{}, o) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestDump(t *testing.T) {
	mem := soundFS(t)
	for uid, want := range map[engine.UID]struct{ first, n, term int }{"a": {1, 50, 2}, "b": {21, 20, 3}, "c": {1, 5, 1}} {
		got := dump(t, mem, uid, engine.DumpOptions{Payload: true})
		if len(got) != want.n || int(got[len(got)-1].Term) != want.term {
			t.Fatalf("%s: %d entries", uid, len(got))
		}
		for i, r := range got {
			if int(r.Index) != want.first+i || string(r.Data) != fmt.Sprintf("%d/%d", r.Term, r.Index) {
				t.Fatalf("%s: %+v", uid, r)
			}
			file, err := mem.ReadFile(filepath.Join("/db", r.File))
			if err != nil || string(file[r.Offset:r.Offset+int64(r.Size)]) != string(r.Data) {
				t.Fatalf("%s: %+v is not at its place: %v", uid, r, err)
			}
		}
		for _, r := range dump(t, mem, uid, engine.DumpOptions{}) {
			if r.Data != nil {
				t.Fatal("payload shown unasked")
			}
		}
	}
	for _, err := range engine.DumpOn(mem, "/db", "nobody", engine.Range{}, engine.DumpOptions{}) {
		if !errors.Is(err, engine.ErrNotFound) {
			t.Fatal(err)
		}
	}
	n := 0
	for r, err := range engine.DumpOn(mem, "/db", "a", engine.Range{First: 38, Last: 43}, engine.DumpOptions{}) {
		if err != nil || int(r.Index) != 38+n {
			t.Fatal(r, err)
		}
		n++
	}
	if n != 6 {
		t.Fatalf("%d entries of a range of 6", n)
	}
}

// TestDumpFragments shows an entry that travels in pieces as one.
func TestDumpFragments(t *testing.T) {
	mem := memfs.New(1)
	e, err := engine.OpenOn(mem, "/db", engine.Options{WALFileBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	l, err := e.CreateSync(ctx, "big")
	if err != nil {
		t.Fatal(err)
	}
	data := []byte(strings.Repeat("0123456789abcdef", 60000))
	if err := l.AppendSync(ctx, engine.EntryID{}, []engine.Entry{{Index: 1, Term: 1, Data: data}, {Index: 2, Term: 1, Data: []byte("s")}}); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	got := dump(t, mem, "big", engine.DumpOptions{Payload: true})
	if len(got) != 2 || string(got[0].Data) != string(data) || string(got[1].Data) != "s" || got[0].Size != len(data) {
		t.Fatalf("%d entries", len(got))
	}
}

func TestDumpWAL(t *testing.T) {
	mem := soundFS(t)
	in := inspect(t, mem)
	kinds := make(map[string]int)
	for _, w := range in.WAL {
		frames := 0
		for r, err := range engine.DumpWALOn(mem, "/db", w.Number, engine.DumpOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			kinds[r.Kind]++
			if r.Kind == "frame" {
				frames++
				if r.Fault != "" {
					t.Errorf("%+v", r)
				}
			} else if !r.Sound || r.UID == "" || r.ID == 0 {
				t.Errorf("%+v", r)
			}
		}
		if frames != w.Batches {
			t.Errorf("file %d: %d frames, %d batches", w.Number, frames, w.Batches)
		}
	}
	for _, kind := range []string{"declare", "entry", "create", "delete", "release", "truncate", "applied"} {
		if kinds[kind] == 0 {
			t.Errorf("no record of kind %s in %v", kind, kinds)
		}
	}
	for _, err := range engine.DumpWALOn(mem, "/db", 12345, engine.DumpOptions{}) {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func TestInspectNoEngine(t *testing.T) {
	mem := memfs.New(1)
	if err := mem.MkdirAll("/db"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/db", "/none"} {
		if _, err := engine.InspectOn(mem, dir, engine.InspectOptions{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("inspect %s: %v", dir, err)
		}
		if _, err := engine.VerifyOn(mem, dir, engine.VerifyOptions{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("verify %s: %v", dir, err)
		}
		if _, err := engine.RepairOn(mem, dir, engine.RepairOptions{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("repair %s: %v", dir, err)
		}
	}
	if len(mem.Files()) != 0 {
		t.Errorf("made %v", mem.Files())
	}
	mem = soundFS(t)
	if err := mem.WriteFile("/db/FORMAT", []byte("rawl 9\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.VerifyOn(mem, "/db", engine.VerifyOptions{}); !errors.Is(err, engine.ErrVersion) {
		t.Error(err)
	}
	if _, err := engine.RepairOn(mem, "/db", engine.RepairOptions{}); !errors.Is(err, engine.ErrVersion) {
		t.Error(err)
	}
}

// damaged lists the logs that a report names.
func damaged(ds []engine.Damage) []engine.UID {
	var uids []engine.UID
	for _, d := range ds {
		if d.UID != "" && !slices.Contains(uids, d.UID) {
			uids = append(uids, d.UID)
		}
	}
	slices.Sort(uids)
	return uids
}
