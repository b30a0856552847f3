package main

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const hugePage = 2 << 20

// zeroedFile makes a file whose blocks have all been written, opened past the page cache.
func zeroedFile(name string, size int64) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_RDWR|unix.O_DIRECT, 0o600)
	if err != nil {
		return nil, err
	}
	fill := func() error {
		buf, free, err := hugeBuffer(1 << 20)
		if err != nil {
			return err
		}
		defer func() { _ = free() }()
		chunk := buf[:1<<20]
		for off := int64(0); off < size; off += int64(len(chunk)) {
			if _, err := f.WriteAt(chunk, off); err != nil {
				return err
			}
		}
		return f.Sync()
	}
	if err := fill(); err != nil {
		return nil, errors.Join(fmt.Errorf("fill %s: %w", name, err), f.Close(), os.Remove(name))
	}
	return f, nil
}

// hugeBuffer returns at least size bytes, aligned for direct I/O, on huge pages where the
// system has them, and what gives them back.
func hugeBuffer(size int) (buf []byte, free func() error, err error) {
	size = (size + hugePage - 1) &^ (hugePage - 1)
	wide, err := unix.Mmap(-1, 0, size+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, nil, fmt.Errorf("buffer: %w", err)
	}
	skip := int(-uintptr(unsafe.Pointer(&wide[0])) & (hugePage - 1))
	buf = wide[skip : skip+size]
	_ = unix.Madvise(buf, unix.MADV_HUGEPAGE) // a wish
	clear(buf)
	return buf, func() error { return unix.Munmap(wide) }, nil
}
