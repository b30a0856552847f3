package engine

import (
	"slices"
	"sync"
	"sync/atomic"
)

// external is what a log keeps for those who read it from outside. It is made when the first
// reader or watcher comes; what happens in the log costs one atomic load before.
type external struct {
	// parked counts sleepers, parkedForWrites those that a Written wakes. Both are changed under
	// mu and loaded without it by who has something to tell.
	parked, parkedForWrites atomic.Int32

	mu struct { // ordered after Log.mu; a leaf, never held across I/O or a call out
		sync.Mutex
		sleepers []*sleeper
		readers  []*readerState
		marks    commitMarks // kept while there are readers
	}
}

// happening is what wakes a sleeper; a set of them, what it wants to be woken for.
type happening uint8

const (
	happenedCommit happening = 1 << iota
	happenedWritten
	happenedCut
	happenedRelease
	happenedSegments
	happenedSnapshot
	happenedEnd // deletion, close, failure
	happenedAny = ^happening(0)
)

// sleeper is one goroutine that may wait for a log. No wake-up is lost because a sleeper counts
// itself first and looks at the log's state then, while who changes the state does that first and
// looks at the count then.
type sleeper struct {
	wants happening
	// token receives one value for each time the sleeper is taken off the list by another.
	token chan struct{} // capacity 1
}

// outside returns the log's external part, and makes it if there is none.
func (l *Log) outside() *external {
	x := l.external.Load()
	if x == nil {
		l.external.CompareAndSwap(nil, &external{})
		x = l.external.Load()
	}
	return x
}

// park puts the sleeper on the list. The caller looks at the state once more before it waits.
func (x *external) park(s *sleeper) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.mu.sleepers = append(x.mu.sleepers, s)
	x.countLocked(s, 1)
}

func (x *external) countLocked(s *sleeper, n int32) {
	x.parked.Add(n)
	if s.wants&happenedWritten != 0 {
		x.parkedForWrites.Add(n)
	}
}

// unpark takes back a park that the sleeper itself gives up. No token is left afterwards.
func (x *external) unpark(s *sleeper) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if i := slices.Index(x.mu.sleepers, s); i >= 0 {
		x.mu.sleepers = slices.Delete(x.mu.sleepers, i, i+1)
		x.countLocked(s, -1)
		x.shrinkLocked()
		return
	}
	<-s.token // sent under mu by who took it off
}

// shrinkLocked drops the list's memory when nobody is on it: the log may be idle.
func (x *external) shrinkLocked() {
	if len(x.mu.sleepers) == 0 && cap(x.mu.sleepers) > 1 {
		x.mu.sleepers = nil
	}
}

// wake wakes who sleeps and wants to know of what happened. The state was changed before.
func (x *external) wake(what happening) {
	if x.parked.Load() == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.wakeLocked(func(s *sleeper) bool { return s.wants&what != 0 })
}

func (x *external) wakeLocked(which func(*sleeper) bool) {
	if len(x.mu.sleepers) == 0 {
		return
	}
	x.mu.sleepers = slices.DeleteFunc(x.mu.sleepers, func(s *sleeper) bool {
		if !which(s) {
			return false
		}
		x.countLocked(s, -1)
		s.token <- struct{}{} // never blocks: one token for each time on the list
		return true
	})
	x.shrinkLocked()
}

// rouse wakes one sleeper, whatever it wants, if it sleeps.
func (x *external) rouse(s *sleeper) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.wakeLocked(func(o *sleeper) bool { return o == s })
}

// happened tells those outside what happened. Any goroutine, with or without Log.mu.
func (l *Log) happened(what happening) {
	if x := l.external.Load(); x != nil {
		x.wake(what)
	}
}

// wroteOutside is happened for Written, which the committer calls for each log of each batch.
func (l *Log) wroteOutside() {
	if x := l.external.Load(); x != nil && x.parkedForWrites.Load() != 0 {
		x.wake(happenedWritten)
	}
}

// cutOutside notes a truncation to id for readers. It must come before the view that shows it: a
// reader that sees the new view then sees the note as well. mu is held.
func (l *Log) cutOutside(id EntryID) {
	x := l.external.Load()
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.mu.readers {
		if id.Index < Index(r.cut.Load()) {
			r.cutTerm = id.Term
			r.cut.Store(uint64(id.Index))
		}
	}
}

// happenedEverywhere wakes everybody who waits for a log of this engine.
func (e *Engine) happenedEverywhere(what happening) {
	for _, l := range e.logs.snapshot() {
		l.happened(what)
	}
}
