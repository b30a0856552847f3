package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// raftLoad is the clients of all clusters.
type raftLoad struct {
	row       raftRow
	dir       string
	nodes     raftNodes
	recorders []*recorder
	clients   []*raftClient
	done      atomic.Uint64 // commands or reads that were answered
	running   atomic.Bool
	measuring atomic.Bool
}

// raftClient sends one command after the other; so many as are to be under way are so many clients, of which a pipeline
// has some.
type raftClient struct {
	load    *raftLoad
	id      uint32
	cluster int
	at      raft.ServerID // the leader
	command []byte
	sent    uint64
	outcome outcome
	rec     atomic.Pointer[recorder]
}

// newRaftLoad finds the leaders.
func newRaftLoad(ctx context.Context, r raftRow, dir string, nodes raftNodes) (*raftLoad, error) {
	l := &raftLoad{row: r, dir: dir, nodes: nodes, recorders: newRecorders()}
	leaders := make([]raft.ServerID, r.Clusters)
	if err := each(r.Clusters, func(k int) (err error) {
		leaders[k], err = nodes.leader(ctx, k)
		return err
	}); err != nil {
		return nil, err
	}
	for i := range r.Clusters * r.Clients * r.Outstanding {
		k := i % r.Clusters
		c := &raftClient{load: l, id: uint32(i), cluster: k, at: leaders[k], command: randomPayload(r.Size)}
		c.rec.Store(l.recorders[i%recorders])
		c.outcome.unknown = make(map[uint64]bool)
		l.clients = append(l.clients, c)
	}
	return l, nil
}

// slice lets all clients work for d; when it returns nothing is under way any more.
func (l *raftLoad) slice(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.running.Store(true)
	stop := time.AfterFunc(d, func() { l.running.Store(false) })
	defer stop.Stop()
	var wg sync.WaitGroup
	for _, w := range l.workers() {
		wg.Go(func() {
			if err := w.work(ctx); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// raftWorker sends one thing after the other until the load does not run any more.
type raftWorker interface{ work(context.Context) error }

// workers are the clients, or the pipelines that work for them.
func (l *raftLoad) workers() (list []raftWorker) {
	if l.row.Outstanding == 1 || l.row.Reads {
		for _, c := range l.clients {
			list = append(list, c)
		}
		return list
	}
	step := l.row.Clusters * l.row.Clients
	for i := range step {
		p := &raftPipe{load: l, began: make([]time.Time, l.row.Outstanding)}
		for k := i; k < len(l.clients); k += step {
			p.clients = append(p.clients, l.clients[k])
		}
		list = append(list, p)
	}
	return list
}

func (c *raftClient) work(ctx context.Context) error {
	for c.load.running.Load() {
		began := time.Now()
		var err error
		if c.load.row.Reads {
			err = c.read(ctx)
		} else {
			err = c.write(ctx)
		}
		if err != nil {
			return err
		}
		if c.load.measuring.Load() {
			c.rec.Load().record(time.Since(began))
			c.load.done.Add(1)
		}
	}
	return nil
}

func (c *raftClient) read(ctx context.Context) error {
	_, err := c.load.nodes.client(c.at).ConsistentRead(ctx, c.at.Name, func(m raft.Machine) (any, error) {
		return m.(*tallyMachine).applied, nil
	})
	return err
}

// write sends the next command to the leader's node.
func (c *raftClient) write(ctx context.Context) error {
	_, err := c.send(ctx, c.load.nodes.client(c.at))
	return err
}

// send numbers a command and takes note of what becomes of it.
func (c *raftClient) send(ctx context.Context, n *raft.Node) (raft.Reply, error) {
	c.sent++
	encodeCommand(c.command, c.id, c.sent)
	r, err := n.Process(ctx, c.at, c.command, raft.ProcessOptions{})
	c.settle(err)
	return r, err
}

// settle takes note of what became of the last command.
func (c *raftClient) settle(err error) {
	if err == nil {
		c.outcome.acked++
		c.outcome.last = c.sent
		return
	}
	var p *raft.ProposalError
	switch {
	case !errors.As(err, &p) || p.Outcome == raft.MaybeApplied:
		c.outcome.unknown[c.sent] = true
	default:
		c.sent-- // nobody has applied it, so its number is free
	}
}

// check compares what was acknowledged with what every member has applied.
func (l *raftLoad) check(ctx context.Context) error {
	return each(l.row.Clusters, func(k int) error {
		for node := range houseNodes {
			m, err := l.nodes.state(ctx, k, node)
			if err != nil {
				return fmt.Errorf("member %v: %w", member(k, node), err)
			}
			if err := l.checkMember(k, m); err != nil {
				return fmt.Errorf("member %v: %w", member(k, node), err)
			}
		}
		return nil
	})
}

func (l *raftLoad) checkMember(k int, m *tallyMachine) error {
	for i := k; i < len(l.clients); i += l.row.Clusters {
		c := l.clients[i]
		if err := c.outcome.check(m.clients[c.id]); err != nil {
			return fmt.Errorf("client %d: %w", c.id, err)
		}
	}
	return nil
}
