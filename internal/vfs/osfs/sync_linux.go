package osfs

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/rawl-db/rawl/internal/vfs"
	"golang.org/x/sys/unix"
)

const descriptorSyncs = true

func syncFlag(mode vfs.SyncMode) int {
	switch mode {
	case vfs.SyncData:
		return unix.O_DSYNC
	case vfs.SyncFull:
		return unix.O_SYNC
	}
	return 0
}

func (h handle) datasync() error {
	for {
		if err := unix.Fdatasync(int(h)); err != unix.EINTR {
			return err
		}
	}
}

func (h handle) sync() error {
	for {
		if err := unix.Fsync(int(h)); err != unix.EINTR {
			return err
		}
	}
}

// pwriteDSync is one pwritev2 with RWF_DSYNC. It is called directly, with the one vector
// on the stack, because the commit path allocates nothing.
func pwriteDSync(h handle, p []byte, off int64) (int, error) {
	vec := unix.Iovec{Base: unsafe.SliceData(p)}
	vec.SetLen(len(p))
	// The kernel takes the offset as two words and ignores the high one where a word holds
	// it all.
	const wordBits = 8 * unsafe.Sizeof(uintptr(0))
	high := uintptr(uint64(off) >> (wordBits - 1) >> 1)
	n, _, errno := unix.Syscall6(unix.SYS_PWRITEV2, uintptr(h),
		uintptr(unsafe.Pointer(&vec)), 1, uintptr(off), high, unix.RWF_DSYNC)
	runtime.KeepAlive(p)
	switch errno {
	case 0:
		return int(n), nil
	case unix.ENOSYS, unix.EOPNOTSUPP:
		return 0, fmt.Errorf("pwritev2 with RWF_DSYNC: %w: %w", vfs.ErrUnsupported, errno)
	}
	return 0, errno
}

// reserve allocates the blocks and sets the size; blocks that were reserved and not
// written read as zeros.
func (h handle) reserve(size int64) error {
	err := ignoreEINTR(func() error { return unix.Fallocate(int(h), 0, 0, size) })
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
		return h.truncate(size)
	}
	return err
}
