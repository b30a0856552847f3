//go:build linux || darwin || freebsd

package osfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// link does not follow oldName when it is a symbolic link, as os.Link does on darwin.
func link(oldName, newName string) error {
	return ignoreEINTR(func() error {
		return unix.Linkat(unix.AT_FDCWD, oldName, unix.AT_FDCWD, newName, 0)
	})
}

func openDir(dir string) (*os.File, error) {
	h, err := openFD(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(h), dir), nil
}

func syncDir(dir string) error {
	h, err := openFD(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer h.close()
	return h.sync()
}

func freeSpace(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := ignoreEINTR(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return 0, err
	}
	// FreeBSD counts below zero when only the superuser's reserve is left.
	return uint64(max(0, int64(st.Bavail))) * uint64(st.Bsize), nil
}
