package engine

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// readerState is the part of a reader that others refer to: the engine's list, the log's, and
// who wakes it. It does not refer to its Reader, so that one which is dropped can be found.
type readerState struct {
	log         *Log
	name        string
	uncommitted bool
	opened      int64 // on the engine's clock
	sleeper

	// position is the index that the consumer had last when the running step began.
	position atomic.Uint64
	holds    atomic.Int64
	busy     atomic.Bool // an iteration is running
	closed   atomic.Bool
	slot     atomic.Pointer[slotState] // nil unless the reader was opened at a slot
	// cut is the lowest index to which the log was truncated since the reader looked, noCut for
	// none, and cutTerm its term. Set under Log.mu, and loaded without.
	cut     atomic.Uint64
	cutTerm Term
}

// noCut is above every index.
const noCut = ^Index(0)

func newReaderState(l *Log, o *ReaderOptions) *readerState {
	s := &readerState{log: l, name: o.Name, uncommitted: o.Uncommitted, opened: l.e.now()}
	s.token = make(chan struct{}, 1)
	s.wants = happenedCommit | happenedRelease | happenedEnd
	if o.Uncommitted {
		s.wants |= happenedWritten | happenedCut
	}
	s.cut.Store(uint64(noCut))
	return s
}

// enlist makes the reader known. mu is held so that the reader knows of every truncation
// that the views it will load show.
func (s *readerState) enlist() {
	l := s.log
	l.mu.Lock()
	x := l.outside()
	x.mu.Lock()
	if x.mu.readers = append(x.mu.readers, s); len(x.mu.readers) == 1 {
		x.mu.marks.add(l.Committed(), s.opened)
	}
	x.mu.Unlock()
	l.mu.Unlock()
	l.e.readers.add(s)
}

// leave undoes enlist, once, and wakes an iteration that waits.
func (s *readerState) leave() (left bool) {
	if !s.closed.CompareAndSwap(false, true) {
		return false
	}
	x := s.log.outside()
	x.mu.Lock()
	x.mu.readers = slices.DeleteFunc(x.mu.readers, func(o *readerState) bool { return o == s })
	if len(x.mu.readers) == 0 {
		x.mu.readers, x.mu.marks = nil, nil
	}
	x.wakeLocked(func(o *sleeper) bool { return o == &s.sleeper })
	x.mu.Unlock()
	s.log.e.readers.remove(s)
	return true
}

// dropped is leave for a reader that the garbage collector found.
func (s *readerState) dropped() {
	if s.leave() {
		s.log.e.readers.dropped.Add(1)
	}
}

// readerList holds the open readers of an engine.
type readerList struct {
	mu      sync.Mutex
	open    map[*readerState]struct{}
	dropped atomic.Uint64
}

func (r *readerList) add(s *readerState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = make(map[*readerState]struct{})
	}
	r.open[s] = struct{}{}
}

func (r *readerList) remove(s *readerState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, s)
}

func (r *readerList) count() (open int, dropped uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open), r.dropped.Load()
}

func (r *readerList) snapshot() []*readerState {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*readerState, 0, len(r.open))
	for s := range r.open {
		all = append(all, s)
	}
	return all
}

// ReaderInfo describes an open external reader.
type ReaderInfo struct {
	UID  UID
	Name string
	// Slot is the name of the slot that the reader holds, "" for none.
	Slot        string
	Uncommitted bool
	// Age is for how long the reader has been open.
	Age time.Duration
	// Iterating says that an iteration runs, or waits.
	Iterating bool
	// Position is the last index delivered or passed over, as of the end of the last step: a
	// consumer that is busy with the entries of a step may be up to MaxBatchEntries further.
	Position Index
	// Entries and Bytes are how much committed log is behind Position. Bytes is an estimate: of
	// every memtable and segment the share that its entries would have if all were equally long.
	Entries uint64
	Bytes   int64
	// Behind is how long ago the first committed entry behind Position was committed, as the
	// owner said with SetCommitted, 0 when there is none. It is rounded up, by the engine's
	// memory for such times, to at most about its double, and counts from when the log's first
	// reader was opened for what was committed before.
	Behind time.Duration
	// PinnedBytes is the memory that the reader holds itself or keeps in memtables, as of the running
	// step. It holds no file between steps and keeps nothing from being released, but for its slot.
	PinnedBytes int64
	// SlotBytes is what its slot keeps; see SlotInfo.HeldBytes.
	SlotBytes int64
}

// Readers lists the open external readers, by UID and then by age, the oldest first.
func (e *Engine) Readers() []ReaderInfo {
	all := e.readers.snapshot()
	slices.SortFunc(all, func(a, b *readerState) int {
		return cmp.Or(cmp.Compare(a.log.uid, b.log.uid), cmp.Compare(a.opened, b.opened), cmp.Compare(a.name, b.name))
	})
	infos := make([]ReaderInfo, len(all))
	for i, s := range all {
		infos[i] = s.info()
	}
	return infos
}

func (s *readerState) info() ReaderInfo {
	l, now := s.log, s.log.e.now()
	i := ReaderInfo{UID: l.uid, Name: s.name, Uncommitted: s.uncommitted, Age: time.Duration(now - s.opened),
		Iterating: s.busy.Load(), Position: Index(s.position.Load()), PinnedBytes: s.holds.Load()}
	last := l.Committed()
	if state := s.slot.Load(); state != nil {
		i.Slot, i.SlotBytes = state.name, l.slotBytes(state)
		last = max(last, l.view.Load().released.Index)
	}
	missing := Range{First: i.Position + 1, Last: last}
	if missing.Empty() {
		return i
	}
	i.Entries = missing.Len()
	i.Bytes = l.view.Load().weigh(missing)
	x := l.outside()
	x.mu.Lock()
	at, ok := x.mu.marks.since(missing.First)
	x.mu.Unlock()
	if ok {
		i.Behind = time.Duration(now - at)
	}
	return i
}

// weigh estimates the bytes that the entries of a range take.
func (v *view) weigh(rng Range) (bytes int64) {
	share := func(of Range, size int64) {
		if n := of.Intersect(rng).Len(); n > 0 {
			bytes += int64(float64(size) * float64(n) / float64(of.Len()))
		}
	}
	limit := ^Index(0)
	for _, k := range v.chain {
		held := k.table.Range()
		bytesOf := k.table.Bytes()
		if cut := held.Intersect(Range{First: k.start, Last: limit}); !cut.Empty() {
			share(cut, int64(float64(bytesOf)*float64(cut.Len())/float64(held.Len())))
		}
		limit = k.start - 1
	}
	for _, s := range v.segments {
		share(s.Range, s.Bytes)
	}
	return bytes
}
