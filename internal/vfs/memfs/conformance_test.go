package memfs_test

import (
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/internal/vfs/vfstest"
)

func TestConformance(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
				fs := memfs.New(seed)
				if err := fs.MkdirAll("/data"); err != nil {
					t.Fatal(err)
				}
				return fs, "/data"
			}, vfstest.Options{Virtual: true})
		})
	}
}

// TestConformanceOfImages runs the suite on what a power cut leaves.
func TestConformanceOfImages(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		fs := memfs.New(9)
		if err := fs.MkdirAll("/data"); err != nil {
			t.Fatal(err)
		}
		if err := fs.SyncDir("/"); err != nil {
			t.Fatal(err)
		}
		return fs.Crash(memfs.CrashOptions{}), "/data"
	}, vfstest.Options{Virtual: true})
}
