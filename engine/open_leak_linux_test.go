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

// TestFailedOpenKeepsNoFile lets an open fail from its k-th operation on, for all k: it leaves no
// file open, the lock included, and the next open succeeds.
func TestFailedOpenKeepsNoFile(t *testing.T) {
	disk, err := fallback.Open(fallback.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o := engine.Options{WALFileBytes: 64 << 10}
	fs := errorfs.New(disk, errorfs.Plan{})
	failed := 0
	for k, tripped := 1, true; tripped; k++ {
		fs.Arm(errorfs.Plan{K: k, Fault: errorfs.EIO, Sticky: true})
		e, err := engine.OpenParts(fs, dir, o)
		fs.Heal()
		tripped = fs.Tripped()
		if err == nil {
			closeEngine(t, e)
		} else {
			failed++
		}
		if names := openBelow(t, dir); len(names) > 0 {
			t.Fatalf("open: %v; operation %d failed, and open are still %v", err, k, names)
		}
	}
	if failed < 10 {
		t.Errorf("%d opens failed only", failed)
	}
	e, err := engine.OpenParts(fs, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
}
