package raft

import (
	"testing"
	"unsafe"

	"github.com/rawl-db/rawl/raft/core"
)

// TestServerIsSmall: most servers are at rest, and there are many. The allocator adds 8 bytes to what is above 512, and
// rounds up: to 384, 768 and 896 here.
func TestServerIsSmall(t *testing.T) {
	for _, x := range []struct {
		name       string
		size, most uintptr
	}{
		{"a server", unsafe.Sizeof(server{}), 888},
		{"its core", unsafe.Sizeof(core.Server{}), 760},
		{"its applier", unsafe.Sizeof(Applier{}), 384},
	} {
		if x.size > x.most {
			t.Errorf("%s takes %d bytes, at most %d are wanted", x.name, x.size, x.most)
		}
	}
}
