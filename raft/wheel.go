package raft

import (
	"container/heap"
	"sync"
	"time"

	"github.com/rawl-db/rawl/internal/sched"
)

// wheel is the one source of timers of a node: a thing with deadlines registers the earliest of them and is
// called when it is due.
type wheel struct {
	world *sched.World

	mu   sync.Mutex
	due  dueHeap
	wake chan struct{}
}

// alarm is one registration. A zero alarm is none.
type alarm struct {
	at   int64
	slot int // in the heap, from 1; 0 is none
	ring func()
}

type dueHeap []*alarm

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].slot, h[j].slot = i+1, j+1
}

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) {
	a := x.(*alarm)
	*h = append(*h, a)
	a.slot = len(*h)
}

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	n := len(*h) - 1
	a := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	a.slot = 0
	return a
}

func newWheel(w *sched.World) *wheel { return &wheel{world: w, wake: make(chan struct{}, 1)} }

// set registers a for that time, in the place of an earlier registration.
func (w *wheel) set(a *alarm, at int64) {
	w.mu.Lock()
	a.at = at
	if a.slot == 0 {
		heap.Push(&w.due, a)
	} else {
		heap.Fix(&w.due, a.slot-1)
	}
	first := w.due[0] == a
	w.mu.Unlock()
	if first {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// waiting is how many alarms are set.
func (w *wheel) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.due)
}

// stop ends a registration.
func (w *wheel) stop(a *alarm) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.slot > 0 {
		heap.Remove(&w.due, a.slot-1)
	}
}

// step rings what is due and returns when the next alarm is.
func (w *wheel) step() (next int64) {
	for {
		w.mu.Lock()
		if len(w.due) == 0 {
			w.mu.Unlock()
			return sched.Never
		}
		a := w.due[0]
		if at := a.at; at > w.world.Now() {
			w.mu.Unlock()
			return at
		}
		heap.Pop(&w.due)
		w.mu.Unlock()
		a.ring()
	}
}

// run rings what is due, until stop is closed.
func (w *wheel) run(stop <-chan struct{}) {
	sleeper := w.world.Sleeper()
	defer sleeper.Close()
	for sleeper.Until(w.step(), w.wake, stop) != sched.Stopped {
	}
}

// after runs f once, later.
func (w *wheel) after(d time.Duration, f func()) { w.set(&alarm{ring: f}, w.world.Now()+int64(d)) }
