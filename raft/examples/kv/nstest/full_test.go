//go:build linux

package nstest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// fillDisk leaves no room on a node's disk, and has the cluster write until the node has noticed.
func (w *world) fillDisk() strike {
	n := w.nodes[w.victim()]
	before, _ := n.figures() // nil, if the node does not answer: then any trouble is new
	if err := n.disk.fill(); err != nil {
		w.t.Fatalf("node %s: %v", n.id, err)
	}
	noticed := false
	return strike{
		hold: w.between(0, 2*time.Second),
		heal: func() {
			if err := n.disk.free(); err != nil {
				w.t.Errorf("node %s: %v", n.id, err)
			}
		},
		goOn:   func() { noticed = w.burden(n, before) },
		effect: func() bool { return noticed },
	}
}

// burden writes large values until a node has trouble with its disk, and reports whether it had any. It gives up on a node that does not answer
// for some time, as one that is stopped.
func (w *world) burden(n *node, before figures) (noticed bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	var writers sync.WaitGroup
	for i := range 3 {
		writers.Go(func() { w.writeLarge(ctx, i) })
	}
	silent := 0
	poll(ctx, func() bool {
		f, err := n.figures()
		if err != nil {
			silent++
			return silent == 5
		}
		silent, noticed = 0, f.diskTrouble(before)
		return noticed
	})
	cancel()
	writers.Wait()
	return noticed
}

// writeLarge writes values that are nearly as large as they may be until ctx ends. Whether that goes well is not the point.
func (w *world) writeLarge(ctx context.Context, number int) {
	c := newClient(clients+number, w.urls(), 0)
	defer c.http.CloseIdleConnections()
	value := strings.Repeat("large", 80<<10)
	for ctx.Err() == nil {
		_ = c.write(ctx, &operation{kind: put, key: fmt.Sprint("large/", number), value: value})
	}
}
