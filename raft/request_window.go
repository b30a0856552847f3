package raft

import "sync"

// requestWindow tells which requests of another node have come, so that one that the network repeats is performed
// once: to perform it again could apply its command twice. Numbers of requests rise, also from one life of their node to
// the next, but they may overtake each other.
type requestWindow struct {
	mu   sync.Mutex
	top  uint64 // the highest number that came
	seen []uint64
}

// windowSpan is by how many numbers a request may come behind one with a higher number. What is older is not
// performed: it counts as lost, which any request may be.
const windowSpan = 1 << 16

func (n *Node) windowOf(peer NodeID) *requestWindow {
	if x, ok := n.heard.Load(peer); ok {
		return x.(*requestWindow)
	}
	x, _ := n.heard.LoadOrStore(peer, &requestWindow{})
	return x.(*requestWindow)
}

// first reports whether a request comes for the first time, and may be performed.
func (w *requestWindow) first(id uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.seen == nil:
		w.seen = make([]uint64, windowSpan/64)
		w.top = id
	case id+windowSpan <= w.top:
		return false
	case id > w.top:
		w.forget(w.top+1, id)
		w.top = id
	}
	word, bit := &w.seen[id%windowSpan/64], uint64(1)<<(id%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// forget makes room for the numbers from first to last, which are new.
func (w *requestWindow) forget(first, last uint64) {
	if last-first >= windowSpan-1 {
		clear(w.seen)
		return
	}
	for ; first <= last; first++ {
		if first%64 == 0 && first+63 <= last {
			w.seen[first%windowSpan/64] = 0
			first += 63
			continue
		}
		w.seen[first%windowSpan/64] &^= 1 << (first % 64)
	}
}
