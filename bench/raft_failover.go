package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rawl-db/rawl/raft"
)

// failoverPause is how long the clients work between a node's return and the next failover.
const failoverPause = 300 * time.Millisecond

// failover is the clients' side: sessions of a node without members, one for each client of the load. So every one of their
// commands has to be answered, and has to be applied once.
type failover struct {
	load     *raftLoad
	node     *raft.Node
	sessions []*raft.ClientSession
	hist     *hdrhistogram.Histogram
	// once has a node fail, takes the time, and returns when that is back. It may have the first idle clients send.
	once func(ctx context.Context, n int) error
	idle int
}

// run has nodes fail under load, over and over.
func (f *failover) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := f.open(ctx); err != nil {
		return err
	}
	l := f.load
	l.running.Store(true)
	var wg sync.WaitGroup
	for k := f.idle; k < len(l.clients); k++ {
		wg.Go(func() {
			for l.running.Load() && ctx.Err() == nil {
				if _, err := f.send(ctx, k); err != nil {
					cancel(err)
				}
			}
		})
	}
	var err error
	for n := 0; n < l.row.Failovers && err == nil; n++ {
		if err = f.once(ctx, n); err != nil {
			err = fmt.Errorf("failover %d: %w", n+1, errors.Join(err, context.Cause(ctx)))
		}
	}
	l.running.Store(false)
	if err != nil {
		cancel(err)
	}
	wg.Wait()
	if err = errors.Join(err, context.Cause(ctx)); err == nil {
		err = l.check(ctx)
	}
	return err
}

// open opens the sessions.
func (f *failover) open(ctx context.Context) error {
	f.hist, f.sessions = newHist(), make([]*raft.ClientSession, len(f.load.clients))
	return each(len(f.sessions), func(i int) (err error) {
		f.sessions[i], err = f.node.OpenSession(ctx, member(f.load.clients[i].cluster, 0), raft.SessionOptions{})
		return err
	})
}

// send has the next command of a client applied. A session's command comes to its end whatever happens to leaders.
func (f *failover) send(ctx context.Context, k int) (raft.Reply, error) {
	c := f.load.clients[k]
	c.sent++
	encodeCommand(c.command, c.id, c.sent)
	began := time.Now()
	r, err := f.sessions[k].Process(ctx, c.command, raft.ProcessOptions{})
	c.rec.Load().record(time.Since(began))
	f.load.done.Add(1)
	if err != nil {
		return r, fmt.Errorf("client %d: command %d: %w", c.id, c.sent, err)
	}
	c.outcome.acked++
	c.outcome.last = c.sent
	return r, nil
}

func (f *failover) took(d time.Duration) {
	_ = f.hist.RecordValue(min(max(d.Microseconds(), 1), histMax))
}

// settle lets the clients work for a while, until a node that came back has what is committed.
func (f *failover) settle(ctx context.Context) error {
	if err := f.work(ctx, failoverPause); err != nil {
		return err
	}
	return each(f.load.row.Clusters, func(k int) error {
		for node := range houseNodes {
			if _, err := f.load.nodes.state(ctx, k, node); err != nil {
				return err
			}
		}
		return nil
	})
}

// work lets the clients work for a while.
func (f *failover) work(ctx context.Context, d time.Duration) error {
	return sleepFor(ctx, d)
}

func (f *failover) result() raftResult {
	res := f.load.result(&raftMeasure{}, nil)
	res.Suite += "-failover"
	res.Failovers = f.load.row.Failovers
	res.FailoverP50 = ptr(float64(f.hist.ValueAtQuantile(50)) / 1e3)
	res.FailoverP99 = ptr(float64(f.hist.ValueAtQuantile(99)) / 1e3)
	res.FailoverMax = ptr(float64(f.hist.ValueAtQuantile(100)) / 1e3)
	for _, c := range f.load.clients {
		res.Acknowledged += c.outcome.acked
	}
	return res
}

// tears tears the leader's node off the network in memory: its peers see their connections reset. It measures the time to
// the first commit under another leader, and opens the node again.
func (l *raftLoad) tears(ctx context.Context, h *raftHouse) (res raftResult, err error) {
	f := &failover{load: l, idle: 1}
	if f.node, err = raft.OpenNode(raft.NodeOptions{ID: clientsNode, Dir: filepath.Join(h.dir, clientsNode),
		Network: raft.InProcess(h.net), Engine: h.options}); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, closeRaftNode(f.node)) }()
	f.once = func(ctx context.Context, _ int) error { return f.tear(ctx, h) }
	if err := f.run(ctx); err != nil {
		return res, err
	}
	return f.result(), nil
}

// tear tears off the leader's node, waits for a commit under another leader, and brings the node back.
func (f *failover) tear(ctx context.Context, h *raftHouse) error {
	leader, err := h.leader(ctx, 0)
	if err != nil {
		return err
	}
	gone := nodeOf(leader)
	began := time.Now()
	if err := h.ends[gone].Load().Close(); err != nil {
		return err
	}
	for r := (raft.Reply{Leader: leader}); r.Leader == leader; {
		if r, err = f.send(ctx, 0); err != nil {
			return err
		}
	}
	f.took(time.Since(began))
	if err := h.closeNode(gone); err != nil { // which ends what is under way there
		return err
	}
	if err := h.open(gone); err != nil {
		return err
	}
	return f.settle(ctx)
}
