package main

import (
	"sync/atomic"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// producer appends entries of one size until its load stops. Its loops allocate nothing.
type producer struct {
	load     *load
	recorder *recorder
	payload  []byte
	entries  []engine.Entry // of the next append
	owned    []*ownedLog
	shared   *sharedStream // instead of owned
	pause    time.Duration // between the starts of two appends, 0 for none

	// Of producers that keep entries in flight.
	stamps []int64 // when entry i was appended, at i modulo the length
	acked  atomic.Uint64
	wake   chan struct{} // capacity 1

	_     [64]byte // count has a cache line of its own
	count atomic.Uint64
	_     [56]byte
}

// ownedLog is a log with one producer.
type ownedLog struct {
	stream   stream
	commit   *engine.Log // told what is committed; nil when nobody wants to know
	released engine.Index
	rolls    uint64 // seen at the last release
}

func (p *producer) own(i int) error {
	var written func(engine.Index)
	if p.stamps != nil {
		written = p.written
	}
	st, err := p.load.store.stream(i, written)
	if err != nil {
		return err
	}
	o := &ownedLog{stream: st, released: st.last()}
	if s, ok := st.(*engineStream); ok && p.load.row.Commit {
		o.commit = s.log
	}
	p.owned = append(p.owned, o)
	return nil
}

func (p *producer) run() {
	var err error
	switch {
	case p.shared != nil:
		err = p.runShared()
	case p.stamps != nil:
		err = p.runOutstanding(p.owned[0])
	default:
		err = p.runWaiting()
	}
	if err != nil {
		p.load.fail(err)
	}
}

// next numbers the entries of the next append.
func (p *producer) next(last engine.Index) []engine.Entry {
	for i := range p.entries {
		p.entries[i] = engine.Entry{Index: last + 1 + engine.Index(i), Term: benchTerm, Data: p.payload}
	}
	return p.entries
}

// runWaiting waits for every append before the next.
func (p *producer) runWaiting() error {
	l := p.load
	due := time.Now()
	for i := 0; l.running.Load(); i++ {
		o := p.owned[i%len(p.owned)]
		due = p.await(due)
		measuring := l.measuring.Load()
		began := time.Now()
		if err := o.stream.appendSync(p.next(o.stream.last())); err != nil {
			return err
		}
		if measuring {
			p.recorder.record(time.Since(began))
		}
		p.count.Store(p.count.Load() + uint64(len(p.entries)))
		if err := p.release(o, o.stream.last()); err != nil {
			return err
		}
	}
	return nil
}

// await sleeps until due where the rate is limited, and returns when the next append is due.
func (p *producer) await(due time.Time) time.Time {
	if p.pause == 0 {
		return due
	}
	if d := time.Until(due); d > 0 {
		time.Sleep(d)
	}
	return due.Add(p.pause)
}

// release commits what was acknowledged, and gives it up every so many entries and whenever the store rolled.
func (p *producer) release(o *ownedLog, acked engine.Index) error {
	l := p.load
	if o.commit != nil {
		if err := o.commit.SetCommitted(acked); err != nil {
			return err
		}
	}
	if l.row.Flush || acked == o.released {
		return nil
	}
	rolls := l.store.rolls()
	if acked-o.released < l.interval && rolls == o.rolls {
		return nil
	}
	o.released, o.rolls = acked, rolls
	return o.stream.release(acked)
}

// stampEvery is how many appends share one look at the clock, which would otherwise be a good
// part of the cost of an append. Later ones seem to have waited a little longer than they did.
const stampEvery = 8

// runOutstanding keeps entries in flight, and drains them in the end. Where the rate is limited an
// acknowledgement is noticed up to a pause late.
func (p *producer) runOutstanding(o *ownedLog) error {
	l, st := p.load, o.stream
	mask := uint64(len(p.stamps) - 1)
	n, window := uint64(len(p.entries)), uint64(l.row.Outstanding)
	sent := uint64(st.last())
	seen := sent
	p.acked.Store(seen)
	now, due := l.now(), time.Now()
	for calls := 0; ; {
		for l.running.Load() && sent-seen+n <= window && (p.pause == 0 || p.acked.Load() == seen) {
			due = p.await(due)
			if calls++; calls%stampEvery == 0 || n > 1 || p.pause > 0 {
				now = l.now()
			}
			for i := range n {
				p.stamps[(sent+1+i)&mask] = now
			}
			if err := st.append(p.next(engine.Index(sent))); err != nil {
				return err
			}
			sent += n
		}
		if acked := p.acked.Load(); acked > seen {
			now = p.took(seen+1, acked, mask)
			seen = acked
			if err := p.release(o, engine.Index(seen)); err != nil {
				return err
			}
			continue
		}
		if !l.running.Load() && seen == sent {
			return nil
		}
		if l.failed.Load() != nil {
			return nil
		}
		<-p.wake
	}
}

// took records the acknowledgement of entries first to last and returns the time.
func (p *producer) took(first, last, mask uint64) int64 {
	now := p.load.now()
	p.count.Store(p.count.Load() + last - first + 1)
	if !p.load.measuring.Load() {
		return now
	}
	p.recorder.mu.Lock()
	defer p.recorder.mu.Unlock()
	for i := first; i <= last; {
		stamp, n := p.stamps[i&mask], uint64(1)
		for i+n <= last && p.stamps[(i+n)&mask] == stamp {
			n++
		}
		p.recorder.recordLocked(time.Duration(now-stamp), int64(n))
		i += n
	}
	return now
}

// written is called by the committer.
func (p *producer) written(last engine.Index) {
	p.acked.Store(uint64(last))
	p.signal()
}

func (p *producer) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
