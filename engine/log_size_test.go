package engine

import (
	"testing"
	"unsafe"
)

// TestLogSize keeps a log within the allocator's class of 512 bytes: the next one has 576, and an
// idle log is to cost no more than 1 KiB with its names and its places in tables and the manifest.
func TestLogSize(t *testing.T) {
	if n := unsafe.Sizeof(Log{}); n > 512 {
		t.Errorf("a Log has %d bytes, at most 512", n)
	}
	if n := unsafe.Sizeof(pendingFact{}); n > 80 {
		t.Errorf("a pendingFact has %d bytes, at most 80", n)
	}
}
