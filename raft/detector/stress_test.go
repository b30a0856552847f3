package detector

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/sched"
)

// TestManyGoroutines has two running detectors that are used by many goroutines at once, for the race detector and for
// the order of notices.
func TestManyGoroutines(t *testing.T) {
	world := sched.Real()
	now := world.Now
	const users, rounds = 4, 500
	ends := map[NodeID]*Detector{}
	handed := map[NodeID][]uint64{"a": nil, "b": nil} // owned by the loops, one each
	all := make(chan NodeID, 2)
	var mu sync.Mutex
	for _, id := range []NodeID{"a", "b"} {
		d, err := New(Options{Node: id, Incarnation: 1, Interval: time.Millisecond, Bound: time.Minute, NoticeBytes: 100,
			Send:    func(h *Heartbeat) { ends[h.To].Receive(now(), h) },
			Changed: func(Change) {},
			Notice: func(_ NodeID, _ uint64, b []byte) {
				mu.Lock()
				defer mu.Unlock()
				handed[id] = append(handed[id], binary.BigEndian.Uint64(b))
				if len(handed[id]) == users*rounds {
					all <- id
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		ends[id] = d
	}
	stop := make(chan struct{})
	var loops, work sync.WaitGroup
	for _, d := range ends {
		loops.Go(func() { d.Run(world, stop) })
	}
	for id, d := range ends {
		peer := NodeID("a")
		if id == "a" {
			peer = "b"
		}
		for u := range users {
			work.Go(func() {
				for i := range rounds {
					d.Watch(now(), peer)
					if err := d.Notify(now(), peer, binary.BigEndian.AppendUint64(nil, uint64(u)<<32|uint64(i))); err != nil {
						t.Error(err)
					}
					d.Peer(now(), peer)
					d.RTT(peer)
					d.Stats()
					if i > 0 && !d.Unwatch(now(), peer) {
						t.Error("Unwatch without a Watch")
					}
				}
			})
		}
	}
	work.Wait()
	<-all
	<-all
	close(stop)
	loops.Wait()
	for id, got := range handed {
		var next [users]uint64
		for _, n := range got {
			if u := n >> 32; n&(1<<32-1) != next[u] {
				t.Fatalf("%s: notice %d of user %d instead of %d", id, n&(1<<32-1), u, next[u])
			}
			next[n>>32]++
		}
		if s := ends[id].Stats(); s.Watched != 1 || s.Known != 1 || len(got) != users*rounds {
			t.Fatalf("%s: %+v, %d notices", id, s, len(got))
		}
	}
}
