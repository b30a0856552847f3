//go:build !linux

package osfs

import (
	"fmt"
	"runtime"

	"github.com/rawl-db/rawl/internal/vfs"
)

func pwriteDSync(h handle, p []byte, off int64) (int, error) {
	n, err := pwrite(h, p, off)
	if err != nil || n < len(p) {
		return n, err
	}
	return n, h.datasync()
}

func (h handle) setDirect() error {
	return fmt.Errorf("direct files: %w on %s", vfs.ErrUnsupported, runtime.GOOS)
}

// ProbeDSync returns nil: WriteAtDSync is a write and a sync here.
func ProbeDSync() error { return nil }

func refusal(err error) error { return err }
