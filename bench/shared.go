package main

import (
	"sync"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// sharedStream is a log with several producers, each of which waits for its own entries.
type sharedStream struct {
	stream stream

	mu       sync.Mutex
	waiting  []sharedWaiter // by index, lowest first
	acked    engine.Index
	released ownedLog
}

type sharedWaiter struct {
	last engine.Index
	p    *producer
}

// written is called by the committer.
func (s *sharedStream) written(last engine.Index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = last
	n := 0
	for n < len(s.waiting) && s.waiting[n].last <= last {
		s.waiting[n].p.signal()
		n++
	}
	s.waiting = append(s.waiting[:0], s.waiting[n:]...)
}

func (p *producer) runShared() error {
	l, s := p.load, p.shared
	due := time.Now()
	for l.running.Load() {
		due = p.await(due)
		measuring := l.measuring.Load()
		began := time.Now()
		if err := s.append(p); err != nil {
			return err
		}
		<-p.wake
		if measuring {
			p.recorder.record(time.Since(began))
		}
		p.count.Store(p.count.Load() + uint64(len(p.entries)))
	}
	return nil
}

// append queues the producer's next entries; its wake receives one value when they are durable.
func (s *sharedStream) append(p *producer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.released.stream == nil {
		s.released = ownedLog{stream: s.stream, released: s.stream.last()}
	}
	if s.acked > s.released.released {
		if err := p.release(&s.released, s.acked); err != nil {
			return err
		}
	}
	entries := p.next(s.stream.last())
	s.waiting = append(s.waiting, sharedWaiter{last: entries[len(entries)-1].Index, p: p})
	if err := s.stream.append(entries); err != nil {
		s.waiting = s.waiting[:len(s.waiting)-1]
		return err
	}
	return nil
}
