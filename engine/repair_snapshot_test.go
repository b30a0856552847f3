package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

var capturedLogs = []engine.UID{"a", "b", "c", "d"}

func dumpCaptured(t testing.TB, mem *memfs.FS) map[engine.UID][]engine.DumpRecord {
	t.Helper()
	all := make(map[engine.UID][]engine.DumpRecord)
	for _, uid := range capturedLogs {
		all[uid] = dump(t, mem, uid, engine.DumpOptions{Payload: true})
	}
	return all
}

// checkStates opens the engine and reads the captured states of the logs.
func checkStates(t *testing.T, mem *memfs.FS, want map[engine.UID][]engine.Snapshot) {
	t.Helper()
	e := openMemOffline(t, mem)
	defer closeEngine(t, e)
	for uid, all := range want {
		l, err := e.Log(uid)
		if err != nil {
			t.Fatal(err)
		}
		r, err := l.Restore(context.Background())
		if len(all) == 0 {
			if !errors.Is(err, engine.ErrNoSnapshot) {
				t.Errorf("%s: %v", uid, err)
			}
			continue
		}
		if err != nil || r.Info() != all[len(all)-1] {
			t.Fatalf("%s: %v", uid, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if got := l.Snapshots(); len(got) != len(all) || got[0] != all[0] {
			t.Errorf("%s: %v, want %v", uid, got, all)
		}
	}
}

func statesOf(t testing.TB, mem *memfs.FS) map[engine.UID][]engine.Snapshot {
	all := make(map[engine.UID][]engine.Snapshot)
	for _, l := range inspect(t, mem).Logs {
		all[l.UID] = l.Snapshots
	}
	return all
}

// TestRepairManifestSnapshots loses the manifest of logs with captured states, before and after what is
// in the WAL was flushed.
func TestRepairManifestSnapshots(t *testing.T) {
	for name, lose := range rebuilds {
		for _, flushed := range []bool{false, true} {
			mem := capturedFS(t)
			if flushed {
				e := openMemOffline(t, mem)
				if err := e.Flush(context.Background()); err != nil {
					t.Fatal(err)
				}
				closeEngine(t, e)
			}
			want, states := dumpCaptured(t, mem), statesOf(t, mem)
			lose(mem)
			r := repair(t, mem, engine.RepairOptions{})
			if !strings.HasPrefix(actions(r), "manifest, log a, log b, log c, log d") || len(r.Quarantined) > 0 {
				t.Fatalf("%s: %+v", name, r)
			}
			if rep := verify(t, mem); !rep.Sound() || len(rep.Orphans) > 0 || rep.Snapshots != 4 || rep.Live != 5 {
				t.Fatalf("%s, flushed %v: %+v", name, flushed, rep)
			}
			checkStates(t, mem, states)
			checkEngine(t, mem, want)
			if t.Failed() {
				t.Fatalf("%s, flushed %v", name, flushed)
			}
		}
	}
}

// TestRepairManifestDamagedSnapshot loses the manifest and the only state of a log that needs one.
func TestRepairManifestDamagedSnapshot(t *testing.T) {
	ctx := context.Background()
	mem := memfs.New(1)
	e := openMemOffline(t, mem)
	l, err := e.CreateSync(ctx, "a")
	if err == nil {
		err = errors.Join(l.AppendSync(ctx, engine.EntryID{}, entries(engine.EntryID{}, 1, 60)), e.Flush(ctx))
	}
	if err != nil {
		t.Fatal(err)
	}
	captureSync(t, l, engine.KindSnapshot, 40)
	if err := errors.Join(e.Flush(ctx), e.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	rebuilds["all gone"](mem)
	restore := flipAt(t, mem, filesOf(mem, "/snapshot-")[0], 4000)
	if r := repair(t, mem, engine.RepairOptions{DryRun: true}); len(r.Quarantined) != 1 || r.Quarantined[0].Lost.First != 1 {
		t.Fatalf("%+v", r)
	}
	damaged := mem.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})
	restore()
	repair(t, mem, engine.RepairOptions{})
	if in := inspect(t, mem); len(in.Damage) > 0 || in.Logs[0].First != 41 || in.Logs[0].Last.Index != 60 {
		t.Fatalf("%+v", in)
	}
	repair(t, damaged, engine.RepairOptions{})
	e = openMemOffline(t, damaged)
	defer closeEngine(t, e)
	l, err = e.Log("a")
	if err == nil {
		_, err = l.Read(55)
	}
	if !errors.Is(err, engine.ErrQuarantined) {
		t.Fatal(err)
	}
}

// TestRepairDamagedSnapshot accepts the loss of damaged states.
func TestRepairDamagedSnapshot(t *testing.T) {
	accept := engine.RepairOptions{AcceptLoss: []engine.UID{"a"}}
	t.Run("only one", func(t *testing.T) {
		mem := capturedFS(t)
		for _, part := range []string{"/snapshot-", "/checkpoint-"} {
			for _, name := range filesOf(mem, part) {
				if strings.Contains(name, "0000000000000001/") {
					flipAt(t, mem, name, 5000)
				}
			}
		}
		r := repair(t, mem, accept)
		if actions(r) != "accept-loss a" || len(r.Quarantined) != 1 || r.Quarantined[0].Lost != (engine.Range{First: 1, Last: 30}) {
			t.Fatalf("%+v", r)
		}
		again := repair(t, mem, accept)
		if len(again.Actions) != 0 || len(again.Quarantined) != 1 {
			t.Fatalf("%+v", again)
		}
		if in := inspect(t, mem); in.Logs[0].Quarantine == nil || len(in.Logs[0].Snapshots) != 0 {
			t.Fatalf("%+v", in.Logs[0])
		}
	})
	t.Run("a checkpoint is left", func(t *testing.T) {
		mem := capturedFS(t)
		flipAt(t, mem, filesOf(mem, "0000000000000001/snapshot-")[0], 5000)
		r := repair(t, mem, accept)
		if actions(r) != "accept-loss a" || len(r.Quarantined) != 0 {
			t.Fatalf("%+v", r)
		}
		if rep := verify(t, mem); !rep.Sound() || rep.Snapshots != 3 {
			t.Fatalf("%+v", rep)
		}
		checkStates(t, mem, statesOf(t, mem))
	})
	t.Run("quarantined by the engine", func(t *testing.T) {
		mem := capturedFS(t)
		flipAt(t, mem, filesOf(mem, "0000000000000003/snapshot-")[0], 5000)
		e := openMemOffline(t, mem)
		l, err := e.Log("b")
		if err == nil {
			_, err = l.Restore(context.Background())
		}
		if !errors.Is(err, engine.ErrQuarantined) {
			t.Fatal(err)
		}
		if _, err := e.CreateSync(context.Background(), "z"); err != nil { // what is flushed then comes behind the note of it
			t.Fatal(err)
		}
		if err := e.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		closeEngine(t, e)
		for _, o := range []engine.RepairOptions{{}, {AcceptAllLoss: true}, {AcceptAllLoss: true, DryRun: true}} {
			r := repair(t, mem, o)
			if len(r.Actions) != 0 || len(r.Quarantined) != 1 || r.Quarantined[0].UID != "b" {
				t.Fatalf("%+v: %+v", o, r)
			}
		}
	})
	t.Run("live entry", func(t *testing.T) {
		mem := capturedFS(t)
		first := dump(t, mem, "a", engine.DumpOptions{})[0]
		flipAt(t, mem, first.File, first.Offset)
		r := repair(t, mem, accept)
		if len(r.Actions) != 0 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "entries [3,3], which its snapshot needs") {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("damaged end", func(t *testing.T) {
		mem := capturedFS(t)
		want := dumpCaptured(t, mem)
		states := statesOf(t, mem)
		hit := want["a"][3+5] // entry 36, in a segment
		flipAt(t, mem, hit.File, hit.Offset)
		r := repair(t, mem, accept)
		if actions(r) != "accept-loss a" || r.Actions[0].Range != (engine.Range{First: 31, Last: 35}) {
			t.Fatalf("%+v", r)
		}
		want["a"] = want["a"][:3+5]
		states["a"] = states["a"][:1] // the checkpoint covers entries that are lost
		checkStates(t, mem, states)
		checkEngine(t, mem, want)
	})
}
