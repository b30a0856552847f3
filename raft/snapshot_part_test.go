package raft

import (
	"slices"
	"testing"
)

// TestLivePartBound: a part has no more live entries than a receiver takes, however small they are.
func TestLivePartBound(t *testing.T) {
	s, _ := heldServer(t, NodeOptions{})
	o := &outgoing{server: s, live: slices.Repeat([]Index{1}, livePartEntries+5)}
	for _, want := range []int{livePartEntries, 5} {
		p, err := o.livePart()
		if err != nil || len(p.live) != want || len(p.sums) != want {
			t.Fatalf("%d live entries, %d checksums, want %d: %v", len(p.live), len(p.sums), want, err)
		}
	}
}
