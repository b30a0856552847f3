//go:build linux

package nstest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// fillDisk leaves no room on a node's disk, and has the cluster write until the node has noticed.
func (w *world) fillDisk() strike {
	n := w.nodes[w.victim()]
	before := w.figuresOf(n)
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
// for some time, as one that is stopped, and soon when there are cuts: what is written may not reach it.
func (w *world) burden(n *node, before figures) (noticed bool) {
	enough := time.Minute
	if slices.ContainsFunc(w.net.deaf, func(from []int) bool { return len(from) > 0 }) {
		enough = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), enough)
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
