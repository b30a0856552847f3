package osfs

import (
	"github.com/rawl-db/rawl/internal/vfs"
	"golang.org/x/sys/unix"
)

const descriptorSyncs = false

func syncFlag(vfs.SyncMode) int { return 0 }

// datasync flushes the drive's cache too, which fsync does not do here.
func (h handle) datasync() error {
	return ignoreEINTR(func() error {
		_, err := unix.FcntlInt(uintptr(h), unix.F_FULLFSYNC, 0)
		return err
	})
}

func (h handle) sync() error { return h.datasync() }

// reserve asks for the blocks, in one piece if possible, and then sets the size.
func (h handle) reserve(size int64) error {
	store := unix.Fstore_t{Flags: unix.F_ALLOCATECONTIG | unix.F_ALLOCATEALL, Posmode: unix.F_PEOFPOSMODE, Length: size}
	err := unix.FcntlFstore(uintptr(h), unix.F_PREALLOCATE, &store)
	if err != nil {
		store.Flags = unix.F_ALLOCATEALL
		err = unix.FcntlFstore(uintptr(h), unix.F_PREALLOCATE, &store)
	}
	if err == unix.ENOSPC || err == unix.EDQUOT || err == unix.EFBIG {
		return err
	}
	return h.truncate(size)
}
