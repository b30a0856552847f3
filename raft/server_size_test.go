package raft

import (
	"testing"
	"unsafe"

	"github.com/rawl-db/rawl/raft/core"
)

// TestServerIsSmall: most servers are at rest, and there are many.
func TestServerIsSmall(t *testing.T) {
	for _, x := range []struct {
		name       string
		size, most uintptr
	}{
		{"a server", unsafe.Sizeof(server{}), 1024},
		{"its core", unsafe.Sizeof(core.Server{}), 896},
		{"its applier", unsafe.Sizeof(Applier{}), 576},
	} {
		if x.size > x.most {
			t.Errorf("%s takes %d bytes, at most %d are wanted", x.name, x.size, x.most)
		}
	}
}
