package raft_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rawl-db/rawl/raft"
)

// Through cuts, restarts, transfers and snapshots every command of a session is applied exactly once.
func TestClusterTrouble(t *testing.T) {
	o := tallies(nil)
	o.watchful = true
	h := newHouseWith(t, 4, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	var wg sync.WaitGroup
	var applied atomic.Uint64
	end := make(chan struct{})
	for k := range 3 {
		session, err := h.nodes[3].OpenSession(ctx, h.id(k, "c"), raft.SessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for w := range 2 {
			wg.Go(func() {
				for {
					select {
					case <-end:
						return
					default:
					}
					if _, err := session.Process(ctx, one(), raft.ProcessOptions{Priority: raft.Priority(w)}); err != nil {
						t.Errorf("session %d: %v", k, err)
						return
					}
					applied.Add(1)
				}
			})
		}
	}
	more := func() {
		from := applied.Load()
		until(t, ctx, "more commands", func() bool { return applied.Load() > from+20 || t.Failed() })
	}
	at := 0
	for _, trouble := range []func(leader, a, b int){
		func(leader, a, b int) { h.cutOff(leader, a, b, 3) },
		func(leader, a, b int) { h.close(leader); h.leader(ctx, a, "c", leader); h.open(leader) },
		func(leader, a, b int) { h.close(a); more(); h.open(a) },
		func(leader, a, b int) {
			if err := h.nodes[a].TransferLeadership(ctx, h.id(a, "c"), h.id(b, "c")); err != nil && !errors.Is(err, raft.ErrLost) {
				t.Log("transfer:", err) // the leader may have changed
			}
		},
		func(leader, a, b int) { h.release(ctx, leader, "c"); h.cutOff(a, leader, b, 3) },
	} {
		at = h.leader(ctx, at, "c")
		trouble(at, (at+1)%3, (at+2)%3)
		more()
		h.net.HealAll()
		more()
	}
	close(end)
	wg.Wait()
	sum := applied.Load()
	for i := range 3 {
		until(t, ctx, "equal states", func() bool { return h.total(ctx, i, "c") == int64(sum) })
	}
	t.Logf("%d commands", sum)
}

// cutOff cuts a node off from others.
func (h *house) cutOff(i int, others ...int) {
	h.t.Helper()
	if err := h.net.Partition(ids(i), ids(others...)); err != nil {
		h.t.Fatal(err)
	}
}
