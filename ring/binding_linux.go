//go:build !giouring

package ring

import "math/bits"

// bindingName names the binding in Caps.
const bindingName = "rawl"

// maxEntries bounds the submission ring, in entries: more operations than that are
// handed over in several calls. The rings count against RLIMIT_MEMLOCK, 64 bytes an
// entry.
const maxEntries = 256

// newKernel sets up the rings of a queue of depth operations. The completion ring holds
// a place for each of them. The error is an errno wrapped by the name of the failed
// call.
func newKernel(depth int, plain bool) (kernel, error) {
	n := powerOf2(depth)
	r, err := newUring(min(n, maxEntries), n, plain)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// powerOf2 returns the smallest power of two that is at least n.
func powerOf2(n int) uint32 { return 1 << bits.Len(uint(n-1)) }
