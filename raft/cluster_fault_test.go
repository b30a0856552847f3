package raft_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// A leader that is cut off steps down and others elect; what waits for it ends, and its consistent reads see nothing old.
func TestClusterLeaderCutOff(t *testing.T) {
	for _, how := range []string{"both ways", "from it", "to it"} {
		t.Run(how, func(t *testing.T) {
			o := tallies(nil)
			o.watchful = true
			h := newHouseWith(t, 3, o)
			ctx := ctxFor(t)
			h.start(ctx, "c", "tally", 0, 1, 2)
			old := h.leader(ctx, 0, "c")
			a, b := (old+1)%3, (old+2)%3
			h.add(ctx, old, "c")
			if how != "to it" {
				if err := h.net.Cut(ids(old), ids(a, b)); err != nil {
					t.Fatal(err)
				}
			}
			if how != "from it" {
				if err := h.net.Cut(ids(a, b), ids(old)); err != nil {
					t.Fatal(err)
				}
			}
			lost := make(chan error, 1)
			go func() {
				_, err := h.nodes[old].Process(ctx, h.id(old, "c"), one(), raft.ProcessOptions{})
				lost <- err
			}()
			until(t, ctx, "the old leader's step-down", func() bool { return h.metrics(old, "c").Role != core.RoleLeader })
			h.leader(ctx, a, "c", old)
			h.leader(ctx, b, "c", old)
			sum := h.add(ctx, a, "c")
			short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
			defer cancel()
			if v, err := h.nodes[old].ConsistentQuery(short, h.id(old, "c"), "n", nil); err == nil && binary.LittleEndian.Uint64(v) < sum {
				t.Fatalf("a consistent read returned %v, the sum is %d", v, sum)
			}
			h.net.HealAll()
			// A lost command may have been applied, once: it was proposed in another term.
			err := <-lost
			end := h.add(ctx, b, "c")
			if most := sum + 2; end != sum+1 && end != most {
				t.Fatalf("%d after %d", end, sum)
			}
			var p *raft.ProposalError
			if err != nil && !errors.As(err, &p) {
				t.Fatalf("%T %v", err, err)
			}
			for i := range 3 {
				until(t, ctx, "equal states", func() bool { return h.total(ctx, i, "c") == int64(end) })
			}
		})
	}
}

// A stop without a word, as by kill -9, loses nothing that was answered: the directory as it is then is opened again.
func TestClusterKilled(t *testing.T) {
	o := tallies(nil)
	o.watchful = true
	h := newHouseWith(t, 3, o)
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	leader := h.leader(ctx, 0, "c")
	other := (leader + 1) % 3
	for range 20 {
		h.add(ctx, leader, "c")
	}
	h.tell(ctx, leader, "c", cmdRelease) // once: another snapshot would be written while the directory is copied
	until(t, ctx, "the snapshot", func() bool { return h.metrics(leader, "c").Snapshot > 0 })
	sum := h.add(ctx, leader, "c")
	h.ends[leader].Abandon()
	image := filepath.Join(t.TempDir(), "image")
	if err := os.CopyFS(image, os.DirFS(h.dirs[leader])); err != nil {
		t.Fatal(err)
	}
	h.leader(ctx, other, "c", leader)
	if got := h.add(ctx, other, "c"); got != sum+1 {
		t.Fatal(got)
	}
	h.close(leader)
	h.dirs[leader] = image
	h.open(leader)
	until(t, ctx, "the state", func() bool { return h.total(ctx, leader, "c") == int64(sum+1) })
	if got := h.add(ctx, leader, "c"); got != sum+2 {
		t.Fatal(got)
	}
}

// One member goes on alone when the others are lost, and what comes back of them is strange to it.
func TestClusterForceShrink(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	h.start(ctx, "c", "tally", 0, 1, 2)
	h.add(ctx, 0, "c")
	until(t, ctx, "the state", func() bool { return h.total(ctx, 0, "c") == 1 })
	h.close(1)
	h.close(2)
	if err := h.nodes[0].ForceShrink(ctx, h.id(0, "c")); err != nil {
		t.Fatal(err)
	}
	if got := h.add(ctx, 0, "c"); got != 2 {
		t.Fatal(got)
	}
	h.open(1)
	h.open(2)
	h.leader(ctx, 1, "c", 0)
	if got := h.add(ctx, 1, "c"); got != 2 {
		t.Fatal(got)
	}
	for range 3 {
		h.add(ctx, 0, "c")
	}
	if got := h.add(ctx, 0, "c"); got != 6 {
		t.Fatal(got)
	}
	err := h.nodes[0].ForceShrink(ctx, h.id(0, "unknown"))
	if !errors.Is(err, raft.ErrUnknownServer) {
		t.Fatal(err)
	}
}

// A node is closed while everything is busy: every call ends, with its outcome.
func TestClusterCloseBusy(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	const clusters = 5
	for k := range clusters {
		h.start(ctx, fmt.Sprintf("c%d", k), "tally", 0, 1, 2)
	}
	var wg sync.WaitGroup
	begun := make(chan struct{}, 1000)
	for k := range 30 {
		node, name := h.nodes[k%3], fmt.Sprintf("c%d", k%clusters)
		to := h.id(k%3, name)
		wg.Go(func() {
			for {
				var err error
				switch k % 4 {
				case 0, 1:
					_, err = node.Process(ctx, to, one(), raft.ProcessOptions{Priority: raft.Priority(k / 4 % 2)})
				case 2:
					_, err = node.ConsistentQuery(ctx, to, "n", nil)
				case 3:
					_, err = node.LocalQuery(ctx, name, stateOf, raft.QueryOptions{})
				}
				if ctx.Err() != nil {
					t.Errorf("call %d to %v waited for its context", k, to)
				}
				if err != nil && errors.Is(err, raft.ErrClosed) {
					return
				}
				select {
				case begun <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 300 {
		<-begun
	}
	for i := range h.nodes {
		h.close(i)
	}
	wg.Wait()
}

// Many clusters are started at once, serve, and cost no goroutine at rest.
func TestClusterMany(t *testing.T) {
	h := newHouseWith(t, 3, tallies(nil))
	ctx := ctxFor(t)
	const clusters = 200
	idle := numGoroutine()
	var wg sync.WaitGroup
	var lost atomic.Int32
	for k := range clusters {
		wg.Go(func() {
			name := fmt.Sprintf("c%d", k)
			started, err := h.nodes[k%3].StartCluster(ctx, raft.ClusterConfig{Name: name, Machine: "tally",
				Members: []raft.ServerID{h.id(0, name), h.id(1, name), h.id(2, name)}})
			if err == nil && len(started) < 2 {
				t.Errorf("%s: only %v started", name, started)
			}
			if err == nil {
				_, err = h.nodes[(k+1)%3].Process(ctx, h.id((k+1)%3, name), one(), raft.ProcessOptions{})
			}
			if err != nil && !errors.Is(err, raft.ErrLost) { // an overloaded machine may change leaders
				t.Errorf("%s: %v", name, err)
			}
			if err != nil {
				lost.Add(1)
			}
		})
	}
	wg.Wait()
	for i, n := range h.nodes { // a minority may come up after the call
		until(t, ctx, fmt.Sprintf("all members on node %d", i), func() bool { return len(n.Servers()) == clusters })
	}
	wantGoroutines(t, idle+20)
	for i := range h.nodes {
		h.close(i)
	}
	for i := range h.nodes {
		h.open(i)
	}
	once := int32(0)
	for k := range clusters {
		switch got := h.add(ctx, k%3, fmt.Sprintf("c%d", k)); got {
		case 1:
			once++
		case 2:
		default:
			t.Fatal(got)
		}
	}
	if once > lost.Load() {
		t.Fatalf("%d commands are not applied, %d were lost", once, lost.Load())
	}
	t.Logf("%d of %d commands lost track of", lost.Load(), clusters)
}
