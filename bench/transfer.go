package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rawl-db/rawl/raft"
)

// transfer is the transfers of a snapshot, with the clients of a failover.
type transfer struct {
	*failover
	house         *processHouse
	interruptions int // of each side
	table         *figureTable

	sent uint64 // bytes of snapshots, by processes that were killed
}

// transferPoll is how often a transfer is looked at, by its receiver: the processors are the clients'.
const transferPoll = 20 * time.Millisecond

// startAlone starts the cluster with its first member only, and has that take a snapshot.
func (h *processHouse) startAlone(ctx context.Context) error {
	if _, err := h.own.StartCluster(ctx, raft.ClusterConfig{Name: clusterName(0), Machine: tallyName, Members: members(0)[:1]}); err != nil {
		return err
	}
	if err := h.release(ctx); err != nil {
		return err
	}
	_, err := h.await(ctx, 0, func(r *nodeReply) bool { return r.Snapshot > 0 })
	return err
}

// release has the cluster take a snapshot.
func (h *processHouse) release(ctx context.Context) error {
	_, err := h.own.Process(ctx, member(0, 0), []byte(releaseNow), raft.ProcessOptions{})
	return err
}

// await asks a node's process about its member until something is so.
func (h *processHouse) await(ctx context.Context, node int, so func(*nodeReply) bool) (nodeReply, error) {
	for {
		r, err := h.tell(node, nodeRequest{Member: true})
		if err != nil || so(&r) {
			return r, err
		}
		select {
		case <-time.After(transferPoll):
		case <-ctx.Done():
			return nodeReply{}, context.Cause(ctx)
		}
	}
}

// both measures the clients alone, beside a transfer, and beside one that is interrupted, when a newer snapshot is about to be written.
func (x *transfer) both(ctx context.Context, _ int) error {
	alone, err := x.beside("writers alone", func() error { return x.work(ctx, x.load.row.Duration) })
	if err != nil {
		return err
	}
	if err := x.table.line(alone); err != nil {
		return err
	}
	var moved figure
	with, err := x.beside("writers beside a transfer", func() (err error) {
		moved, err = x.move(ctx, 1, 0)
		return err
	})
	if err != nil {
		return err
	}
	with.Ratio, with.Goal = over(with.P99, alone.P99), "p99 ratio at most 1.5"
	if err := errors.Join(x.table.line(with), x.table.line(moved)); err != nil {
		return err
	}
	if err := x.house.release(ctx); err != nil {
		return err
	}
	if moved, err = x.move(ctx, 2, x.interruptions); err != nil {
		return err
	}
	return x.table.line(moved)
}

// beside measures the clients while f runs.
func (x *transfer) beside(name string, f func() error) (figure, error) {
	l := x.load
	l.recorders = newRecorders()
	for i, c := range l.clients {
		c.rec.Store(l.recorders[i%recorders])
	}
	began, from := time.Now(), l.done.Load()
	if err := f(); err != nil {
		return figure{}, err
	}
	h := merged(l.recorders)
	return figure{Name: name, EntriesPerS: ptr(ratio(float64(l.done.Load()-from), time.Since(began).Seconds())),
		P50: percentile(h, 50), P99: percentile(h, 99)}, nil
}

// move adds a member, kills either side's process so often on the way, and waits until it has the snapshot.
func (x *transfer) move(ctx context.Context, to, interruptions int) (f figure, err error) {
	h := x.house
	before, err := x.sentBytes()
	if err != nil {
		return f, err
	}
	began := time.Now()
	if err := h.join(to); err != nil {
		return f, err
	}
	if err := h.own.AddMember(ctx, member(0, 0), member(0, to), raft.MemberOptions{}); err != nil {
		return f, err
	}
	for i := range 2 * interruptions {
		if err := x.interrupt(ctx, to, i, 2*interruptions); err != nil {
			return f, fmt.Errorf("interruption %d: %w", i+1, err)
		}
	}
	if _, err := h.await(ctx, to, func(r *nodeReply) bool { return r.Snapshot > 0 }); err != nil {
		return f, err
	}
	took := time.Since(began).Seconds()
	after, err := x.sentBytes()
	if err != nil {
		return f, err
	}
	size := float64(x.load.row.Padding)
	f = bandwidth(fmt.Sprintf("transfer of %s", sizeName(int(size))), size, took, nil, "50 MB/s")
	if interruptions > 0 {
		f.Name += fmt.Sprintf(", each side killed %d times", interruptions)
		f.Goal += ", at most 67 MB sent twice"
	}
	f.TwiceMB = ptr((float64(after-before) - size) / 1e6)
	return f, nil
}

// interrupt waits until a part of the chunks has come, and kills the receiver or the sender.
func (x *transfer) interrupt(ctx context.Context, to, i, of int) error {
	h := x.house
	r, err := h.await(ctx, to, func(r *nodeReply) bool {
		return r.Snapshot > 0 || r.Incoming != nil && r.Incoming.Chunks > 0 && r.Incoming.Done*(of+1) >= r.Incoming.Chunks*(i+1)
	})
	if err != nil {
		return err
	}
	if r.Snapshot > 0 {
		return errors.New("the transfer is over already: the state is too small")
	}
	node := to
	if i%2 == 1 {
		node = nodeOf(r.Incoming.Peer)
	}
	last, err := h.tell(node, nodeRequest{Member: true})
	if err != nil {
		return err
	}
	x.sent += last.Sent // what goes out between this and the kill is missing: less than is on its way at a time
	h.others[node].kill()
	h.others[node] = nil
	if err := h.launch(node); err != nil {
		return err
	}
	return h.introduce()
}

// sentBytes are what all members sent of snapshots.
func (x *transfer) sentBytes() (n uint64, err error) {
	replies, err := x.house.ask(nodeRequest{})
	for i := range replies {
		n += replies[i].Sent
	}
	return n + x.sent, err
}

// join has a node start a member.
func (h *processHouse) join(node int) error {
	_, err := h.tell(node, nodeRequest{Join: true})
	return err
}
