package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// durableWriter writes one buffer durably with one system call and without allocating.
type durableWriter struct {
	fd  int
	iov unix.Iovec
}

// write returns when b is on the device at off, or with an error.
func (w *durableWriter) write(b []byte, off int64) error {
	w.iov.Base = &b[0]
	w.iov.SetLen(len(b))
	for {
		n, _, errno := unix.Syscall6(unix.SYS_PWRITEV2, uintptr(w.fd), uintptr(unsafe.Pointer(&w.iov)), 1,
			uintptr(off), 0, unix.RWF_DSYNC)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return fmt.Errorf("durable write of %d bytes: %w", len(b), errno)
		case int(n) != len(b):
			return fmt.Errorf("durable write of %d bytes was cut at %d", len(b), n)
		}
		return nil
	}
}
