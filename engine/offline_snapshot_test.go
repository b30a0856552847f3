package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// captureSync captures a log and waits for the end of it.
func captureSync(t testing.TB, l *engine.Log, kind engine.SnapshotKind, at engine.Index, live ...engine.Index) engine.Snapshot {
	t.Helper()
	var set engine.Seq
	for _, i := range live {
		set.Add(i)
	}
	term, err := l.Term(at)
	if err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		s   engine.Snapshot
		err error
	}
	done := make(chan outcome, 1)
	id := engine.EntryID{Term: term, Index: at}
	err = l.Capture(engine.Capture{Kind: kind, At: id, Context: []byte("context"), Live: set,
		State: func(w io.Writer) error {
			_, err := io.WriteString(w, strings.Repeat(fmt.Sprintf("state at %v;", id), 500))
			return err
		},
		Done: func(s engine.Snapshot, err error) { done <- outcome{s, err} }})
	if err != nil {
		t.Fatal(err)
	}
	o := <-done
	if o.err != nil {
		t.Fatal(o.err)
	}
	return o.s
}

// capturedHistory writes a history with captured states: log "a" has a snapshot at 30 whose live
// entries are in segments, and a checkpoint; "b" one that is in the WAL only, as its live entries are;
// "c" has a checkpoint only, "d" was released without any state.
func capturedHistory(t testing.TB, fs *memfs.FS) {
	t.Helper()
	ctx := context.Background()
	e, err := engine.OpenOn(fs, "/db", offlineOptions)
	if err != nil {
		t.Fatal(err)
	}
	grow := func(uid engine.UID, n int) *engine.Log {
		t.Helper()
		l, err := e.Log(uid)
		if err != nil {
			if l, err = e.CreateSync(ctx, uid); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.AppendSync(ctx, l.Last(), entries(l.Last(), 1, n)); err != nil {
			t.Fatal(err)
		}
		return l
	}
	flush := func() {
		t.Helper()
		if err := e.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	a, d := grow("a", 40), grow("d", 20)
	flush()
	captureSync(t, a, engine.KindSnapshot, 30, 3, 9, 20)
	flush()
	grow("a", 10)
	captureSync(t, a, engine.KindCheckpoint, 45)
	if err := d.Release(12); err != nil {
		t.Fatal(err)
	}
	b := grow("b", 20)
	captureSync(t, b, engine.KindSnapshot, 10, 2, 5, 7)
	captureSync(t, b, engine.KindSnapshot, 15, 2, 7)
	captureSync(t, grow("c", 10), engine.KindCheckpoint, 6)
	if err := e.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

func capturedFS(t testing.TB) *memfs.FS {
	t.Helper()
	mem := memfs.New(1)
	capturedHistory(t, mem)
	return mem
}

func TestInspectSnapshots(t *testing.T) {
	mem := capturedFS(t)
	in := inspect(t, mem)
	if len(in.Damage) != 0 || len(in.Logs) != 4 {
		t.Fatalf("%+v", in)
	}
	a, b, c := in.Logs[0], in.Logs[1], in.Logs[2]
	if a.First != 31 || a.Live != 3 || len(a.Snapshots) != 2 || a.Snapshots[0].Kind != engine.KindSnapshot || a.Snapshots[1].ID.Index != 45 {
		t.Errorf("%+v", a)
	}
	if b.First != 16 || b.Live != 2 || len(b.Snapshots) != 1 || b.Snapshots[0].ID.Index != 15 || b.WALEntries != 7 {
		t.Errorf("%+v", b)
	}
	if c.First != 1 || len(c.Snapshots) != 1 || c.Snapshots[0].Kind != engine.KindCheckpoint {
		t.Errorf("%+v", c)
	}
	r := verify(t, mem)
	if !r.Sound() || r.Snapshots != 4 || r.SnapshotBytes == 0 || r.Live != 5 || r.Entries != 20+3+5+2+10+8 || len(r.Orphans) != 0 || len(r.Passed) != 0 {
		t.Fatalf("%+v", r)
	}
	for uid, want := range map[engine.UID][]engine.Index{"a": {3, 9, 20, 31}, "b": {2, 7, 16}, "c": {1}, "d": {13}} {
		for i, r := range dump(t, mem, uid, engine.DumpOptions{Payload: true}) {
			if i < len(want) && r.Index != want[i] || string(r.Data) != fmt.Sprintf("%d/%d", r.Term, r.Index) {
				t.Errorf("%s: %+v, want %d", uid, r, want[i])
			}
		}
	}
	kinds := make(map[string]int)
	for _, f := range in.WAL {
		for r, err := range engine.DumpWALOn(mem, "/db", f.Number, engine.DumpOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			kinds[r.Kind]++
		}
	}
	if kinds["snapshot"] < 4 {
		t.Error(kinds)
	}
}

// TestVerifyLive flips a byte of each entry that is still needed, and of others that are not.
func TestVerifyLive(t *testing.T) {
	mem := capturedFS(t)
	for _, uid := range []engine.UID{"a", "b"} {
		for _, r := range dump(t, mem, uid, engine.DumpOptions{}) {
			restore := flipAt(t, mem, r.File, r.Offset)
			rep := verify(t, mem)
			hit := slices.ContainsFunc(rep.Damage, func(d engine.Damage) bool {
				return d.UID == uid && d.File == r.File && d.Lost.First <= r.Index && (d.Lost.Last == 0 || d.Lost.Last >= r.Index)
			})
			if !hit || !slices.Equal(damaged(rep.Damage), []engine.UID{uid}) {
				t.Errorf("%s %d in %s: %v", uid, r.Index, r.File, rep.Damage)
			}
			restore()
		}
	}
	// Entry 4 lies behind entry 3 in its segment, and nobody needs it.
	all := dump(t, mem, "a", engine.DumpOptions{Payload: true})
	b, err := mem.ReadFile("/db/" + all[0].File)
	if err != nil {
		t.Fatal(err)
	}
	flipAt(t, mem, all[0].File, int64(strings.Index(string(b), "1/4")))
	if rep := verify(t, mem); !rep.Sound() || rep.Live != 5 {
		t.Fatal(rep.Damage)
	}
}

// TestVerifySnapshotFlip flips bytes all over the files of captured states.
func TestVerifySnapshotFlip(t *testing.T) {
	mem := capturedFS(t)
	rng := rand.New(rand.NewPCG(3, 4))
	for _, name := range append(filesOf(mem, "/snapshot-"), filesOf(mem, "/checkpoint-")...) {
		b, err := mem.ReadFile("/db/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(b); at += 1 + rng.IntN(200*slowness) {
			restore := flipAt(t, mem, name, int64(at))
			rep, err := engine.VerifyOn(mem, "/db", engine.VerifyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			found := rep.Damage
			if strings.Contains(name, "checkpoint") {
				found = rep.Passed
				if !rep.Sound() {
					t.Errorf("%s at %d: %v", name, at, rep.Damage)
				}
			}
			if len(found) != 1 || found[0].File != name || found[0].UID == "" {
				t.Fatalf("%s at %d: %v, passed %v", name, at, rep.Damage, rep.Passed)
			}
			restore()
		}
	}
}

// TestVerifySnapshotGone takes files away.
func TestVerifySnapshotGone(t *testing.T) {
	mem := capturedFS(t)
	for _, name := range filesOf(mem, "/checkpoint-") {
		mem.RemoveFile("/db/" + name)
	}
	if rep := verify(t, mem); !rep.Sound() || rep.Snapshots != 2 || len(rep.Passed) != 0 {
		t.Fatalf("%+v", rep)
	}
	for _, name := range filesOf(mem, "/snapshot-") {
		mem.RemoveFile("/db/" + name)
	}
	in, rep := inspect(t, mem), verify(t, mem)
	for _, all := range [][]engine.Damage{in.Damage, rep.Damage} {
		if !slices.Equal(damaged(all), []engine.UID{"a", "b"}) || all[0].Lost != (engine.Range{First: 1, Last: 30}) || !strings.Contains(all[0].What, "missing") {
			t.Fatal(all)
		}
	}
	if !in.Logs[0].LiveUnknown {
		t.Errorf("%+v", in.Logs[0])
	}
	if err := errors.Join(mem.WriteFile("/db/logs/0000000000000001/snapshot-0000000000000009-0000000000000009", []byte("x")),
		mem.WriteFile("/db/logs/0000000000000001/checkpoint-0000000000000009-0000000000000009.tmp", nil)); err != nil {
		t.Fatal(err)
	}
	if rep := verify(t, mem); len(rep.Orphans) != 2 {
		t.Fatal(rep.Orphans)
	}
}

// TestInspectSlots gives log "a" a slot that holds what its snapshot released.
func TestInspectSlots(t *testing.T) {
	mem := capturedFS(t)
	m, _, err := manifest.Open(mem, "/db")
	if err != nil {
		t.Fatal(err)
	}
	a, ok := m.Log(1)
	if !ok {
		t.Fatal("log a is not in the manifest")
	}
	a.Slots = []engine.SlotClaim{{Name: "gone", Acked: engine.EntryID{Term: 1, Index: 1}, Invalid: true}, {Name: "mirror", Acked: engine.EntryID{Term: 1, Index: 9}}}
	if err := errors.Join(m.Apply(manifest.Edit{Put: []manifest.Log{a}}), m.Close()); err != nil {
		t.Fatal(err)
	}
	in := inspect(t, mem).Logs[0]
	if len(in.Slots) != 2 || in.Slots[1].Name != "mirror" {
		t.Errorf("%+v", in)
	}
	first := dump(t, mem, "a", engine.DumpOptions{})[0]
	b, err := mem.ReadFile("/db/" + first.File)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		entry string
		hits  bool
	}{{"1/4", false}, {"1/12", true}} {
		restore := flipAt(t, mem, first.File, int64(strings.Index(string(b), tc.entry)))
		if rep := verify(t, mem); rep.Sound() == tc.hits {
			t.Errorf("entry %s: %v", tc.entry, rep.Damage)
		}
		restore()
	}
}
