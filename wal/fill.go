package wal

import (
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// minQuantum is the least that a log may put per round, in bytes.
const minQuantum = 1 << 10

// verdict is how a visit to a log ended.
type verdict uint8

const (
	finished verdict = iota // the current operation is in the batch
	drained                 // nothing is queued
	spent                   // the log's share, or the batch, is used up
	noRoom                  // the record needs more room than the file has
	blocked                 // a fragment must wait for a later batch
)

// round is what one fill keeps in mind.
type round struct {
	reserve       int64 // tail of the file that is kept for control records
	fragments     int   // put so far
	fragmentLimit int
	others        bool // something that is no fragment was put, and somebody waits for it
	limited       bool // a fragment met the limit
	next          *Log // the first whose fragment met it: it comes first in the next batch
	entries       int  // taken from the queue
	bytes         int
	err           error
}

// item is a part of a batch: entries first..last, or a control record, or with to > 0 the
// part [from, to) of the payload of the only entry; done says that it is the last part.
type item struct {
	log      *Log
	op       op
	from, to int
	done     bool
}

// fill puts queued records into the encoder, by deficit round robin over the logs: each
// may put its share, what it overdraws is taken off its next share, and a log with little
// to say never waits behind one with much. Lazy records get what is left.
func (w *WAL) fill() error {
	w.round = round{fragmentLimit: 1}
	if !w.pool.hasReady() {
		w.round.reserve = w.o.ReserveBytes
	}
	quantum := int32(max(w.o.MaxBatchBytes/max(w.run.len(), 1), minQuantum))
	for stuck := 0; stuck < w.run.len() && !w.full() && w.round.err == nil; {
		l := w.run.pop()
		switch w.visit(l, quantum) {
		case drained:
			l.inRun, l.deficit = false, 0
			stuck = 0
			continue
		case noRoom:
			w.wantRoll = true
			stuck++
		case blocked:
			stuck++
		default:
			stuck = 0
		}
		w.run.push(l)
		if stuck == w.run.len() && w.round.limited && !w.round.others {
			// Nobody waits but for fragments: more of them delay nobody else.
			w.round.fragmentLimit++
			w.round.limited, w.round.next = false, nil
			stuck = 0
		}
	}
	for n := w.run.len(); n > 0 && w.round.next != nil && *w.run.first() != w.round.next; n-- {
		w.run.push(w.run.pop())
	}
	w.fillLazy()
	w.count.takenEntries.Add(uint64(w.round.entries))
	w.count.takenBytes.Add(uint64(w.round.bytes))
	return w.round.err
}

func (w *WAL) fillLazy() {
	for n := w.lazyRun.len(); n > 0 && !w.full() && w.round.err == nil; n-- {
		l := w.lazyRun.pop()
		v := finished
		for v == finished {
			if !l.pop() {
				v = drained
				break
			}
			if v = w.put(l); v == finished {
				l.finish()
			}
		}
		if l.inLazy = v != drained; l.inLazy {
			w.lazyRun.push(l)
		}
	}
}

func (w *WAL) full() bool {
	most := w.o.MaxBatchBytes
	if w.round.fragments > 0 && !w.round.others {
		most = w.o.mostFragments()
	}
	return w.enc.b.Used() >= most || w.enc.entries >= w.o.MaxBatchEntries
}

// visit lets l put its share.
func (w *WAL) visit(l *Log, quantum int32) verdict {
	l.deficit = min(l.deficit+quantum, 2*quantum)
	for l.deficit > 0 {
		if !l.pop() {
			return drained
		}
		used := w.enc.b.Used()
		v := w.put(l)
		l.deficit -= int32(w.enc.b.Used() - used)
		if v != finished {
			return v
		}
		l.finish()
		if l.ops.len() == 0 {
			return drained
		}
		if w.full() {
			return spent
		}
	}
	return spent
}

// put puts as much of l's current operation as share, batch and file allow.
func (w *WAL) put(l *Log) verdict {
	if l.cur.src == nil {
		return w.putControl(l)
	}
	return w.putEntries(l)
}

// limit is the longest the frame may become, in bytes, when reserve is to be left.
func (w *WAL) limit(reserve int64) int {
	n := (w.cur.room() - w.chainNeed - reserve) &^ (frame.BlockSize - 1)
	return int(min(max(n, 0), int64(len(w.buf))))
}

func (w *WAL) putControl(l *Log) verdict {
	o := &l.cur
	var reserve int64
	if o.lazy {
		reserve = w.round.reserve
	}
	if w.enc.end(w.enc.overhead(l)+frame.RecordHeaderSize+len(o.payload)) > w.limit(reserve) {
		return noRoom
	}
	w.enc.control(w.enc.touch(l), o)
	w.items = append(w.items, item{log: l, op: *o})
	if !o.lazy {
		w.round.entries++
		w.round.others = true
	}
	return finished
}

func (w *WAL) putEntries(l *Log) verdict {
	o := &l.cur
	limit := w.limit(w.round.reserve)
	overhead := w.enc.overhead(l)
	stop := min(w.enc.b.Used()+int(max(l.deficit, 1)), w.o.MaxBatchBytes)
	last := min(o.last, o.first+raftlog.Index(w.o.MaxBatchEntries-w.enc.entries-1))
	var t *touch
	v, next, prev, payload := spent, o.first, o.prev, 0
	for next <= last {
		x, crc, ok := o.get(next)
		if !ok {
			w.round.err = &SourceError{ID: l.id, Index: next}
			break
		}
		if len(x.Data) > FragmentSize {
			if next == o.first {
				return w.putFragment(l, &x, crc)
			}
			v = finished // the operation goes on with a fragment
			break
		}
		if w.enc.end(overhead+frame.RecordHeaderSize+len(x.Data)) > limit {
			v = noRoom
			break
		}
		if t == nil {
			t, overhead = w.enc.touch(l), 0
		}
		w.enc.entry(t, prev, &x, crc)
		payload += len(x.Data)
		prev = next
		next++
		if w.enc.b.Used() >= stop {
			break
		}
	}
	if next == o.first {
		return v
	}
	w.round.others = true
	w.took(l, t, next-1, payload)
	switch {
	case next > o.last:
		return finished
	case v == finished:
		return w.put(l)
	}
	return v
}

// took notes that l's current operation is in the batch up to last.
func (w *WAL) took(l *Log, t *touch, last raftlog.Index, payload int) {
	o := &l.cur
	n := int(last-o.first) + 1
	w.items = append(w.items, item{log: l, op: op{src: o.src, prev: o.prev, first: o.first, last: last, term: t.term}})
	w.enc.complete(t, o.src, last, n, payload)
	w.round.entries += n
	w.round.bytes += payload
	o.prev, o.first = last, last+1
}
