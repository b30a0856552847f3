package vfstest

import (
	"unsafe"

	"github.com/rawl-db/rawl/internal/vfs"
)

func memoryCases() []testCase {
	return []testCase{{"Alloc", testAlloc}}
}

func testAlloc(e *env) {
	for _, size := range []int{1, 4095, 4096, 4097, 1 << 20, 3<<20 + 1} {
		b, free, err := e.fs.Alloc(size)
		e.must(err)
		if len(b) < size {
			e.Fatalf("Alloc(%d) returned %d bytes", size, len(b))
		}
		if !aligned(b) {
			e.Errorf("Alloc(%d) is not aligned to %d", size, vfs.BlockSize)
		}
		for i, c := range b {
			if c != 0 {
				e.Fatalf("Alloc(%d): byte %d is %#x, want 0", size, i, c)
			}
		}
		for i := range b {
			b[i] = 0xee
		}
		free()
	}
}

func aligned(b []byte) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))%vfs.BlockSize == 0
}
