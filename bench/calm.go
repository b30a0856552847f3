package main

import (
	"sync"
	"time"

	"github.com/rawl-db/rawl/raft"
	"github.com/rawl-db/rawl/raft/detector"
)

const (
	// calmPoll is how often a node's process looks at itself.
	calmPoll = 10 * time.Millisecond
	// calmStall is how late a look must be to count as a stall: one interval of heartbeats.
	calmStall = 100 * time.Millisecond
)

// calmSpan is a time, in nanoseconds since 1970: all processes have one clock.
type calmSpan struct{ From, To int64 }

// calmSuspicion is that a node takes others for lost. Peers are those that it did when it was seen, maybe none any more.
type calmSuspicion struct {
	At    int64
	Peers []string
}

// calmRecord is what a process saw of itself.
type calmRecord struct {
	Stalls     []calmSpan
	Suspicions []calmSuspicion
	Forgiven   uint64 // times that the detector itself noticed it was late
}

// calmWatch looks at a node until it is stopped.
type calmWatch struct {
	node *raft.Node
	quit chan struct{}
	done sync.WaitGroup
	rec  calmRecord
}

func watchCalm(n *raft.Node) *calmWatch {
	w := &calmWatch{node: n, quit: make(chan struct{})}
	w.done.Go(w.run)
	return w
}

// stop returns what was seen.
func (w *calmWatch) stop() calmRecord {
	close(w.quit)
	w.done.Wait()
	return w.rec
}

// run sleeps and looks, over and over. What keeps it from its processor keeps the node from its.
func (w *calmWatch) run() {
	tick := time.NewTimer(calmPoll)
	defer tick.Stop()
	first := w.node.Overview().Contacts
	seen := first.Suspected + first.FoundOneWay
	for at := time.Now(); ; {
		select {
		case <-tick.C:
		case <-w.quit:
			return
		}
		now := time.Now()
		if now.Sub(at) > calmPoll+calmStall {
			w.rec.Stalls = append(w.rec.Stalls, calmSpan{at.UnixNano(), now.UnixNano()})
		}
		o := w.node.Overview()
		w.rec.Forgiven = o.Contacts.Late - first.Late
		if n := o.Contacts.Suspected + o.Contacts.FoundOneWay; n != seen {
			seen = n
			w.rec.Suspicions = append(w.rec.Suspicions, suspicion(now, o.Peers))
		}
		at = time.Now()
		tick.Reset(calmPoll)
	}
}

func suspicion(now time.Time, peers []raft.PeerInfo) calmSuspicion {
	s := calmSuspicion{At: now.UnixNano()}
	for _, p := range peers {
		if p.State == detector.Down || p.State == detector.OneWay {
			s.Peers = append(s.Peers, p.ID)
		}
	}
	return s
}

// calmReach is for how long a stall explains suspicions: a peer is suspected at most the detection bound, 1 s, after it was heard last,
// and seen a look later.
const calmReach = int64(2 * time.Second)

// unexplained are the suspicions of a node that no stall explains: neither its own nor one of those that it suspected.
func unexplained(node string, records map[string]calmRecord) (list []calmSuspicion) {
	for _, s := range records[node].Suspicions {
		of := append([]string{node}, s.Peers...)
		if len(s.Peers) == 0 {
			of = sortedKeys(records)
		}
		if !stalled(of, s.At, records) {
			list = append(list, s)
		}
	}
	return list
}

// stalled reports whether one of some nodes stood still shortly before a moment.
func stalled(nodes []string, at int64, records map[string]calmRecord) bool {
	for _, n := range nodes {
		for _, x := range records[n].Stalls {
			if x.From <= at && x.To >= at-calmReach {
				return true
			}
		}
	}
	return false
}
