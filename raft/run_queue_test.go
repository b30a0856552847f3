package raft_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/rawl-db/rawl/raft"
)

// TestBlockedMachinesAreReplaced has more machines block than the node has workers: another cluster goes on, and once the
// machines return they have applied everything, and the node closes without a goroutine left.
func TestBlockedMachinesAreReplaced(t *testing.T) {
	gate := make(chan struct{})
	h := newHouseWith(t, 1, tallies(gate))
	ctx := ctxFor(t)
	blocked := runtime.GOMAXPROCS(0) + 3
	h.start(ctx, "free", "tally", 0)
	ends := make(chan error, blocked)
	for i := range blocked {
		name := fmt.Sprintf("blocked%d", i)
		h.start(ctx, name, "tally", 0)
		go func() {
			_, err := h.nodes[0].Process(ctx, h.id(0, name), cmdBlock, raft.ProcessOptions{})
			ends <- err
		}()
		until(t, ctx, "a machine that blocks", func() bool { m := h.metrics(0, name); return m.Commit > m.Applied && m.Commit >= 2 })
	}
	if got := h.add(ctx, 0, "free"); got != 1 {
		t.Fatal(got)
	}
	close(gate)
	for range blocked {
		if err := <-ends; err != nil {
			t.Fatal(err)
		}
	}
	if got := h.add(ctx, 0, "free"); got != 2 {
		t.Fatal(got)
	}
}
