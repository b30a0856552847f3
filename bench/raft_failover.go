package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// failoverPause is how long the clients work between a node's return and the next failover.
const failoverPause = 300 * time.Millisecond

// failovers tears the leader's node off the network under load, over and over: its peers see their connections
// reset. It measures the time to the first commit under another leader, and opens the node again. The clients are
// sessions of a fourth node, so every one of their commands has to be answered, and has to be applied once.
func (l *raftLoad) failovers(ctx context.Context) (res raftResult, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &failover{load: l, hist: newHist()}
	if err := f.open(ctx); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, closeRaftNode(f.node)) }()
	l.running.Store(true)
	var wg sync.WaitGroup
	for k := range l.clients[1:] {
		wg.Go(func() {
			for l.running.Load() && ctx.Err() == nil {
				if _, err := f.send(ctx, k+1); err != nil {
					cancel(err)
				}
			}
		})
	}
	for n := 0; n < l.row.Failovers && err == nil; n++ {
		if err = f.once(ctx); err != nil {
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
	if err != nil {
		return res, err
	}
	return f.result(), nil
}

// failover is the clients' side: sessions, one for each client of the load.
type failover struct {
	load     *raftLoad
	node     *raft.Node
	sessions []*raft.ClientSession
	hist     interface {
		RecordValue(int64) error
		ValueAtQuantile(float64) int64
	}
}

// open opens the clients' node, which has no members, and their sessions.
func (f *failover) open(ctx context.Context) (err error) {
	h := f.load.house
	if f.node, err = raft.OpenNode(raft.NodeOptions{ID: "clients", Dir: filepath.Join(h.dir, "clients"),
		Network: raft.InProcess(h.net), Engine: h.options}); err != nil {
		return err
	}
	for range f.load.clients {
		s, err := f.node.OpenSession(ctx, member(0, 0), raft.SessionOptions{})
		if err != nil {
			return errors.Join(err, closeRaftNode(f.node))
		}
		f.sessions = append(f.sessions, s)
	}
	return nil
}

// send has the next command of a client applied. A session's command comes to its end whatever happens to leaders.
func (f *failover) send(ctx context.Context, k int) (raft.Reply, error) {
	c := f.load.clients[k]
	c.sent++
	encodeCommand(c.command, c.id, c.sent)
	r, err := f.sessions[k].Process(ctx, c.command, raft.ProcessOptions{})
	if err != nil {
		return r, fmt.Errorf("client %d: command %d: %w", c.id, c.sent, err)
	}
	c.outcome.acked++
	c.outcome.last = c.sent
	return r, nil
}

// once tears off the leader's node, waits for a commit under another leader, and brings the node back.
func (f *failover) once(ctx context.Context) error {
	h := f.load.house
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

func (f *failover) result() raftResult {
	res := f.load.result(&measure{}, nil)
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
