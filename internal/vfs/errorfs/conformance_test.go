package errorfs_test

import (
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/internal/vfs/vfstest"
)

// TestConformance runs the suite with no fault, and with one that is never reached.
func TestConformance(t *testing.T) {
	plans := map[string]errorfs.Plan{"none": {}, "unreached": {K: 1 << 30, Fault: errorfs.EIO}}
	for name, plan := range plans {
		t.Run(name, func(t *testing.T) {
			vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
				fs := errorfs.New(memfs.New(5), plan)
				if err := fs.MkdirAll("/data"); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if fs.Tripped() {
						t.Error("a fault tripped")
					}
				})
				return fs, "/data"
			}, vfstest.Options{Virtual: true})
		})
	}
}
