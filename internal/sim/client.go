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
	query       bool  // a read that is no command
	plain       bool  // asked of the node's own member, answered by the leader
	more        int   // bytes that the command is longer
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
		w.think()
	}
}

// think is a client's pause between two operations. Those of a world that has seen many take longer.
func (w *world) think() {
	most := 20 * time.Millisecond
	if w.acked >= enoughProposals {
		most *= 4
	}
	w.pause(w.within(0, most))
}

// draw draws an operation.
func (w *world) draw(client, number uint64) operation {
	o := operation{client: client, number: number, kind: byte(w.random.IntN(int(kinds))), key: byte(w.random.IntN(keys))}
	o.op = o.kind + opWrite
	if w.random.IntN(4) == 0 {
		o.op, o.query = opRead, w.random.IntN(2) == 0
	}
	return o
}

// patience is how long a client waits for an answer.
const patience = 3 * time.Second

// perform does an operation, without a session.
func (w *world) perform(c *cluster, n *node, o operation) bool {
	to := c.to()
	if o.plain && c.has(n) {
		to = c.server(n)
	}
	var reply raft.Reply
	err := errors.New("its node has ended")
	answered := c.answered
	w.stamp++
	o.call = w.stamp
	n.call(patience, func(ctx context.Context, r *raft.Node) {
		cmd := append(command(o.op, o.kind, o.key, o.number), make([]byte, o.more)...)
		if o.query {
			reply.Data, err = r.ConsistentQuery(ctx, to, "read", cmd)
			return
		}
		how := raft.ProcessOptions{Priority: raft.Priority(w.random.IntN(2))}
		if !o.plain && w.random.IntN(3) == 0 {
			how.Reply, how.Member = raft.ReplyFromMember, c.anyMember().id
		}
		reply, err = r.Process(ctx, to, cmd, how)
	})
	w.stamp++
	if o.query {
		if err != nil {
			return false
		}
		reply.Data = w.check.fresh(c, n, reply.Data, answered)
	}
	w.conclude(c, &o, reply, err)
	return o.reply != 0
}

// mayHaveHappened reports whether a proposal that failed was perhaps applied.
func mayHaveHappened(err error) bool {
	var p *raft.ProposalError
	return !errors.As(err, &p) || p.Outcome == raft.MaybeApplied
}

// start makes a cluster, on three nodes or five.
func (w *world) start(c *cluster) {
	c.members = append(c.members, w.nodes...)
	w.random.Shuffle(len(c.members), func(i, j int) { c.members[i], c.members[j] = c.members[j], c.members[i] })
	size := 3
	if len(c.members) >= 5 && w.random.IntN(2) == 0 {
		size = 5
	}
	c.members = c.members[:size]
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
