package ring

import (
	"github.com/rawl-db/rawl/internal/vfs"
)

// none is the end of a list of slots, and the neighbour of a slot without one.
const none int32 = -1

// state says where a slot's operation is.
type state uint8

const (
	free   state = iota // in the list free
	ready               // in the list ready: to be pushed
	held                // waits for the operation before it
	flying              // pushed, its completion not seen
	landed              // its completion is being looked at
	done                // in the list done: to be reaped
)

// slot is the place of one operation from Submit to Reap. It keeps the operation, and by
// it buffer and file, reachable while the kernel knows their addresses.
type slot struct {
	op *vfs.Op
	// gen is drawn anew for each flight: a completion is for this flight or for none.
	gen   uint32
	state state
	// instant says that the operation never reaches the kernel: op.Err is its outcome.
	instant bool
	// doomed says that the operation before failed while this one was flying.
	doomed bool
	// tries counts flights that ended in a passing condition.
	tries uint8
	fd    int32
	place int32 // among the registered files, or none
	next  int32 // in the list that state names
	// before and after are the neighbours in a chain of links, while both are unfinished.
	before, after int32
	// moved counts the bytes transferred. The flight began at from: the same position, but
	// rounded down to the block on direct files.
	moved, from int
}

// list is a first-in first-out list of slots.
type list struct{ head, tail int32 }

func (l *list) push(slots []slot, i int32) {
	slots[i].next = none
	if l.head == none {
		l.head = i
	} else {
		slots[l.tail].next = i
	}
	l.tail = i
}

func (l *list) pop(slots []slot) int32 {
	i := l.head
	if i != none {
		l.head = slots[i].next
	}
	return i
}

func (l *list) empty() bool { return l.head == none }

// stamp makes the user data of a slot's next flight. Index and generation, never a
// pointer: what the kernel returns is checked.
func (s *slot) stamp(i int32) uint64 {
	s.gen++
	return uint64(s.gen)<<32 | uint64(uint32(i))
}

// discard is the user data of entries whose result nobody waits for.
const discard = 1<<64 - 1

// linkState says what the next submitted operation is to do about the Link of the one
// before it.
type linkState uint8

const (
	unlinked linkState = iota
	linkOpen           // wait for the slot queue.open
	linkMet            // it has succeeded
	linkBroken
)
