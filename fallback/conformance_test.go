package fallback_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/vfstest"
)

// openDirect opens the direct personality, or skips where the system or the directory
// for temporary files lacks it.
func openDirect(t testing.TB, workers int) (*fallback.FS, string) {
	t.Helper()
	dir := t.TempDir()
	if err := fallback.ProbeDirect(dir); errors.Is(err, vfs.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	fs, err := fallback.Open(fallback.Options{Direct: true, Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	return fs, dir
}

func openBuffered(t testing.TB, workers int) (*fallback.FS, string) {
	t.Helper()
	fs, err := fallback.Open(fallback.Options{Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	return fs, t.TempDir()
}

func TestConformance(t *testing.T) {
	for _, workers := range []int{0, 1, 2} {
		t.Run(fmt.Sprintf("fallback/workers=%d", workers), func(t *testing.T) {
			vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
				return openBuffered(t, workers)
			}, vfstest.Options{NoDirect: true})
		})
		t.Run(fmt.Sprintf("direct/workers=%d", workers), func(t *testing.T) {
			openDirect(t, workers) // one skip instead of one per clause
			vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
				return openDirect(t, workers)
			}, vfstest.Options{})
		})
	}
}
