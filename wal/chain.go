package wal

import (
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// maxChains bounds the entries that are under way as fragments at one time. It keeps small
// what a failed batch must write again.
const maxChains = 4

// fragmentCost bounds what a fragment takes in a file beside its payload: frame header,
// footer and padding, if it has a frame of its own, its record header and a declaration.
const fragmentCost = 2 * frame.BlockSize

// chain is an entry that is under way as fragments. A file change would leave its first
// fragments in a file that may be recycled before the last one is durable, so a chain
// begins only where all of it has room, and reserves that room.
type chain struct {
	log  *Log
	need int64 // bytes of the file that its fragments still may take
}

func chainNeed(payload int) int64 {
	n := (payload + FragmentSize - 1) / FragmentSize
	return int64(payload) + int64(n)*fragmentCost
}

// putFragment puts the next fragment of x, l's next entry, unless another one already is in
// the batch while other logs wait.
func (w *WAL) putFragment(l *Log, x *raftlog.Entry, crc uint32) verdict {
	if w.round.fragments >= w.round.fragmentLimit {
		w.round.limited = true
		if w.round.next == nil {
			w.round.next = l
		}
		return blocked
	}
	if l.fragment == 0 {
		if v := w.beginChain(l, len(x.Data)); v != finished {
			return v
		}
	}
	from := int(l.fragment)
	to := min(from+FragmentSize, len(x.Data))
	if w.enc.end(w.enc.overhead(l)+frame.RecordHeaderSize+fragmentPrefix+to-from) > len(w.buf) {
		return blocked
	}
	t := w.enc.touch(l)
	w.enc.fragments(t, l.cur.prev, x, crc, from, to)
	w.round.fragments++
	w.useChain(l, int64(to-from)+fragmentCost)
	o := l.cur
	o.last, o.term = o.first, x.Term
	w.items = append(w.items, item{log: l, op: o, from: from, to: to, done: to == len(x.Data)})
	w.round.bytes += to - from
	if to < len(x.Data) {
		l.fragment = int32(to)
		return spent
	}
	l.fragment = 0
	w.endChain(l)
	w.enc.complete(t, o.src, o.first, 1, len(x.Data))
	w.round.entries++
	l.cur.prev, l.cur.first = o.first, o.first+1
	if o.first == l.cur.last {
		return finished
	}
	return spent // another log may want the chain's place
}

// beginChain reserves room for an entry's fragments. An empty file takes any entry: there
// is no larger room to be had, so the file grows.
func (w *WAL) beginChain(l *Log, payload int) verdict {
	if len(w.chains) == maxChains {
		return blocked
	}
	need := chainNeed(payload)
	room := w.cur.room() - w.chainNeed - w.round.reserve - int64(w.enc.end(0)) - frame.BlockSize
	if room < need && (w.cur.frames > 0 || len(w.items) > 0) {
		return noRoom
	}
	w.chains = append(w.chains, chain{log: l, need: need})
	w.chainNeed += need
	return finished
}

func (w *WAL) useChain(l *Log, n int64) {
	for i := range w.chains {
		if w.chains[i].log == l {
			w.chains[i].need -= n
			w.chainNeed -= n
		}
	}
}

func (w *WAL) endChain(l *Log) {
	for i := range w.chains {
		if w.chains[i].log == l {
			w.chainNeed -= w.chains[i].need
			w.chains = append(w.chains[:i], w.chains[i+1:]...)
			return
		}
	}
}

// restartChains prepares open chains for a fresh file. Those in the staged batch will be
// written there from their first fragment up to where they are; the others begin anew.
func (w *WAL) restartChains() {
	seen := make(map[*Log]raftlog.Index)
	for i := range w.items {
		it := &w.items[i]
		if it.to > 0 && seen[it.log] != it.op.first {
			seen[it.log] = it.op.first
			it.from = 0
		}
	}
	kept := w.chains[:0]
	w.chainNeed = 0
	for _, c := range w.chains {
		if seen[c.log] != c.log.cur.first {
			c.log.fragment = 0
			continue
		}
		kept = append(kept, c)
		w.chainNeed += c.need
	}
	clear(w.chains[len(kept):])
	w.chains = kept
}
