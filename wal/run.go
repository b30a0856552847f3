package wal

import (
	"time"

	"github.com/rawl-db/rawl/internal/sched"
)

// idleAfter is how long the queue has run dry when the idle frame is written.
const idleAfter = 50 * time.Millisecond

// How Run sleeps, in WAL.sleep.
const (
	awake  = iota
	dozing // wakes by itself for the idle frame
	asleep // wakes only when woken
)

// Run commits until stop is closed; it is the committer's goroutine. It sleeps while nothing
// is queued and has no timer running when all is covered by a watermark. Once stop is closed it
// refuses what is queued later, commits the rest, writes the watermark and returns; the
// pool must be driven until then. A WAL that is read only or has failed leaves the rest
// unwritten.
func (w *WAL) Run(stop <-chan struct{}) {
	sleeper := w.o.World.Sleeper()
	defer sleeper.Close()
	for !isClosed(stop) {
		if w.Step() || w.ZeroAhead() {
			continue
		}
		if !w.doze(sleeper, stop) {
			_ = w.Idle() // its failure is in Err and was reported by OnHealth
		}
	}
	w.refuse()
	for w.Step() || w.awaitFile() {
	}
	w.settle()
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// doze sleeps until there may be work. It returns false when the queue stayed dry for so
// long that the idle frame is due.
func (w *WAL) doze(sleeper *sched.Sleeper, stop <-chan struct{}) bool {
	defer w.sleep.Store(awake)
	due := sched.Never
	if w.idle() && w.Health() == OK {
		due = w.o.World.Now() + int64(idleAfter)
		w.sleep.Store(dozing)
	} else {
		w.sleep.Store(asleep)
	}
	// A log that was listed before the store above woke nobody; it is seen here. Step takes
	// it over, so that it is not seen twice.
	if active, lazy := w.listed(); !w.staged && !w.ended() && (active || lazy && due == sched.Never) {
		return true
	}
	return sleeper.Until(due, w.wake, stop) != sched.Due
}

// awaitFile waits, in the course of stopping, for the file that work waits for. It returns
// false when there is no such work or no hope.
func (w *WAL) awaitFile() bool {
	if !w.starving || w.Health() != OK || !w.staged && w.run.len() == 0 {
		return false
	}
	sched.Wait(w.o.World, w.wake, nil, nil)
	return true
}
