//go:build !linux

package ring

import (
	"fmt"
	"runtime"

	"github.com/rawl-db/rawl/internal/vfs"
)

// Probe reports that there is no io_uring here.
func Probe() Caps {
	return Caps{
		Err:      fmt.Errorf("ring: io_uring: %w: it exists on Linux only, this is %s", ErrUnsupported, runtime.GOOS),
		Disabled: -1,
	}
}

func openQueue(int, Options) (vfs.Queue, error) { return nil, Probe().Err }
