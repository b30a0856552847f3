package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// failoverPause is how long the clients work between a node's return and the next failover.
const failoverPause = 300 * time.Millisecond

// failovers tears the leader's node off the network under load, over and over: its peers see their connections
// reset. It measures the time to the first commit under another leader, and opens the node again.
func (l *raftLoad) failovers(ctx context.Context) (raftResult, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &failover{load: l, hist: newHist()}
	l.running.Store(true)
	var wg sync.WaitGroup
	for _, c := range l.clients[1:] {
		wg.Go(func() { f.client(ctx, c) })
	}
	var err error
	for n := 0; n < l.row.Failovers && err == nil; n++ {
		if err = f.once(ctx); err != nil {
			err = fmt.Errorf("failover %d: %w", n+1, err)
		}
	}
	l.running.Store(false)
	if err != nil {
		cancel(err)
	}
	wg.Wait()
	if err == nil {
		err = l.check(ctx)
	}
	if err != nil {
		return raftResult{}, err
	}
	res := l.result(&measure{}, nil)
	res.Suite += "-failover"
	res.Failovers = l.row.Failovers
	res.FailoverP50 = ptr(float64(f.hist.ValueAtQuantile(50)) / 1e3)
	res.FailoverP99 = ptr(float64(f.hist.ValueAtQuantile(99)) / 1e3)
	for _, c := range l.clients {
		res.Unknown += len(c.outcome.unknown)
	}
	return res, nil
}

type failover struct {
	load *raftLoad
	hist interface {
		RecordValue(int64) error
		ValueAtQuantile(float64) int64
	}
}

// client works at a node that is there, whatever becomes of each command.
func (f *failover) client(ctx context.Context, c *raftClient) {
	for k := int(c.id); f.load.running.Load() && ctx.Err() == nil; k++ {
		n, node := f.load.house.nearest(k % houseNodes)
		c.at = member(0, node)
		_, _ = c.send(ctx, n) // the outcome is what counts
	}
}

// once tears off the leader's node, waits for a commit under another leader, and brings the node back.
func (f *failover) once(ctx context.Context) error {
	h := f.load.house
	leader, err := h.leader(ctx, 0)
	if err != nil {
		return err
	}
	gone := nodeOf(leader)
	prober := f.load.clients[0]
	prober.at = member(0, (gone+1)%houseNodes)
	began := time.Now()
	if err := h.ends[gone].Load().Close(); err != nil {
		return err
	}
	for {
		var r raft.Reply
		r, err = prober.send(ctx, h.node(nodeOf(prober.at)))
		if err == nil && r.Leader != leader {
			break
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	_ = f.hist.RecordValue(min(max(time.Since(began).Microseconds(), 1), histMax))
	if err := h.closeNode(gone); err != nil { // which ends what is under way there
		return err
	}
	if err := h.open(gone); err != nil {
		return err
	}
	return f.settle(ctx)
}

// settle lets the clients work for a while, until the node that came back has what is committed.
func (f *failover) settle(ctx context.Context) error {
	select {
	case <-time.After(failoverPause):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for node := range houseNodes {
		if _, err := f.load.house.state(ctx, 0, node); err != nil {
			return err
		}
	}
	return nil
}
