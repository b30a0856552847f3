package sim

import (
	"context"
	"errors"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// operation is one call of a client, for the judgement of the whole history.
type operation struct {
	client      uint64
	op          byte
	kind, key   byte
	number      uint64
	call, reply int64 // times; reply is 0 when nobody knows whether it happened
	result      []byte
}

// client uses a cluster until the end.
func (w *world) client(id uint64, c *cluster) {
	for number := id << 32; !w.over; {
		number++
		o := operation{client: id, number: number, kind: byte(w.random.IntN(int(kinds))), key: byte(w.random.IntN(keys))}
		o.op = o.kind + opWrite
		if w.random.IntN(4) == 0 {
			o.op = opRead
		}
		n := w.anyone()
		if n == nil {
			return
		}
		w.perform(c, n, o)
		w.pause(w.within(0, 20*time.Millisecond))
	}
}

// patience is how long a client waits for an answer.
const patience = 3 * time.Second

// perform does an operation and takes it into the history, unless it is certain that it did not happen.
func (w *world) perform(c *cluster, n *node, o operation) bool {
	to := c.server(c.members[w.random.IntN(len(c.members))])
	byQuery := o.op == opRead && w.random.IntN(2) == 0
	var result []byte
	var err error
	w.stamp++
	o.call = w.stamp
	answered := n.call(patience, func(ctx context.Context, r *raft.Node) {
		cmd := command(o.op, o.kind, o.key, o.number)
		if byQuery {
			result, err = r.ConsistentQuery(ctx, to, "read", cmd)
			return
		}
		var reply raft.Reply
		reply, err = r.Process(ctx, to, cmd, raft.ProcessOptions{})
		result = reply.Data
	})
	w.stamp++
	switch {
	case answered && err == nil:
		o.reply, o.result = w.stamp, result
		c.acked++
		if !byQuery {
			w.acked++
		}
	case o.op == opRead:
		return false
	case answered && !mayHaveHappened(err):
		c.denied = append(c.denied, o.number)
		return false
	}
	c.operations = append(c.operations, o)
	return o.reply != 0
}

// mayHaveHappened reports whether a proposal that failed was perhaps applied.
func mayHaveHappened(err error) bool {
	var p *raft.ProposalError
	return !errors.As(err, &p) || p.Outcome == raft.MaybeApplied
}

// start makes a cluster, on three nodes.
func (w *world) start(c *cluster) {
	c.members = append(c.members, w.nodes...)
	w.random.Shuffle(len(c.members), func(i, j int) { c.members[i], c.members[j] = c.members[j], c.members[i] })
	c.members = c.members[:3]
	var ids []raft.ServerID
	for _, n := range c.members {
		ids = append(ids, c.server(n))
	}
	c.members[0].call(20*time.Second, func(ctx context.Context, r *raft.Node) {
		started, err := r.StartCluster(ctx, raft.ClusterConfig{Name: c.name, Machine: c.name, Members: ids})
		if err != nil || len(started) < 2 {
			w.violate("start", "%s: %d members, %v", c.name, len(started), err)
		}
	})
}
