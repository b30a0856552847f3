package sim

import (
	"context"
	"errors"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/core"
)

// operation is one call of a client, for the judgement of the whole history.
type operation struct {
	client      uint64
	op          byte
	kind, key   byte
	number      uint64
	call, reply int64 // times; reply is 0 when nobody knows whether it happened
	result      []byte
	over        bool // nothing more is heard of it
}

// client uses a cluster until the end.
func (w *world) client(id uint64, c *cluster) {
	for number := id << 32; !w.over; {
		number++
		n := w.anyone()
		if n == nil {
			return
		}
		w.perform(c, n, w.draw(id, number))
		w.pause(w.within(0, 20*time.Millisecond))
	}
}

// draw draws an operation.
func (w *world) draw(client, number uint64) operation {
	o := operation{client: client, number: number, kind: byte(w.random.IntN(int(kinds))), key: byte(w.random.IntN(keys))}
	o.op = o.kind + opWrite
	if w.random.IntN(4) == 0 {
		o.op = opRead
	}
	return o
}

// patience is how long a client waits for an answer.
const patience = 3 * time.Second

// perform does an operation, without a session.
func (w *world) perform(c *cluster, n *node, o operation) bool {
	to := c.to()
	byQuery := o.op == opRead && w.random.IntN(2) == 0
	var reply raft.Reply
	err := errors.New("its node has ended")
	w.stamp++
	o.call = w.stamp
	n.call(patience, func(ctx context.Context, r *raft.Node) {
		cmd := command(o.op, o.kind, o.key, o.number)
		if byQuery {
			reply.Data, err = r.ConsistentQuery(ctx, to, "read", cmd)
			return
		}
		how := raft.ProcessOptions{Priority: raft.Priority(w.random.IntN(2))}
		if w.random.IntN(3) == 0 {
			how.Reply, how.Member = raft.ReplyFromMember, c.anyMember().id
		}
		reply, err = r.Process(ctx, to, cmd, how)
	})
	w.stamp++
	if byQuery && err != nil {
		return false
	}
	w.conclude(c, &o, reply, err)
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
			return
		}
		list, err := r.InitialMembers(c.name)
		if err != nil {
			w.violate("start", "%s: %v", c.name, err)
		}
		c.configs = configList{{config: core.Configuration{Members: list}}}
	})
}
