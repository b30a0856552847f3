package osfs

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/vfs"
	"golang.org/x/sys/unix"
)

// setDirect switches the page cache off for the descriptor. It is done after opening
// because a refused open with O_DIRECT and O_CREAT leaves the new file behind.
func (h handle) setDirect() error {
	if err := h.setFlags(unix.O_DIRECT); err != nil {
		return fmt.Errorf("O_DIRECT: %w by this file system: %w", vfs.ErrUnsupported, err)
	}
	var st unix.Statx_t
	err := unix.Statx(int(h), "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &st)
	if err != nil || st.Mask&unix.STATX_DIOALIGN == 0 {
		return nil // Linux before 6.1, or a file system that does not say
	}
	return checkAlignment(st.Dio_mem_align, st.Dio_offset_align)
}

// checkAlignment says whether aligning to BlockSize satisfies what a file demands of
// direct transfers; both demands are 0 when it has none.
func checkAlignment(mem, off uint32) error {
	if mem == 0 || off == 0 {
		return fmt.Errorf("O_DIRECT: %w for this file", vfs.ErrUnsupported)
	}
	if vfs.BlockSize%mem != 0 || vfs.BlockSize%off != 0 {
		return fmt.Errorf("O_DIRECT: %w: this file needs memory aligned to %d and offsets to %d bytes, and %d is what there is",
			vfs.ErrUnsupported, mem, off, vfs.BlockSize)
	}
	return nil
}

// ProbeDSync says whether the kernel has pwritev2 and lets this process call it: nil, or
// an error that wraps vfs.ErrUnsupported. It touches no file.
func ProbeDSync() error {
	if _, err := pwriteDSync(handle(-1), []byte{0}, 0); err != unix.EBADF {
		return fmt.Errorf("pwritev2: %w: %w", vfs.ErrUnsupported, err)
	}
	return nil
}
