package engine_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

var offlineLogs = []engine.UID{"a", "b", "c"}

func dumpAll(t testing.TB, mem *memfs.FS) map[engine.UID][]engine.DumpRecord {
	t.Helper()
	all := make(map[engine.UID][]engine.DumpRecord)
	for _, uid := range offlineLogs {
		all[uid] = dump(t, mem, uid, engine.DumpOptions{Payload: true})
	}
	return all
}

// checkEngine opens the engine, reads the entries by its own means, and appends to each log.
func checkEngine(t *testing.T, mem *memfs.FS, want map[engine.UID][]engine.DumpRecord) {
	t.Helper()
	ctx := context.Background()
	e, err := engine.OpenOn(mem, "/db", offlineOptions)
	if err != nil {
		t.Fatal(err)
	}
	defer closeEngine(t, e)
	if n := e.Stats().Logs; n != len(want) {
		t.Errorf("%d logs, want %d", n, len(want))
	}
	for uid, all := range want {
		l, err := e.Log(uid)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if got, err := l.Read(r.Index); err != nil || got.Term != r.Term || !bytes.Equal(got.Data, r.Data) || got.Type != r.Type {
				t.Fatalf("%s %d: %v %v", uid, r.Index, got, err)
			}
		}
		if len(all) > 0 && l.Last().Index != all[len(all)-1].Index {
			t.Errorf("%s ends at %v", uid, l.Last())
		}
		if err := l.AppendSync(ctx, l.Last(), entries(l.Last(), 9, 3)); err != nil {
			t.Fatalf("append to %s: %v", uid, err)
		}
		if err := l.SetHardStateSync(ctx, engine.HardState{Term: 9, Vote: "me"}); err != nil {
			t.Fatalf("vote in %s: %v", uid, err)
		}
	}
	if err := e.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for uid, all := range want {
		l, _ := e.Log(uid)
		for _, r := range all {
			if got, err := l.Read(r.Index); err != nil || !bytes.Equal(got.Data, r.Data) {
				t.Fatalf("after the flush: %s %d: %v %v", uid, r.Index, got, err)
			}
		}
	}
}

func repair(t testing.TB, mem vfs.FS, o engine.RepairOptions) engine.RepairReport {
	t.Helper()
	r, err := engine.RepairOn(mem, "/db", o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func actions(r engine.RepairReport) string {
	var all []string
	for _, a := range r.Actions {
		all = append(all, strings.TrimSuffix(a.What+" "+string(a.UID), " "))
	}
	return strings.Join(all, ", ")
}

// rebuilds are ways to lose the manifest.
var rebuilds = map[string]func(*memfs.FS){
	"all gone": func(mem *memfs.FS) {
		for _, name := range filesOf(mem, "manifest-") {
			mem.RemoveFile("/db/" + name)
		}
	},
	"newest zeroed": func(mem *memfs.FS) {
		names := filesOf(mem, "manifest-")
		b, _ := mem.ReadFile("/db/" + names[len(names)-1])
		mem.WriteFile("/db/"+names[len(names)-1], make([]byte, len(b)))
	},
	"all zeroed, FORMAT gone": func(mem *memfs.FS) {
		for _, name := range filesOf(mem, "manifest-") {
			mem.WriteFile("/db/"+name, make([]byte, 10000))
		}
		mem.RemoveFile("/db/FORMAT")
	},
}

func TestRepairManifest(t *testing.T) {
	for name, lose := range rebuilds {
		t.Run(name, func(t *testing.T) {
			mem := soundFS(t)
			want := dumpAll(t, mem)
			want["b"] = want["b"][:len(want["b"]):len(want["b"])]
			lose(mem)
			if _, err := engine.OpenOn(mem, "/db", offlineOptions); !errors.Is(err, engine.ErrCorrupt) {
				t.Fatal(err)
			}
			before := strings.Join(mem.Files(), "\n")
			plan := repair(t, mem, engine.RepairOptions{DryRun: true})
			if after := strings.Join(mem.Files(), "\n"); after != before {
				t.Fatalf("a dry run made\n%s\nof\n%s", after, before)
			}
			r := repair(t, mem, engine.RepairOptions{})
			if actions(r) != actions(plan) || !strings.HasPrefix(actions(r), "manifest, log a, log b, log c") || len(r.Quarantined) > 0 {
				t.Fatalf("%+v\nplanned\n%+v", r, plan)
			}
			if strings.HasPrefix(name, "all gone") != (r.Kept == "") {
				t.Errorf("kept %q", r.Kept)
			}
			if again := repair(t, mem, engine.RepairOptions{}); len(again.Actions) != 0 {
				t.Errorf("a second repair did %+v", again.Actions)
			}
			if rep := verify(t, mem); !rep.Sound() {
				t.Fatal(rep.Damage)
			}
			checkEngine(t, mem, want)
		})
	}
}

// TestRepairAfterFlush loses the manifest when nothing is in the WAL that is not flushed, and files that were
// flushed are still there.
func TestRepairAfterFlush(t *testing.T) {
	mem := memfs.New(1)
	ctx := context.Background()
	e, err := engine.OpenOn(mem, "/db", offlineOptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, uid := range offlineLogs {
		l, err := e.CreateSync(ctx, uid)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.AppendSync(ctx, engine.EntryID{}, entries(engine.EntryID{}, 1, 40)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	a, _ := e.Log("a")
	at := engine.EntryID{Term: 1, Index: 20}
	if err := errors.Join(a.AppendSync(ctx, at, entries(at, 2, 5)), a.SetHardStateSync(ctx, engine.HardState{Term: 2, Vote: "x"}), e.Flush(ctx)); err != nil {
		t.Fatal(err)
	}
	b, _ := e.Log("b")
	if err := errors.Join(b.Release(40), b.SetHardStateSync(ctx, engine.HardState{Term: 1, Vote: "x"}), e.Flush(ctx)); err != nil {
		t.Fatal(err)
	}
	if err := b.AppendSync(ctx, b.Last(), entries(b.Last(), 2, 3)); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	want := dumpAll(t, mem)
	rebuilds["all gone"](mem)
	r := repair(t, mem, engine.RepairOptions{})
	if len(r.Quarantined) > 0 {
		t.Fatalf("%+v", r)
	}
	checkEngine(t, mem, want)
}

// quarantined returns a file system in which a byte of log c's entry 4 in the WAL was flipped and the
// engine was opened since.
func quarantined(t testing.TB, opened bool) (*memfs.FS, map[engine.UID][]engine.DumpRecord) {
	mem := soundFS(t)
	want := dumpAll(t, mem)
	flipAt(t, mem, want["c"][3].File, want["c"][3].Offset)
	if opened {
		e := openMemOffline(t, mem)
		if err := errors.Join(e.Flush(context.Background()), e.Close(context.Background())); err != nil {
			t.Fatal(err)
		}
	}
	want["c"] = want["c"][:3]
	return mem, want
}

func openMemOffline(t testing.TB, mem *memfs.FS) *engine.Engine {
	t.Helper()
	e, err := engine.OpenOn(mem, "/db", offlineOptions)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRepairQuarantined(t *testing.T) {
	for _, opened := range []bool{false, true} {
		mem, want := quarantined(t, opened)
		r := repair(t, mem, engine.RepairOptions{})
		if len(r.Actions) != 0 || len(r.Quarantined) != 1 || r.Quarantined[0].UID != "c" {
			t.Fatalf("without consent: %+v", r)
		}
		plan := repair(t, mem, engine.RepairOptions{DryRun: true, AcceptLoss: []engine.UID{"c"}})
		if actions(plan) != "accept-loss c" {
			t.Fatalf("%+v", plan)
		}
		if _, err := engine.RepairOn(mem, "/db", engine.RepairOptions{AcceptLoss: []engine.UID{"nobody"}}); !errors.Is(err, engine.ErrNotFound) {
			t.Fatal(err)
		}
		r = repair(t, mem, engine.RepairOptions{AcceptAllLoss: true})
		if actions(r) != "accept-loss c" || r.Actions[0].Lost.First != 4 || r.Actions[0].Range.Last != 3 || len(r.Quarantined) != 0 || r.Kept == "" {
			t.Fatalf("%+v", r)
		}
		if rep := verify(t, mem); !rep.Sound() {
			t.Fatal(rep.Damage)
		}
		if again := repair(t, mem, engine.RepairOptions{AcceptAllLoss: true}); len(again.Actions) != 0 {
			t.Errorf("a second repair did %+v", again.Actions)
		}
		checkEngine(t, mem, want)
	}
}

// TestRepairSegment accepts the loss of what is damaged in a segment, wherever the damage is.
func TestRepairSegment(t *testing.T) {
	sound := soundFS(t)
	all := dumpAll(t, sound)
	file := all["a"][20].File
	content, err := sound.ReadFile(filepath.Join("/db", file))
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(4096); at < int64(len(content)); at += 251 {
		mem := sound.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})
		flipAt(t, mem, file, at)
		hit := slices.ContainsFunc(verify(t, mem).Damage, func(d engine.Damage) bool { return d.UID == "a" && !d.Lost.Empty() })
		r := repair(t, mem, engine.RepairOptions{AcceptLoss: []engine.UID{"a"}})
		if hit != (len(r.Actions) == 1) {
			t.Fatalf("at %d: damaged %v: %+v", at, hit, r)
		}
		want := map[engine.UID][]engine.DumpRecord{"a": all["a"], "b": all["b"], "c": all["c"]}
		if hit {
			want["a"] = all["a"][:r.Actions[0].Range.Last]
		}
		if rep := verify(t, mem); slices.Contains(damaged(rep.Damage), "a") && hit {
			t.Fatalf("at %d: %v", at, rep.Damage)
		}
		checkEngine(t, mem, want)
		if rep := verify(t, mem); slices.Contains(damaged(rep.Damage), "a") && hit {
			t.Fatalf("at %d, after use: %v", at, rep.Damage)
		}
		if t.Failed() {
			t.Fatalf("at %d", at)
		}
	}
}

func TestRepairInUse(t *testing.T) {
	mem := soundFS(t)
	e := openMemOffline(t, mem)
	for _, dry := range []bool{false, true} {
		if _, err := engine.RepairOn(mem, "/db", engine.RepairOptions{DryRun: dry}); !errors.Is(err, engine.ErrInUse) {
			t.Error(err)
		}
	}
	closeEngine(t, e)
	if r := repair(t, mem, engine.RepairOptions{}); len(r.Actions) != 0 || len(r.Warnings) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestRepairCut cuts the power, and kills, at every operation of a repair: what is found then is repaired by
// the next one, to the same entries.
func TestRepairCut(t *testing.T) {
	sets := map[string]func() (*memfs.FS, map[engine.UID][]engine.DumpRecord){
		"rebuild": func() (*memfs.FS, map[engine.UID][]engine.DumpRecord) {
			mem := soundFS(t)
			want := dumpAll(t, mem)
			rebuilds["all zeroed, FORMAT gone"](mem)
			return mem, want
		},
		"rebuild captured": func() (*memfs.FS, map[engine.UID][]engine.DumpRecord) {
			mem := capturedFS(t)
			want := dumpCaptured(t, mem)
			rebuilds["all gone"](mem)
			return mem, want
		},
		"accept": func() (*memfs.FS, map[engine.UID][]engine.DumpRecord) { return quarantined(t, false) },
	}
	o := engine.RepairOptions{AcceptAllLoss: true}
	for name, make := range sets {
		t.Run(name, func(t *testing.T) {
			mem, want := make()
			var mu sync.Mutex
			var images []*memfs.FS
			n := uint64(0)
			mem.OnOp(func(memfs.Op) { // by every goroutine of the engine
				mu.Lock()
				defer mu.Unlock()
				n++
				switch n % 3 {
				case 0:
					images = append(images, mem.Crash(memfs.CrashOptions{Unsynced: memfs.Lost}))
				case 1:
					images = append(images, mem.Crash(memfs.CrashOptions{Unsynced: memfs.Kept}))
				default:
					images = append(images, mem.Crash(memfs.CrashOptions{Unsynced: memfs.Random, Seed: n}))
				}
			})
			repair(t, mem, o)
			mem.OnOp(nil)
			images = append(images, mem)
			for i, image := range images {
				if len(images) > 40 && i%(slowness*len(images)/40) != 0 {
					continue
				}
				repair(t, image, o)
				checkEngine(t, image, want)
				if t.Failed() {
					t.Fatalf("cut at operation %d of %d", i+1, len(images))
				}
			}
		})
	}
}
