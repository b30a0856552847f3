package raft_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// storm is clients of all kinds on three nodes with a cluster, while somebody stops, restarts, deletes and closes.
type storm struct {
	h    *house
	stop chan struct{}
	wg   sync.WaitGroup
	// sure and maybe count commands that were applied, and that may have been.
	sure, maybe atomic.Int64
	nodes       [3]atomic.Pointer[raft.Node] // h.nodes, for those that race with close and open
}

func newStorm(t *testing.T) *storm {
	o := tallies(nil)
	o.change = func(o *raft.NodeOptions) { o.RecoveryInterval = 20 }
	s := &storm{h: newHouseWith(t, 3, o), stop: make(chan struct{})}
	for i, n := range s.h.nodes {
		s.nodes[i].Store(n)
	}
	return s
}

// loop runs f again and again until the storm is over.
func (s *storm) loop(f func(k int)) {
	s.wg.Go(func() {
		for k := 0; ; k++ {
			select {
			case <-s.stop:
				return
			default:
				f(k)
			}
		}
	})
}

// clients work on every node: commands, queries, snapshots, transfers, each for a short while. The storm begins when a first
// command was applied.
func (s *storm) clients(ctx context.Context, name string) {
	call := func(f func(ctx context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		return f(ctx)
	}
	for i := range s.nodes {
		to := s.h.id(i, name)
		s.loop(func(k int) {
			err := call(func(ctx context.Context) error {
				return second(s.nodes[i].Load().Process(ctx, to, one(), raft.ProcessOptions{Priority: raft.Priority(k % 2)}))
			})
			s.took(err)
		})
		s.loop(func(k int) {
			n := s.nodes[i].Load()
			_ = call(func(ctx context.Context) error {
				switch k % 4 {
				case 0:
					return second(n.LocalQuery(ctx, name, stateOf, raft.QueryOptions{}))
				case 1:
					return second(n.ConsistentQuery(ctx, to, "n", nil))
				case 2:
					return second(n.Process(ctx, to, cmdRelease, raft.ProcessOptions{}))
				}
				return n.TransferLeadership(ctx, to, to)
			})
			if k%16 == 0 {
				pause(ctx)
			}
		})
	}
	until(s.h.t, ctx, "a command that is applied", func() bool { return s.sure.Load() > 0 })
}

// took counts what became of a command.
func (s *storm) took(err error) {
	var p *raft.ProposalError
	switch {
	case err == nil:
		s.sure.Add(1)
	case !errors.As(err, &p):
		s.h.t.Errorf("%T: %v", err, err)
	case p.Outcome == raft.MaybeApplied:
		s.maybe.Add(1)
	}
}

// end ends the storm, and looks whether the sum is one that the answers allow.
func (s *storm) end(ctx context.Context, i int, name string) {
	s.h.t.Helper()
	close(s.stop)
	s.wg.Wait()
	r, err := s.h.nodes[i].Process(ctx, s.h.id(i, name), binary.LittleEndian.AppendUint64(nil, 0), raft.ProcessOptions{})
	if err != nil {
		s.h.t.Fatal(err)
	}
	sum := int64(binary.LittleEndian.Uint64(r.Data))
	if sure, maybe := s.sure.Load(), s.maybe.Load(); sum < sure || sum > sure+maybe || sure == 0 {
		s.h.t.Errorf("sum %d of %d commands that were applied and %d that may have been", sum, sure, maybe)
	} else {
		s.h.t.Logf("sum %d of %d and %d", sum, sure, maybe)
	}
}

const stormRounds = 12

// Servers are stopped and run again under their clients: every answer is true, and all members come to the same.
func TestStormStopRestart(t *testing.T) {
	s := newStorm(t)
	ctx := ctxFor(t)
	s.h.start(ctx, "c", "tally", 0, 1, 2)
	s.clients(ctx, "c")
	for k := range stormRounds {
		i := rand.IntN(3)
		n := s.h.nodes[i]
		var two sync.WaitGroup // who come at the same time do no harm
		for range 2 {
			two.Go(func() {
				if err := n.StopServer(ctx, "c"); err != nil {
					t.Errorf("round %d: %v", k, err)
				}
			})
		}
		two.Wait()
		for range 2 {
			two.Go(func() {
				if err := n.RestartServer(ctx, "c", raft.RestartOptions{}); err != nil && !errors.Is(err, raft.ErrRunning) {
					t.Errorf("round %d: %v", k, err)
				}
			})
		}
		two.Wait()
		pause(ctx)
	}
	s.end(ctx, 0, "c")
	for i := range 3 {
		until(t, ctx, "equal states", func() bool {
			return s.h.total(ctx, i, "c") == s.h.total(ctx, 0, "c") && s.h.metrics(i, "c").Err == nil
		})
	}
}

// Nodes are closed and opened again under their clients.
func TestStormClose(t *testing.T) {
	s := newStorm(t)
	ctx := ctxFor(t)
	s.h.start(ctx, "c", "tally", 0, 1, 2)
	s.clients(ctx, "c")
	for range stormRounds / 2 {
		i := rand.IntN(3)
		s.h.close(i)
		s.h.open(i)
		s.nodes[i].Store(s.h.nodes[i])
		pause(ctx)
	}
	s.end(ctx, 0, "c")
}

// Clusters are made and deleted under clients that name them, some in several ways at once; nothing is left of them.
func TestStormDelete(t *testing.T) {
	s := newStorm(t)
	ctx := ctxFor(t)
	s.h.start(ctx, "c", "tally", 0, 1, 2)
	s.clients(ctx, "c")
	for i := range s.nodes { // these name what comes and goes
		s.loop(func(k int) {
			short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			n, to := s.nodes[i].Load(), s.h.id(i, "d")
			_, _ = n.Process(short, to, one(), raft.ProcessOptions{})
			_, _ = n.LocalQuery(short, "d", stateOf, raft.QueryOptions{})
			_, _ = n.KeyMetrics("d")
			n.AuxCast(to, nil)
		})
	}
	for k := range stormRounds {
		s.h.start(ctx, "d", "tally", 0, 1, 2)
		var all sync.WaitGroup
		if k%3 == 0 { // its members delete themselves, while others do it too
			if err := s.h.nodes[0].DeleteCluster(ctx, s.h.id(0, "d")); err != nil && !errors.Is(err, raft.ErrLost) {
				t.Errorf("round %d: %v", k, err)
			}
		}
		for i := range 3 {
			all.Go(func() {
				if err := s.h.nodes[i].DeleteServer(ctx, "d"); err != nil && !errors.Is(err, raft.ErrUnknownServer) {
					t.Errorf("round %d: %v", k, err)
				}
			})
		}
		all.Wait()
		for i := range 3 {
			until(t, ctx, fmt.Sprintf("round %d's end on node %d", k, i), func() bool {
				return len(s.h.nodes[i].Servers()) == 1 && s.h.logs(i) == 2
			})
		}
	}
	s.end(ctx, 1, "c")
}
