package raft

import (
	"math/rand/v2"
	"testing"
)

// Every number is let through once, whatever the order, as long as it is not too old; a new life begins anew.
func TestRequestWindow(t *testing.T) {
	const life = uint64(7) << 40
	random := rand.New(rand.NewPCG(1, 2))
	var w requestWindow
	seen := make(map[uint64]bool)
	top := life + 1
	for k := range 300_000 {
		id := top + uint64(random.IntN(200))
		switch random.IntN(4) {
		case 0:
			id = top - uint64(random.IntN(windowSpan+1000))
		case 1:
			if k%1000 == 0 {
				id += uint64(random.IntN(3 * windowSpan))
			}
		}
		if id < life {
			id = life
		}
		want := !seen[id] && id+windowSpan > top
		if k == 0 {
			want = true
		}
		if id > top || k == 0 {
			top = id
		}
		if got := w.first(id); got != want {
			t.Fatalf("number %d, highest %d: %v", id-life, top-life, got)
		}
		seen[id] = true
	}
	if w.first(6<<40 | 5) {
		t.Error("a request of an earlier life was let through")
	}
	if next := uint64(8<<40 | 1); !w.first(next) || w.first(next) {
		t.Error("the next life's first request was not let through once")
	}
}
