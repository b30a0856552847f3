package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
)

// openBelow returns the names of the files below dir that this process has open.
func openBelow(t *testing.T, dir string) (names []string) {
	t.Helper()
	const descriptors = "/proc/self/fd"
	list, err := os.ReadDir(descriptors)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		// The descriptor by which the list was read is closed by now.
		name, err := os.Readlink(filepath.Join(descriptors, d.Name()))
		if err == nil && strings.HasPrefix(name, dir) {
			names = append(names, name)
		}
	}
	return names
}

// TestFailedOpenKeepsNoFile lets an open fail from its k-th operation on, where there is no engine
// yet and where there is one: it leaves no file open, and the directory is not in use.
func TestFailedOpenKeepsNoFile(t *testing.T) {
	disk, err := fallback.Open(fallback.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	fs := errorfs.New(disk, errorfs.Plan{})
	failOpens(t, fs, dir, 10) // what a failed open made of a new engine is there for the next one
	failOpens(t, fs, dir, 2)
}

// failOpens goes on until an open needs fewer operations than succeed.
func failOpens(t *testing.T, fs *errorfs.FS, dir string, stride int) {
	t.Helper()
	failed := 0
	for k, tripped := 1, true; tripped; k += stride {
		fs.Arm(errorfs.Plan{K: k, Fault: errorfs.EIO, Sticky: true})
		e, err := engine.OpenParts(fs, dir, engine.Options{WALFileBytes: 64 << 10})
		fs.Heal()
		tripped = fs.Tripped()
		if err == nil {
			leaveLog(t, e)
		} else {
			failed++
		}
		if names := openBelow(t, dir); len(names) > 0 {
			t.Fatalf("operation %d fails, open are still %v: %v", k, names, err)
		}
	}
	if failed < 3 {
		t.Errorf("%d opens failed only", failed)
	}
}

// leaveLog closes an engine with a log that the next open recovers.
func leaveLog(t *testing.T, e *engine.Engine) {
	t.Helper()
	l, err := e.Log("a")
	if err != nil {
		l, err = e.Create("a")
	}
	if err == nil {
		err = l.Append(l.Last(), entries(l.Last(), 1, 10))
	}
	if err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
}
