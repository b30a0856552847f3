package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// idleTraffic is what nodes in processes of their own send each other while all their clusters rest.
type idleTraffic struct {
	Suite    string `json:"suite"`
	Clusters int    `json:"clusters"`
	// Of each two nodes, in both directions together.
	MessagesPerS float64 `json:"messages_per_s"`
	BytesPerS    float64 `json:"bytes_per_s"`
	// Ratio is BytesPerS over that of one cluster.
	Ratio *float64 `json:"ratio"`
}

// nodePairs is how many pairs of nodes there are.
const nodePairs = houseNodes * (houseNodes - 1) / 2

// traffic counts it for one cluster and for many.
func (l *idleLife) traffic(ctx context.Context, text, out io.Writer) error {
	one, err := l.trafficOf(ctx, 1)
	if err != nil {
		return err
	}
	many, err := l.trafficOf(ctx, l.Clusters)
	if err != nil {
		return err
	}
	one.Ratio, many.Ratio = ptr(1.0), ptr(ratio(many.BytesPerS, one.BytesPerS))
	for _, t := range []idleTraffic{one, many} {
		fmt.Fprintf(text, "  %6d at rest: between two nodes %.1f messages/s, %.0f bytes/s on log connections; ratio %.2f, wanted at most 2\n",
			t.Clusters, t.MessagesPerS, t.BytesPerS, *t.Ratio)
		if out != nil {
			if err := json.NewEncoder(out).Encode(&t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *idleLife) trafficOf(ctx context.Context, clusters int) (t idleTraffic, err error) {
	t = idleTraffic{Suite: "traffic", Clusters: clusters}
	r := newRaftRow(clusters, 1)
	r.Nodes, r.Store = nodesProcess, l.Store
	o, err := r.options()
	if err != nil {
		return t, err
	}
	h, err := newProcessHouse(ctx, &r, filepath.Join(l.Dir, fmt.Sprintf("traffic-%d", clusters)), o)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.start(ctx); err != nil {
		return t, err
	}
	if err := sleepFor(ctx, time.Second+l.Rest/5); err != nil { // what the start left to be done is done
		return t, err
	}
	began := time.Now()
	messages, bytes, err := h.sent()
	if err != nil {
		return t, err
	}
	if err := sleepFor(ctx, l.Rest); err != nil {
		return t, err
	}
	moreMessages, moreBytes, err := h.sent()
	took := time.Since(began).Seconds() * nodePairs
	t.MessagesPerS, t.BytesPerS = float64(moreMessages-messages)/took, float64(moreBytes-bytes)/took
	return t, err
}

// sent is what all nodes have sent: messages, and bytes on log connections.
func (h *processHouse) sent() (messages, bytes uint64, err error) {
	replies, err := h.ask(nodeRequest{})
	own := h.own.counts()
	messages, bytes = own.Messages, own.LogBytes
	for i := range replies {
		messages += replies[i].Counts.Messages
		bytes += replies[i].Counts.LogBytes
	}
	return messages, bytes, err
}

func sleepFor(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
