package main

import (
	"context"
	"time"
)

// kills are failovers of nodes that are processes, and are killed.
type kills struct {
	*failover
	house  *processHouse
	before rate    // of messages, of the nodes that live on, while all is well
	most   float64 // messages per second until all clusters had a new leader
}

// rate is something that happened in some time.
type rate struct {
	n    uint64
	took time.Duration
}

func (r rate) perSecond() float64 { return ratio(float64(r.n), r.took.Seconds()) }

// kills kills nodes under load, each of which leads a third of the clusters then. It measures the time until every cluster has
// another leader that both other nodes follow.
func (l *raftLoad) kills(ctx context.Context, h *processHouse) (res raftResult, err error) {
	k := &kills{failover: &failover{load: l, node: h.own.Node}, house: h}
	k.once = k.kill
	if err := k.run(ctx); err != nil {
		return res, err
	}
	res = k.result()
	res.MessagesPerS, res.FailoverMessagesPerS = ptr(k.before.perSecond()), ptr(k.most)
	return res, nil
}

// kill spreads the leaders, kills a node, and brings it back.
func (k *kills) kill(ctx context.Context, n int) error {
	h, gone := k.house, n%houseNodes
	if err := h.spread(ctx, gone); err != nil {
		return err
	}
	before, err := k.messages(gone, func() error { return k.work(ctx, failoverPause) })
	if err != nil {
		return err
	}
	k.before.n, k.before.took = k.before.n+before.n, k.before.took+before.took
	meanwhile, err := k.messages(gone, func() error {
		began := time.Now()
		h.others[gone].kill()
		h.others[gone] = nil
		_, err := h.ask(nodeRequest{Led: k.load.row.Clusters, Without: nodeName(gone)})
		k.took(time.Since(began))
		return err
	})
	if err != nil {
		return err
	}
	k.most = max(k.most, meanwhile.perSecond())
	if err := h.launch(gone); err != nil {
		return err
	}
	if err := h.introduce(); err != nil {
		return err
	}
	return k.settle(ctx)
}

// messages counts what the nodes send, all but one, while f runs.
func (k *kills) messages(without int, f func() error) (r rate, err error) {
	count := func() (n uint64, err error) {
		replies, err := k.house.ask(nodeRequest{})
		for i := range replies {
			if i != without {
				n += replies[i].Counts.Messages
			}
		}
		return n, err
	}
	from, err := count()
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err := f(); err != nil {
		return r, err
	}
	r.took = time.Since(began)
	to, err := count()
	r.n = to - from
	return r, err
}

// spread has each node lead a third of the clusters; that node leads the first of them.
func (h *processHouse) spread(ctx context.Context, first int) error {
	return each(h.row.Clusters, func(k int) error { return h.lead(ctx, member(k, (k+first)%houseNodes)) })
}
