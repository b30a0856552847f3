package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// raftPipe has one Pipeline keep as many commands under way as it has clients: each of them sends its next command from
// the notice of the one before.
type raftPipe struct {
	load    *raftLoad
	clients []*raftClient
	began   []time.Time // of each client's command
	pipe    *raft.Pipeline
	left    atomic.Int64 // clients that still send
	done    chan struct{}
	failed  context.CancelCauseFunc
}

// work keeps the clients busy until the load does not run any more, and waits for what is under way.
func (p *raftPipe) work(ctx context.Context) error {
	ctx, p.failed = context.WithCancelCause(ctx)
	defer p.failed(nil)
	p.done = make(chan struct{})
	p.left.Store(int64(len(p.clients)))
	at := p.clients[0].at
	pipe, err := p.load.nodes.client(at).OpenPipeline(at, raft.PipelineOptions{Notify: p.notify, Outstanding: len(p.clients)})
	if err != nil {
		return err
	}
	p.pipe = pipe
	for i := range p.clients {
		p.next(i)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return pipe.Close(ctx)
}

// next has a client send its next command, or be done.
func (p *raftPipe) next(i int) {
	if p.load.running.Load() {
		c := p.clients[i]
		c.sent++
		encodeCommand(c.command, c.id, c.sent)
		p.began[i] = time.Now()
		err := p.pipe.Send(uint64(i), c.command)
		if err == nil {
			return
		}
		c.sent--
		p.failed(fmt.Errorf("send: %w", err))
	}
	if p.left.Add(-1) == 0 {
		close(p.done)
	}
}

// notify takes note of what became of commands.
func (p *raftPipe) notify(list []raft.Notice) {
	now, measuring := time.Now(), p.load.measuring.Load()
	for k := range list {
		i, err := int(list[k].Correlation), list[k].Err
		p.clients[i].settle(err)
		if err != nil && !refused(err) {
			p.failed(err)
		}
		if measuring && err == nil {
			p.clients[i].rec.Load().record(now.Sub(p.began[i]))
			p.load.done.Add(1)
		}
		p.next(i)
	}
}

// refused reports whether a command is known not to have been applied, and may be sent again.
func refused(err error) bool {
	var p *raft.ProposalError
	return errors.As(err, &p) && p.Retriable && p.Outcome == raft.NotApplied
}
