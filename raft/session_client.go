package raft

import "fmt"

// SessionNumbers is a client's half of a session: it numbers the commands, and knows which answers are
// wanted still. It holds no commands and sends nothing. One goroutine at a time.
type SessionNumbers struct {
	id     SessionID
	window uint64
	lanes  [priorities]numberLane
}

// numberLane is the numbers of one priority.
type numberLane struct {
	low, next uint64          // in use are the numbers from low to below next
	settled   map[uint64]bool // those of them that are settled
}

// NewSessionNumbers begins to number the commands of a session that was just opened with this window, 1 to
// MaxSessionWindow. A session that a client goes on with after it forgot its numbers cannot be numbered:
// open another.
func NewSessionNumbers(id SessionID, window uint32) *SessionNumbers {
	return &SessionNumbers{id: id, window: uint64(window), lanes: [priorities]numberLane{{low: 1, next: 1}, {low: 1, next: 1}}}
}

// Next numbers a new command. Error: ErrBusy when the window is full; it opens when the lowest number is settled.
func (s *SessionNumbers) Next(p Priority) (SessionHeader, error) {
	if p >= priorities {
		return SessionHeader{}, malformed("priority %d", p)
	}
	l := &s.lanes[p]
	if l.next-l.low >= s.window {
		return SessionHeader{}, fmt.Errorf("%w: session %d has %d commands in use", ErrBusy, s.id, s.window)
	}
	l.next++
	return s.Again(p, l.next-1), nil
}

// Again is the header for sending a command once more. The number is one that Next gave and that is not settled.
func (s *SessionNumbers) Again(p Priority, sequence uint64) SessionHeader {
	return SessionHeader{ID: s.id, Sequence: sequence, LowestUnacked: s.lanes[p].low}
}

// Settle says that the answer to a number has come, or is wanted no longer. Of a number that was given up it
// is not known whether it is applied, until it lies below the lowest unsettled one and a later command is
// applied: then it never will be. In an ordered session a number that was given up and not applied holds up those
// behind it until then.
func (s *SessionNumbers) Settle(p Priority, sequence uint64) {
	l := &s.lanes[p]
	if sequence < l.low || sequence >= l.next {
		return
	}
	if sequence > l.low {
		if l.settled == nil {
			l.settled = make(map[uint64]bool)
		}
		l.settled[sequence] = true
		return
	}
	for l.low++; l.settled[l.low]; l.low++ {
		delete(l.settled, l.low)
	}
}

// Pending returns the numbers that are not settled, ascending: what to send again, in this order, after a
// change of leaders. The caller owns the slice.
func (s *SessionNumbers) Pending(p Priority) []uint64 {
	l := &s.lanes[p]
	var pending []uint64
	for n := l.low; n < l.next; n++ {
		if !l.settled[n] {
			pending = append(pending, n)
		}
	}
	return pending
}

// Acked is for a KindSessionKeepAlive, by which a client that sends nothing has its replies forgotten.
func (s *SessionNumbers) Acked() [2]uint64 {
	return [2]uint64{s.lanes[Normal].low, s.lanes[Low].low}
}
