//go:build !linux

package fallback

import (
	"fmt"
	"runtime"

	"github.com/rawl-db/rawl/internal/vfs"
)

func directSupported() error {
	return fmt.Errorf("direct files: %w on %s", vfs.ErrUnsupported, runtime.GOOS)
}
