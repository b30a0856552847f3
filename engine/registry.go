package engine

import (
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// registry finds logs by UID. It is sharded so that look-ups from many goroutines do not
// meet on one lock.
type registry struct {
	shards [64]shard
}

type shard struct {
	mu     sync.RWMutex
	logs   map[UID]*Log
	newest raftlog.LogID // the highest id ever stored
	_      [24]byte      // keeps two locks out of one cache line
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
	return s.addLocked(l)
}

// addNew is add for a log that is being created. It reports late, and stores nothing, when
// another one with a higher id was created meanwhile: of two lives of a UID the later one must
// have the higher id.
func (r *registry) addNew(l *Log) (added, late bool) {
	s := r.shard(l.uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.id < s.newest {
		return false, true
	}
	return s.addLocked(l), false
}

func (s *shard) addLocked(l *Log) bool {
	if _, taken := s.logs[l.uid]; taken {
		return false
	}
	s.newest = max(s.newest, l.id)
	s.logs[l.uid] = l
	return true
}

// replace stores the log in the place of another of its name.
func (r *registry) replace(l *Log) {
	s := r.shard(l.uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs[l.uid] = l
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

// count is the number of logs, of those that are there all the while.
func (r *registry) count() (n int) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.RLock()
		n += len(s.logs)
		s.mu.RUnlock()
	}
	return n
}

// snapshot returns all logs, in no order.
func (r *registry) snapshot() []*Log {
	all := make([]*Log, 0, r.count())
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
