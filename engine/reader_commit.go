package engine

import (
	"fmt"
	"slices"
	"time"
)

// SetCommitted publishes how far the log is committed, which only its owner knows: external
// readers see nothing above. It never falls, a lower index does nothing; entries up to it can not
// be truncated any more. It may be above LastWritten, since a quorum can commit an entry that this
// log has not synced yet, but not above Last. It is not durable, as Raft has it: after an open it is
// 0 until the owner says. It does not wait, and costs an atomic store where nobody reads.
// Errors: ErrOutOfRange, ErrDeleted, ErrQuarantined, ErrClosed.
func (l *Log) SetCommitted(i Index) error {
	if i <= l.Committed() {
		return nil
	}
	if err := l.commit(i); err != nil {
		return err
	}
	if x := l.external.Load(); x != nil {
		x.commit(i, l.e.now())
	}
	return nil
}

// commit raises the commit index; mu keeps truncations away meanwhile.
func (l *Log) commit(i Index) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.broken.Load() != nil:
		return l.broken.Load().err
	case l.e.state.Load() != stateOpen:
		return ErrClosed
	case i > l.last.Index:
		return fmt.Errorf("%w: commit index %d, log %s ends at %v", ErrOutOfRange, i, l.uid, l.last)
	case i > l.Committed():
		l.committed.Store(uint64(i))
	}
	return nil
}

// Committed returns the index that SetCommitted was given last, 0 before the first.
func (l *Log) Committed() Index { return Index(l.committed.Load()) }

// keepsCommitted refuses a truncation to an entry below the commit index. mu is held.
func (l *Log) keepsCommitted(to EntryID) error {
	if c := l.Committed(); to.Index < c {
		return fmt.Errorf("%w: log %s can not be cut behind %v, it is committed up to %d", ErrCommitted, l.uid, to, c)
	}
	for _, s := range l.durable.seldom().claims { // what is acknowledged was committed, also before an open
		if to.Index < s.Acked.Index {
			return fmt.Errorf("%w: log %s can not be cut behind %v, slot %s acknowledged %v", ErrCommitted, l.uid, to, s.Name, s.Acked)
		}
	}
	return nil
}

// knownCommittedLocked is the last index that the owner or the reader of a slot gave as committed, also before an open.
func (l *Log) knownCommittedLocked() Index {
	i := l.Committed()
	for _, s := range l.durable.seldom().claims {
		i = max(i, s.Acked.Index)
	}
	return i
}

// commit notes when the index was committed and wakes who waits for it.
func (x *external) commit(i Index, now int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.mu.readers) > 0 {
		x.mu.marks.add(i, now)
	}
	x.wakeLocked(func(s *sleeper) bool { return s.wants&happenedCommit != 0 })
}

// commitMarks remember when which index was committed, in bounded memory: neighbours are merged
// under the time of the earlier one, so that an age comes out too high rather than too low, and
// by no more than about its double.
type commitMarks []commitMark

type commitMark struct {
	upTo Index
	at   int64 // on the engine's clock, in nanoseconds
}

const (
	maxCommitMarks = 32
	commitMarkStep = int64(time.Millisecond) // commits that are closer to each other share a mark
)

func (m *commitMarks) add(i Index, now int64) {
	marks := *m
	n := len(marks)
	switch {
	case n > 0 && i <= marks[n-1].upTo: // a later commit was faster
		return
	case n > 0 && now-marks[n-1].at < commitMarkStep:
		marks[n-1].upTo = i
		return
	case n == maxCommitMarks:
		for k := range n / 2 {
			marks[k] = commitMark{upTo: marks[2*k+1].upTo, at: marks[2*k].at}
		}
		marks = marks[:n/2]
	}
	*m = append(marks, commitMark{upTo: i, at: now})
}

// since returns when entry i was committed; ok is false when it was not yet.
func (m commitMarks) since(i Index) (at int64, ok bool) {
	k, _ := slices.BinarySearchFunc(m, i, func(mark commitMark, i Index) int {
		if mark.upTo < i {
			return -1
		}
		return 1
	})
	if k == len(m) {
		return 0, false
	}
	return m[k].at, true
}
