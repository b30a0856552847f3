package raft_test

import (
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/raft"
)

// onDisks are houses' options with a disk in memory for each node, which can be filled.
func onDisks(nodes int) (houseOptions, []*memfs.FS) {
	o, _ := onDevices(nodes)
	var list []*memfs.FS
	for i := range nodes {
		fs := memfs.New(uint64(i))
		list, o.devices[i] = append(list, fs), vfs.FS(fs)
	}
	return o, list
}

// TestH5LeadersDiskFull: the leader's disk has no room for entries. Another member leads, and commands are applied. When there is room
// again the member takes part without a restart (figure 10).
func TestH5LeadersDiskFull(t *testing.T) {
	o, disks := onDisks(3)
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.lead(ctx, 0, "c")
	h.add(ctx, 1, "c")
	disks[0].SetCapacity(0)
	sum := uint64(0)
	until(t, ctx, "a full disk", func() bool { // what is allocated is used first
		_, err := h.nodes[1].Process(ctx, h.id(1, "c"), marked(), raft.ProcessOptions{})
		state, _ := h.nodes[0].Engine().Health()
		return err == nil && state == engine.HealthReadOnly
	})
	h.leader(ctx, 1, "c", 0)
	sum = h.add(ctx, 1, "c")
	disks[0].SetCapacity(-1)
	for i := range 3 {
		until(t, ctx, "equal states", func() bool { return h.total(ctx, i, "c") == int64(sum) })
	}
	h.lead(ctx, 0, "c")
	if got := h.add(ctx, 0, "c"); got != sum+1 {
		t.Errorf("the sum is %d, was %d", got, sum)
	}
}
