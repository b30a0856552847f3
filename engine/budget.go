package engine

import (
	"sync"
	"sync/atomic"
)

// budget admits appends by bytes: memory of all tables, memory of one log, and sealed WAL files
// that wait for their flush. Hard state, release, truncation and deletion do not ask it.
type budget struct {
	memory  int64 // limits, bytes
	perLog  int64
	backlog int64

	used   atomic.Int64 // bytes held by tables
	sealed atomic.Int64 // bytes of sealed WAL files not yet pooled
	queued atomic.Int64 // logs in waiting

	mu      sync.Mutex
	waiting []*Log // met ErrBusy since they were last told
}

// admits reports whether a log that holds so much may take bytes more.
func (b *budget) admits(held int64, bytes int) bool {
	return held+int64(bytes) <= b.perLog &&
		b.used.Load()+int64(bytes) <= b.memory && b.sealed.Load() <= b.backlog
}

func (b *budget) add(bytes int64) { b.used.Add(bytes) }

// refuse remembers that the log wants to hear of room.
func (b *budget) refuse(l *Log) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, l)
	b.queued.Store(int64(len(b.waiting)))
}

// relieve tells the waiting logs when an eighth of the budget is free again. Called without locks.
func (b *budget) relieve() {
	if b.queued.Load() == 0 || b.used.Load() > b.memory-b.memory/8 || b.sealed.Load() > b.backlog {
		return
	}
	for _, l := range b.takeReady() {
		l.mu.Lock()
		l.refused = false
		l.mu.Unlock()
		if h := l.handlerOf(); h != nil && l.broken.Load() == nil {
			h.Ready(l)
		}
	}
}

// takeReady removes from the waiting logs those whose own memory has fallen too.
func (b *budget) takeReady() (ready []*Log) {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := b.waiting[:0]
	for _, l := range b.waiting {
		if l.held.Load() > b.perLog-b.perLog/8 {
			kept = append(kept, l)
		} else {
			ready = append(ready, l)
		}
	}
	clear(b.waiting[len(kept):])
	b.waiting = kept
	b.queued.Store(int64(len(kept)))
	return ready
}
