package osfs

import (
	"github.com/rawl-db/rawl/internal/vfs"
	"golang.org/x/sys/unix"
)

const descriptorSyncs = false

func syncFlag(vfs.SyncMode) int { return 0 }

func (h handle) datasync() error { return h.sync() }

func (h handle) sync() error {
	return ignoreEINTR(func() error { return unix.Fsync(int(h)) })
}

func (h handle) reserve(size int64) error { return h.truncate(size) }
