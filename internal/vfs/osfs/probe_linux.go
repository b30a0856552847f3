package osfs

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/vfs"
	"golang.org/x/sys/unix"
)

// refusal marks the errors with which a file system that accepted O_DIRECT refuses
// transfers.
func refusal(err error) error {
	if errors.Is(err, unix.EINVAL) && !errors.Is(err, vfs.ErrUnsupported) {
		return fmt.Errorf("direct transfers: %w by this file system: %w", vfs.ErrUnsupported, err)
	}
	return err
}
