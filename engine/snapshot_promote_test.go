package engine_test

import (
	"context"
	"io"
	"io/fs"
	"path"
	"slices"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
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

// checkpoints opens an engine on a device that can fail, with a log of 30 entries that has checkpoints at 10 and 20.
func checkpoints(t *testing.T) (*memfs.FS, *errorfs.FS, *engine.Log) {
	t.Helper()
	mem := memfs.New(1)
	device := errorfs.New(mem, errorfs.Plan{})
	e, err := engine.OpenOn(device, "/db", engine.Options{Strategy: engine.StrategyDatasync})
	slotOK(t, err)
	t.Cleanup(func() { slotOK(t, e.Close(context.Background())) })
	l, err := e.CreateSync(t.Context(), "a")
	slotOK(t, err)
	slotOK(t, l.AppendSync(t.Context(), l.Last(), entries(l.Last(), 1, 30)))
	captureSync(t, l, engine.KindCheckpoint, 10)
	captureSync(t, l, engine.KindCheckpoint, 20)
	return mem, device, l
}

func promoteSync(t *testing.T, l *engine.Log, at engine.Index) error {
	t.Helper()
	done := make(chan error, 1)
	slotOK(t, l.Promote(at, func(_ engine.Snapshot, err error) { done <- err }))
	return <-done
}

func captureFile(l *engine.Log, kind engine.SnapshotKind, at engine.Index) string {
	return path.Join(l.Dir(), snapshot.FileName(kind, engine.EntryID{Term: 1, Index: at}))
}

// A checkpoint that can never become a snapshot is listed no more when its promotion has failed, and an older one becomes one.
func TestPromotionFailsForGood(t *testing.T) {
	of := func(kinds ...errorfs.OpKind) func(*testing.T, *memfs.FS, *errorfs.FS, string) {
		return func(_ *testing.T, _ *memfs.FS, device *errorfs.FS, name string) {
			device.Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.EIO,
				Match: func(op errorfs.Op) bool { return op.Name == name && slices.Contains(kinds, op.Kind) }})
		}
	}
	rewritten := func(change func([]byte) []byte) func(*testing.T, *memfs.FS, *errorfs.FS, string) {
		return func(t *testing.T, mem *memfs.FS, _ *errorfs.FS, name string) {
			b, err := mem.ReadFile(name)
			slotOK(t, err)
			slotOK(t, mem.WriteFile(name, change(b)))
		}
	}
	for _, x := range []struct {
		what  string
		spoil func(*testing.T, *memfs.FS, *errorfs.FS, string)
		want  error
		aside bool
	}{
		{"a sync fails", of(errorfs.OpDatasync), syscall.EIO, false},
		{"it cannot be removed either", of(errorfs.OpDatasync, errorfs.OpRemove), syscall.EIO, true},
		{"a byte is damaged", rewritten(func(b []byte) []byte { b[len(b)/2]++; return b }), engine.ErrCorrupt, true},
		{"its end is missing", rewritten(func(b []byte) []byte { return b[:len(b)-8] }), snapshot.ErrUnfinished, true},
		{"it is gone", func(t *testing.T, mem *memfs.FS, _ *errorfs.FS, name string) { slotOK(t, mem.RemoveFile(name)) }, fs.ErrNotExist, false},
	} {
		t.Run(x.what, func(t *testing.T) {
			mem, device, l := checkpoints(t)
			name := captureFile(l, engine.KindCheckpoint, 20)
			x.spoil(t, mem, device, name)
			slotErr(t, promoteSync(t, l, 20), x.want)
			if list := l.Snapshots(); len(list) != 1 || list[0].ID.Index != 10 {
				t.Fatalf("listed are %v", list)
			}
			device.Heal()
			_, err := mem.Stat(name)
			slotErr(t, err, fs.ErrNotExist)
			_, err = mem.Stat(name + snapshot.BadSuffix)
			slotEqual(t, x.aside, err == nil)
			slotErr(t, l.Promote(20, nil), engine.ErrNotFound)
			slotOK(t, promoteSync(t, l, 10))
			if s, ok := l.Newest(); !ok || s.Kind != engine.KindSnapshot || s.ID.Index != 10 {
				t.Errorf("the newest is %v", s)
			}
		})
	}
}

// A finished snapshot's file in the way of a promotion, that nothing refers to, goes; where that is the checkpoint itself, as an earlier
// promotion could not be undone, it becomes the snapshot.
func TestPromotionMeetsLeftover(t *testing.T) {
	for _, x := range []struct {
		what  string
		leave func(*testing.T, *memfs.FS, *errorfs.FS, *engine.Log)
	}{
		{"another file", func(t *testing.T, mem *memfs.FS, _ *errorfs.FS, l *engine.Log) {
			slotOK(t, mem.WriteFile(captureFile(l, engine.KindSnapshot, 20), []byte("left")))
		}},
		{"the checkpoint", func(t *testing.T, mem *memfs.FS, device *errorfs.FS, l *engine.Log) {
			promoted := captureFile(l, engine.KindSnapshot, 20)
			device.Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.EIO, Match: func(op errorfs.Op) bool {
				return op.Kind == errorfs.OpSyncDir && op.Name == l.Dir() || op.Kind == errorfs.OpRename && op.Name == promoted
			}})
			slotErr(t, promoteSync(t, l, 20), syscall.EIO)
			device.Heal()
			_, err := mem.Stat(promoted)
			slotOK(t, err)
		}},
	} {
		t.Run(x.what, func(t *testing.T) {
			mem, device, l := checkpoints(t)
			x.leave(t, mem, device, l)
			slotOK(t, promoteSync(t, l, 20))
			r, err := l.Restore(t.Context())
			slotOK(t, err)
			defer r.Close()
			if s := r.Info(); s.Kind != engine.KindSnapshot || s.ID.Index != 20 {
				t.Errorf("restored from %v", s)
			}
		})
	}
}
