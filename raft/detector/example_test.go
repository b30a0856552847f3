package detector_test

import (
	"fmt"
	"time"

	"github.com/rawl-db/rawl/raft/detector"
)

// Two nodes are stepped by hand over a network that takes no time, until one falls silent.
func ExampleDetector() {
	nodes := map[detector.NodeID]*detector.Detector{}
	now := int64(time.Second)
	for _, id := range []detector.NodeID{"paris", "rome"} {
		d, err := detector.New(detector.Options{
			Node: id, Incarnation: 1,
			Send: func(h *detector.Heartbeat) {
				if d := nodes[h.To]; d != nil {
					d.Receive(now, h)
				}
			},
			Changed: func(c detector.Change) { fmt.Printf("%s: %s is %v\n", id, c.Peer, c.State) },
			Notice: func(from detector.NodeID, _ uint64, notice []byte) {
				fmt.Printf("%s: %s says %q\n", id, from, notice)
			},
		})
		if err != nil {
			panic(err)
		}
		nodes[id] = d
	}
	paris, rome := nodes["paris"], nodes["rome"]
	paris.Watch(now, "rome")
	step := func(d time.Duration) {
		for end := now + int64(d); now < end; now += int64(10 * time.Millisecond) {
			for _, id := range []detector.NodeID{"paris", "rome"} {
				if d := nodes[id]; d != nil && d.Next() <= now {
					d.Step(now)
				}
			}
		}
	}
	step(time.Second)
	if err := rome.Notify(now, "paris", []byte("no leader here")); err != nil {
		panic(err)
	}
	step(time.Second)
	delete(nodes, "rome") // it is gone
	step(time.Second)
	// Output:
	// paris: rome is up
	// paris: rome says "no leader here"
	// paris: rome is down
}
