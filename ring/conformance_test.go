package ring_test

import (
	"errors"
	"testing"

	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/vfstest"
	"github.com/rawl-db/rawl/ring"
)

// open opens the ring, and skips the test where this system has no io_uring.
func open(t testing.TB, o ring.Options) *ring.FS {
	t.Helper()
	fs, err := ring.Open(o)
	if errors.Is(err, ring.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		name    string
		options ring.Options
	}{
		{"default", ring.Options{}},
		{"plain", ring.Options{Plain: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := open(t, c.options)
			t.Log(fs.Caps())
			vfstest.Run(t, func(t *testing.T) (vfs.FS, string) { return fs, t.TempDir() }, vfstest.Options{})
		})
	}
}
