package engine

import (
	"sync"

	"github.com/cespare/xxhash/v2"
)

// registry finds logs by UID. It is sharded so that look-ups from many goroutines do not
// meet on one lock.
type registry struct {
	shards [64]shard
}

type shard struct {
	mu   sync.RWMutex
	logs map[UID]*Log
	_    [32]byte // keeps two locks out of one cache line
}

func newRegistry() *registry {
	r := &registry{}
	for i := range r.shards {
		r.shards[i].logs = make(map[UID]*Log)
	}
	return r
}

func (r *registry) shard(uid UID) *shard {
	return &r.shards[xxhash.Sum64String(string(uid))%uint64(len(r.shards))]
}

func (r *registry) get(uid UID) *Log {
	s := r.shard(uid)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.logs[uid]
}

// add stores the log unless its UID is taken, and reports whether it did.
func (r *registry) add(l *Log) bool {
	s := r.shard(l.uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.logs[l.uid]; taken {
		return false
	}
	s.logs[l.uid] = l
	return true
}

// remove forgets the log, if the UID still names this one.
func (r *registry) remove(l *Log) {
	s := r.shard(l.uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logs[l.uid] == l {
		delete(s.logs, l.uid)
	}
}

// snapshot returns all logs, in no order.
func (r *registry) snapshot() []*Log {
	var all []*Log
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.RLock()
		for _, l := range s.logs {
			all = append(all, l)
		}
		s.mu.RUnlock()
	}
	return all
}
