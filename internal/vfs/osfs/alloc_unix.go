//go:build linux || darwin || freebsd

package osfs

import (
	"sync"
	"unsafe"

	"github.com/rawl-db/rawl/internal/vfs"
	"golang.org/x/sys/unix"
)

const (
	hugePage = 2 << 20
	// hugeFrom is the size in bytes from which rounding up to a huge page pays.
	hugeFrom = 1 << 20
)

// alloc maps size bytes, a multiple of BlockSize, and touches each page, so that the
// first transfer meets no page fault and a lack of memory shows here.
func alloc(size int) ([]byte, func(), error) {
	mapped := size
	if size >= hugeFrom {
		mapped = (size+hugePage-1)&^(hugePage-1) + hugePage
	}
	mapping, err := unix.Mmap(-1, 0, mapped, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, pathError("mmap", "anonymous", err)
	}
	start := 0
	if size >= hugeFrom {
		start = int(-uintptr(unsafe.Pointer(unsafe.SliceData(mapping))) & (hugePage - 1))
	}
	advise(mapping, size >= hugeFrom)
	buf := mapping[start : start+size : start+size]
	for i := 0; i < len(buf); i += vfs.BlockSize {
		buf[i] = 0
	}
	var once sync.Once
	return buf, func() { once.Do(func() { _ = unix.Munmap(mapping) }) }, nil
}
