//go:build linux || darwin || freebsd

package osfs

import (
	"fmt"
	"os"

	"github.com/rawl-db/rawl/internal/vfs"
	"golang.org/x/sys/unix"
)

// handle is a file descriptor.
type handle int

const openFlags = unix.O_NOFOLLOW | unix.O_CLOEXEC

// ignoreEINTR calls until the call was not interrupted.
func ignoreEINTR(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func openFD(name string, flags int) (h handle, err error) {
	for {
		fd, err := unix.Open(name, flags|openFlags, 0o600)
		if err != unix.EINTR {
			return handle(fd), err
		}
	}
}

func createHandle(name string, mode vfs.SyncMode) (handle, error) {
	h, err := openFD(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|syncFlag(mode))
	if err != nil {
		return h, err
	}
	if err := h.chmod(); err != nil {
		h.close()
		os.Remove(name)
		return h, err
	}
	return h, nil
}

// openHandle opens without blocking on a FIFO that took the file's place, and then makes
// the descriptor an ordinary one: O_NONBLOCK would make io_uring answer EAGAIN.
func openHandle(name string, write bool, mode vfs.SyncMode) (handle, error) {
	flags := unix.O_RDONLY
	if write {
		flags = unix.O_RDWR | syncFlag(mode)
	}
	h, err := openFD(name, flags|unix.O_NONBLOCK)
	if err != nil {
		return h, err
	}
	if err = h.checkRegular(); err == nil {
		err = h.setFlags(0)
	}
	if err != nil {
		h.close()
	}
	return h, err
}

// lockHandle opens or creates a file and locks it.
func lockHandle(name string) (handle, error) {
	h, err := openFD(name, unix.O_RDWR|unix.O_CREAT|unix.O_NONBLOCK)
	if err != nil {
		return h, err
	}
	err = h.checkRegular()
	if err == nil {
		err = h.chmod()
	}
	if err == nil {
		err = ignoreEINTR(func() error { return unix.Flock(int(h), unix.LOCK_EX|unix.LOCK_NB) })
		if err == unix.EWOULDBLOCK {
			err = fmt.Errorf("%w: %w", vfs.ErrLocked, err)
		}
	}
	if err != nil {
		h.close()
	}
	return h, err
}

func (h handle) fd() uintptr { return uintptr(h) }

// close never retries: the descriptor is gone even when the call was interrupted.
func (h handle) close() error {
	if err := unix.Close(int(h)); err != unix.EINTR {
		return err
	}
	return nil
}

func (h handle) chmod() error {
	return ignoreEINTR(func() error { return unix.Fchmod(int(h), 0o600) })
}

func (h handle) stat() (unix.Stat_t, error) {
	var st unix.Stat_t
	err := ignoreEINTR(func() error { return unix.Fstat(int(h), &st) })
	return st, err
}

func (h handle) checkRegular() error {
	st, err := h.stat()
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errNotRegular
	}
	return err
}

func (h handle) size() (int64, error) {
	st, err := h.stat()
	return st.Size, err
}

// setFlags sets those of the descriptor's flags that can change, and clears the others.
func (h handle) setFlags(flags int) error {
	_, err := unix.FcntlInt(uintptr(h), unix.F_SETFL, flags)
	return err
}

func (h handle) truncate(size int64) error {
	return ignoreEINTR(func() error { return unix.Ftruncate(int(h), size) })
}

func again(err error) bool { return err == unix.EINTR || err == unix.EAGAIN }

func pread(h handle, p []byte, off int64) (int, error) { return unix.Pread(int(h), p, off) }

func pwrite(h handle, p []byte, off int64) (int, error) { return unix.Pwrite(int(h), p, off) }
