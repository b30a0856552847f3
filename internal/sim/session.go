package sim

import (
	"context"
	"errors"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// sessions uses a cluster through sessions, one after the other, and through pipelines in them or without.
func (w *world) sessions(id uint64, c *cluster) {
	number := id << 32
	for !w.over && w.failure == "" {
		n := w.anyone()
		if n == nil {
			return
		}
		var s *raft.ClientSession
		n.call(patience, func(ctx context.Context, r *raft.Node) {
			x, err := r.OpenSession(ctx, c.to(), raft.SessionOptions{Ordered: w.random.IntN(2) == 0})
			if err == nil {
				s = x
			}
		})
		if s == nil {
			w.pause(w.within(time.Millisecond, 50*time.Millisecond))
			continue
		}
		w.sometimes("session")
		life := n.place
		for range 5 + w.random.IntN(30) {
			if n.place != life || !n.up() || w.over {
				break
			}
			number++
			if w.random.IntN(8) == 0 {
				number = w.pipeline(c, n, s, id, number)
				continue
			}
			w.performIn(c, n, s, w.draw(id, number))
			w.think()
		}
		if n.place == life && n.up() {
			n.call(patience, func(ctx context.Context, _ *raft.Node) { _ = s.Close(ctx) })
		}
	}
}

// pipeline sends some operations at once. Each must be answered once. It returns the newest number.
func (w *world) pipeline(c *cluster, n *node, s *raft.ClientSession, id, number uint64) uint64 {
	if w.random.IntN(2) == 0 {
		s = nil
	}
	count := 1 + w.random.IntN(20)
	sent := make([]operation, 0, count)
	heard := make([]int, count)
	options := raft.PipelineOptions{Session: s, Notify: func(list []raft.Notice) {
		for _, x := range list {
			heard[x.Correlation]++
			w.stamp++
			w.conclude(c, &sent[x.Correlation], x.Reply, x.Err)
		}
	}}
	n.call(4*patience, func(ctx context.Context, r *raft.Node) {
		p, err := r.OpenPipeline(c.to(), options)
		if err != nil {
			w.violate("simulator", "%v", err)
			return
		}
		for k := range count {
			number++
			o := w.draw(id, number)
			w.stamp++
			o.call = w.stamp
			sent = append(sent, o)
			if err := p.SendPriority(raft.Priority(w.random.IntN(2)), uint64(k), command(o.op, o.kind, o.key, o.number)); err != nil {
				heard[k]++
				sent[k].over = true
				c.denied = append(c.denied, o.number)
			}
		}
		if err := p.Close(ctx); err == nil {
			for k, times := range heard {
				if times != 1 {
					w.violate("I11", "%s: command %d of a pipeline of %d was answered %d times", c.name, k, count, times)
				}
			}
			w.sometimes("pipeline")
		}
	})
	for k := range sent {
		if o := &sent[k]; !o.over {
			o.over = true
			c.lose(*o) // what is heard of it later counts no more
		}
	}
	return number
}

// conclude takes the answer to an operation into the history.
func (w *world) conclude(c *cluster, o *operation, r raft.Reply, err error) {
	if o.over {
		return
	}
	o.over = true
	switch {
	case err == nil:
		o.reply, o.result = w.stamp, r.Data
		c.operations = append(c.operations, *o)
		w.acked++
		w.check.acknowledged(c, r.Index)
	case mayHaveHappened(err):
		c.lose(*o)
	default:
		c.denied = append(c.denied, o.number)
	}
}

// lose takes an operation into the history of which nobody knows the end.
func (c *cluster) lose(o operation) {
	if o.op != opRead {
		c.operations = append(c.operations, o)
	}
}

// performIn is perform by a session.
func (w *world) performIn(c *cluster, n *node, s *raft.ClientSession, o operation) {
	w.stamp++
	o.call = w.stamp
	var reply raft.Reply
	err := errors.New("its node has ended")
	n.call(2*patience, func(ctx context.Context, _ *raft.Node) {
		reply, err = s.Process(ctx, command(o.op, o.kind, o.key, o.number), raft.ProcessOptions{Priority: raft.Priority(w.random.IntN(2))})
	})
	w.stamp++
	w.conclude(c, &o, reply, err)
}
