package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// backedUp returns a view of a file system in which /copy is /db.
func backedUp(t testing.TB, mem *memfs.FS) *memfs.FS {
	t.Helper()
	out := memfs.New(1)
	if err := errors.Join(out.MkdirAll("/db/logs"), out.MkdirAll("/db/wal")); err != nil {
		t.Fatal(err)
	}
	for _, name := range mem.Files() {
		rest, ok := strings.CutPrefix(name, "/copy/")
		if !ok {
			continue
		}
		b, err := mem.ReadFile(name)
		if err == nil {
			err = errors.Join(out.MkdirAll(filepath.Dir("/db/"+rest)), out.WriteFile("/db/"+rest, b))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestBackup(t *testing.T) {
	mem := capturedFS(t)
	want, states := dumpCaptured(t, mem), statesOf(t, mem)
	e := openMemOffline(t, mem)
	if err := e.Backup(t.Context(), "/copy"); err != nil {
		t.Fatal(err)
	}
	for _, uid := range capturedLogs { // the original goes on
		l, err := e.Log(uid)
		if err == nil {
			err = l.AppendSync(t.Context(), l.Last(), entries(l.Last(), 5, 40))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	l, _ := e.Log("a")
	captureSync(t, l, engine.KindSnapshot, 80)
	if err := e.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	if rep := verify(t, mem); !rep.Sound() {
		t.Fatal(rep.Damage)
	}
	cut := mem.Crash(memfs.CrashOptions{Unsynced: memfs.Lost})
	for _, image := range []*memfs.FS{mem, cut} {
		copied := backedUp(t, image)
		rep := verify(t, copied)
		if !rep.Sound() || len(rep.Orphans) > 0 || rep.Snapshots != 4 || rep.Live != 5 {
			t.Fatalf("%+v", rep)
		}
		checkStates(t, copied, states)
		checkEngine(t, copied, want)
	}
}

// TestBackupLinked goes on in both engines, whose full segments are the same files.
func TestBackupLinked(t *testing.T) {
	mem := soundFS(t)
	want := dumpAll(t, mem)
	e := openMemOffline(t, mem)
	if err := e.Backup(t.Context(), "/copy"); err != nil {
		t.Fatal(err)
	}
	other, err := engine.OpenOn(mem, "/copy", offlineOptions)
	if err != nil {
		t.Fatal(err)
	}
	for n, each := range []*engine.Engine{e, other} {
		for _, uid := range offlineLogs {
			l, err := each.Log(uid)
			if err == nil {
				at := l.Last()
				err = errors.Join(l.AppendSync(t.Context(), at, entries(at, engine.Term(20+n), 30)), each.Flush(t.Context()))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	closeEngine(t, e)
	closeEngine(t, other)
	for n, dir := range []string{"/db", "/copy"} {
		rep, err := engine.VerifyOn(mem, dir, engine.VerifyOptions{})
		if err != nil || !rep.Sound() {
			t.Fatalf("%s: %+v %v", dir, rep, err)
		}
		for uid, all := range want {
			i := 0
			for r, err := range engine.DumpOn(mem, dir, uid, engine.Range{}, engine.DumpOptions{Payload: true}) {
				if err != nil || i < len(all) && string(r.Data) != string(all[i].Data) || i >= len(all) && r.Term != engine.Term(20+n) {
					t.Fatalf("%s: %s: %+v %v", dir, uid, r, err)
				}
				i++
			}
		}
	}
}

func TestBackupRefused(t *testing.T) {
	mem := soundFS(t)
	e := openMemOffline(t, mem)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		ctx  context.Context
		dir  string
		want error
	}{
		{t.Context(), "/db", engine.ErrOptions},
		{t.Context(), "/db/logs/copy", engine.ErrOptions},
		{t.Context(), "/db/wal", engine.ErrOptions},
		{t.Context(), "/", fs.ErrExist},
		{gone, "/copy", context.Canceled},
	} {
		if err := e.Backup(tc.ctx, tc.dir); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", tc.dir, err)
		}
	}
	for _, name := range mem.Files() {
		if !strings.HasPrefix(name, "/db/") || strings.Contains(name, "copy") {
			t.Errorf("left %s", name)
		}
	}
	if err := e.Backup(t.Context(), "/copy"); err != nil {
		t.Fatal(err)
	}
	if err := e.Backup(t.Context(), "/copy"); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	closeEngine(t, e)
	if err := e.Backup(t.Context(), "/late"); !errors.Is(err, engine.ErrClosed) {
		t.Error(err)
	}
}

// checkHalf looks at what an attempt left: nothing, or what says that it is incomplete, or a sound copy.
func checkHalf(t *testing.T, what string, mem *memfs.FS, failed bool) (complete bool) {
	t.Helper()
	rep, err := engine.VerifyOn(mem, "/copy", engine.VerifyOptions{})
	switch {
	case err == nil && !failed:
		if !rep.Sound() || rep.Logs != 3 || rep.Entries != 75 {
			t.Errorf("%s: %+v", what, rep)
		}
		return true
	case errors.Is(err, engine.ErrIncomplete):
		if _, err := engine.OpenOn(mem, "/copy", offlineOptions); !errors.Is(err, engine.ErrIncomplete) {
			t.Errorf("%s: opens: %v", what, err)
		}
		if _, err := engine.RepairOn(mem, "/copy", engine.RepairOptions{}); !errors.Is(err, engine.ErrIncomplete) {
			t.Errorf("%s: is repaired: %v", what, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		t.Errorf("%s: %+v %v", what, rep, err)
	}
	return false
}

// TestBackupCut cuts the power at every operation.
func TestBackupCut(t *testing.T) {
	mem := soundFS(t)
	e := openMemOffline(t, mem)
	var mu sync.Mutex
	var images []*memfs.FS
	n := uint64(0)
	mem.OnOp(func(memfs.Op) {
		mu.Lock()
		defer mu.Unlock()
		n++
		images = append(images, mem.Crash(memfs.CrashOptions{Unsynced: memfs.Unsynced(n % 3), Seed: n}))
	})
	err := e.Backup(t.Context(), "/copy")
	mem.OnOp(nil)
	if err != nil {
		t.Fatal(err)
	}
	images = append(images, mem.Crash(memfs.CrashOptions{Unsynced: memfs.Lost}))
	whole := false
	for i, image := range images {
		complete := checkHalf(t, fmt.Sprintf("cut at %d of %d", i, len(images)), image, false)
		whole = complete
	}
	if !whole {
		t.Error("not there after it ended")
	}
	closeEngine(t, e)
}

// TestBackupFault lets each operation on the copy fail, with a broken device and a full disk.
func TestBackupFault(t *testing.T) {
	sound := soundFS(t)
	for _, fault := range []errorfs.Fault{errorfs.EIO, errorfs.NoSpace} {
		for k := 1; ; k += slowness {
			mem := sound.Crash(memfs.CrashOptions{Unsynced: memfs.Kept})
			faulty := errorfs.New(mem, errorfs.Plan{})
			e, err := engine.OpenOn(faulty, "/db", offlineOptions)
			if err != nil {
				t.Fatal(err)
			}
			ours := func(op errorfs.Op) bool {
				return strings.HasPrefix(op.Name, "/copy") || strings.HasPrefix(op.To, "/copy")
			}
			faulty.Arm(errorfs.Plan{K: k, Fault: fault, Match: ours})
			err = e.Backup(t.Context(), "/copy")
			tripped := faulty.Tripped()
			faulty.Heal()
			if err == nil != checkHalf(t, fmt.Sprintf("%v at %d: %v", fault, k, err), mem, err != nil) {
				t.Fatalf("%v at operation %d: %v", fault, k, err)
			}
			if err := e.Backup(t.Context(), "/again"); err != nil {
				t.Errorf("again: %v", err)
			}
			closeEngine(t, e)
			if t.Failed() || !tripped {
				break
			}
		}
	}
}

// TestBackupBeside copies while logs grow, are captured, released and deleted, onto real files.
func TestBackupBeside(t *testing.T) {
	dir := t.TempDir()
	e, err := engine.Open(filepath.Join(dir, "db"), offlineOptions)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for i := range 2 {
		wait.Go(func() { churn(t, ctx, e, i) })
	}
	mark, err := e.CreateSync(t.Context(), "mark")
	if err != nil {
		t.Fatal(err)
	}
	var copies []string
	for n := range 5 {
		if err := mark.AppendSync(t.Context(), mark.Last(), entries(mark.Last(), 1, 5)); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, fmt.Sprint("copy-", n))
		if err := e.Backup(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, to)
	}
	cancel()
	wait.Wait()
	closeEngine(t, e)
	for n, to := range copies {
		rep, err := engine.Verify(to, engine.VerifyOptions{})
		if err != nil || !rep.Sound() {
			t.Fatalf("%s: %v %v", to, rep.Damage, err)
		}
		c, err := engine.Open(to, offlineOptions)
		if err != nil {
			t.Fatal(err)
		}
		l, err := c.Log("mark")
		if err != nil || l.Last().Index != engine.Index(5*n+5) {
			t.Errorf("%s: ends at %v: %v", to, l.Last(), err)
		}
		if q := c.Stats().Recovery.Quarantined; len(q) > 0 {
			t.Error(q)
		}
		closeEngine(t, c)
	}
}

// TestBackupOffline copies a directory that nobody runs.
func TestBackupOffline(t *testing.T) {
	mem := capturedFS(t)
	want := dumpCaptured(t, mem)
	if err := engine.BackupOn(t.Context(), mem, "/db", "", "/copy"); err != nil {
		t.Fatal(err)
	}
	copied := backedUp(t, mem)
	if rep := verify(t, copied); !rep.Sound() || rep.Snapshots != 4 || rep.Live != 5 {
		t.Fatalf("%+v", rep)
	}
	checkEngine(t, copied, want)
	e := openMemOffline(t, mem)
	defer closeEngine(t, e)
	if err := engine.BackupOn(t.Context(), mem, "/db", "", "/other"); !errors.Is(err, engine.ErrInUse) {
		t.Error(err)
	}
	if err := engine.BackupOn(t.Context(), mem, "/nothing", "", "/other"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestBackupElsewhere copies an engine whose write-ahead log lies elsewhere: the copy's does not.
func TestBackupElsewhere(t *testing.T) {
	mem := memfs.New(1)
	o := offlineOptions
	o.WALDir = "/fast/wal"
	e, err := engine.OpenOn(mem, "/db", o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := e.CreateSync(t.Context(), "a")
	if err == nil {
		err = l.AppendSync(t.Context(), l.Last(), entries(l.Last(), 1, 7))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Backup(t.Context(), "/fast/wal/copy"); !errors.Is(err, engine.ErrOptions) {
		t.Error(err)
	}
	if err := e.Backup(t.Context(), "/copy"); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	if rep := verify(t, backedUp(t, mem)); !rep.Sound() || rep.Entries != 7 {
		t.Errorf("%+v", rep)
	}
}
