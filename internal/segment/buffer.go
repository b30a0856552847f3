package segment

import "unsafe"

// AlignedBuffer returns n bytes of the Go heap whose address is a multiple of BlockSize, as
// direct reads need it. The heap does not move what it holds.
func AlignedBuffer(n int) []byte {
	b := make([]byte, n+BlockSize)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (BlockSize - 1))
	return b[skip : skip+n : skip+n]
}
