package raft

import (
	"sync/atomic"
	"time"
)

// pace is how long a node's leaders take to have an entry committed, smoothed. On a busy node that is much longer than the
// round trip of the network, and no reason to send anything again.
type pace struct{ nanos atomic.Int64 }

// get may be called by anybody.
func (p *pace) get() time.Duration { return time.Duration(p.nanos.Load()) }

// add takes an eighth of a new sample. Of two that come at the same time one may be lost.
func (p *pace) add(d int64) {
	old := p.nanos.Load()
	p.nanos.CompareAndSwap(old, old+(d-old)/8)
}

// paceSample is an entry of a leader whose way is timed: one at a time.
type paceSample struct {
	index Index // 0 for none
	began int64
}

// paceEvery is which indexes are timed, its multiples: looking at the clock costs.
const paceEvery = 8

// begin times an entry, if it is one of those.
func (x *paceSample) begin(s *server, i Index) {
	if x.index == 0 && i%paceEvery == 0 {
		*x = paceSample{index: i, began: s.node.now()}
	}
}

// end looks whether the entry is committed. Without leadership it never may be.
func (x *paceSample) end(s *server, commit Index, leads bool) {
	if x.index == 0 {
		return
	}
	if leads && commit >= x.index {
		took := s.node.now() - x.began
		s.node.pace.add(took)
		s.node.figures.commitNanos.Record(uint64(took))
	} else if leads {
		return
	}
	*x = paceSample{}
}
