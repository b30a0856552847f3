package sim

import (
	"container/heap"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime/debug"

	"github.com/rawl-db/rawl/internal/sched"
)

// scheduler runs tasks one at a time, in an order that its seed draws, in a time of its own.
type scheduler struct {
	random *rand.Rand
	now    int64
	due    dueHeap  // what is to happen at a time
	places []*place // those that live, by age
	order  uint64   // of the newest entry of due
	steps  uint64
	hash   uint64 // of all that was drawn and noted

	running *task
	idle    []*worker
	failed  func(string)
	// network is what else may be due: its next time, and one step of it.
	network struct {
		next func() (int64, bool)
		step func() bool
	}
}

// place is one life of a node, or the world outside: its tasks stand still, and end, together. It implements
// sched.Simulator.
type place struct {
	s        *scheduler
	number   uint64
	tasks    []*task // all that have not ended
	parked   []*task // those that wait for a condition
	runnable []*task
	changed  bool // something happened that a condition may be about
	paused   bool
	dead     bool
	served   uint64 // tasks so far
}

// task is a coroutine of a place.
type task struct {
	home    *place
	number  uint64
	worker  *worker
	ready   func() bool
	wait    uint64 // numbers its waits
	place   int    // in home.tasks
	waiting int    // in home.parked, -1 for not
}

// dueEntry is a task to wake, if it still waits that time, or a call.
type dueEntry struct {
	at    int64
	order uint64
	task  *task
	wait  uint64
	call  func()
}

type dueHeap []dueEntry

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) { *h = append(*h, x.(dueEntry)) }

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// worker is a coroutine that runs one task after the other.
type worker struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	run   func() // nil between tasks
}

func newWorker() *worker {
	w := &worker{}
	w.next, w.stop = iter.Pull(func(yield func(struct{}) bool) {
		w.yield = yield
		for {
			w.run()
			w.run = nil
			if !yield(struct{}{}) {
				return
			}
		}
	})
	return w
}

// killed is what a task panics with that is never to go on.
type killed struct{}

func newScheduler(seed uint64) *scheduler {
	return &scheduler{random: rand.New(rand.NewPCG(seed, 1)), hash: 14695981039346656037}
}

// mix takes something into the hash of the history.
func (s *scheduler) mix(x uint64) { s.hash = (s.hash ^ x) * 1099511628211 }

func (s *scheduler) newPlace() *place {
	p := &place{s: s, number: uint64(len(s.places)) + 1}
	s.places = append(s.places, p)
	return p
}

// Now implements sched.Simulator.
func (p *place) Now() int64 { return p.s.now }

// Uint64 implements sched.Simulator.
func (p *place) Uint64() uint64 { return p.s.random.Uint64() }

// Go implements sched.Simulator.
func (p *place) Go(f func()) {
	if p.dead {
		return
	}
	p.served++
	t := &task{home: p, number: p.served, place: len(p.tasks), waiting: -1}
	p.tasks = append(p.tasks, t)
	p.runnable = append(p.runnable, t)
	s := p.s
	if n := len(s.idle); n > 0 {
		t.worker, s.idle = s.idle[n-1], s.idle[:n-1]
	} else {
		t.worker = newWorker()
	}
	t.worker.run = func() {
		defer func() {
			switch x := recover().(type) {
			case nil, killed:
			default:
				s.failed(fmt.Sprintf("panic: %v\n%s", x, debug.Stack()))
			}
		}()
		if p.dead {
			return
		}
		f()
	}
}

// Park implements sched.Simulator.
func (p *place) Park(at int64, ready func() bool) {
	s, t := p.s, p.s.running
	if p.dead {
		panic(killed{})
	}
	if t == nil || t.home != p {
		panic("sim: a wait that is none of a task of its place")
	}
	if at <= s.now {
		if ready != nil && ready() {
			return
		}
		at = s.now + 1 + s.random.Int64N(2000) // to yield takes time: who yields until it is later comes to an end
	} else if ready != nil && ready() {
		return
	}
	t.wait++
	t.ready = ready
	if ready != nil {
		t.waiting = len(p.parked)
		p.parked = append(p.parked, t)
	}
	if at != sched.Never {
		s.push(dueEntry{at: at, task: t, wait: t.wait})
	}
	if !t.worker.yield(struct{}{}) || p.dead {
		panic(killed{})
	}
}

func (s *scheduler) push(e dueEntry) {
	s.order++
	e.order = s.order
	heap.Push(&s.due, e)
}

// after calls f once, later, outside of all tasks.
func (s *scheduler) after(d int64, f func()) { s.push(dueEntry{at: s.now + d, call: f}) }

// wake makes a task that waits runnable.
func (t *task) wake() {
	p := t.home
	t.wait++
	t.ready = nil
	if i := t.waiting; i >= 0 {
		last := len(p.parked) - 1
		p.parked[i] = p.parked[last]
		p.parked[i].waiting = i
		p.parked = p.parked[:last]
		t.waiting = -1
	}
	p.runnable = append(p.runnable, t)
}

// step runs one task, or one step of the network, or goes on to the next moment at which there is one. It returns false
// when nothing will ever happen.
func (s *scheduler) step() bool {
	for {
		s.fire()
		choices := 0
		for _, p := range s.places {
			if p.paused {
				continue
			}
			p.look()
			choices += len(p.runnable)
		}
		at, ok := s.network.next()
		carries := ok && at <= s.now
		if choices == 0 && !carries {
			if len(s.due) > 0 && (!ok || s.due[0].at < at) {
				at, ok = s.due[0].at, true
			}
			if !ok {
				return false
			}
			s.now = at
			continue
		}
		s.steps++
		if carries && s.random.IntN(choices+2) >= choices {
			s.mix(uint64(s.now))
			s.network.step()
			return true
		}
		s.run(s.random.IntN(choices))
		return true
	}
}

// fire lets happen what is due.
func (s *scheduler) fire() {
	for len(s.due) > 0 && s.due[0].at <= s.now {
		e := heap.Pop(&s.due).(dueEntry)
		switch {
		case e.call != nil:
			e.call()
		case e.task.wait == e.wait && !e.task.home.dead:
			e.task.wake()
		}
	}
}

// look asks the conditions of those who wait.
func (p *place) look() {
	if !p.changed {
		return
	}
	p.changed = false
	for i := 0; i < len(p.parked); {
		if t := p.parked[i]; t.ready() {
			t.wake() // another takes its place
		} else {
			i++
		}
	}
}

// run gives the k-th runnable task its turn.
func (s *scheduler) run(k int) {
	for _, p := range s.places {
		if p.paused {
			continue
		}
		if k >= len(p.runnable) {
			k -= len(p.runnable)
			continue
		}
		t := p.runnable[k]
		last := len(p.runnable) - 1
		p.runnable[k] = p.runnable[last]
		p.runnable = p.runnable[:last]
		s.mix(uint64(s.now)<<16 ^ p.number<<8 ^ t.number)
		s.resume(t)
		return
	}
}

// resume lets a task go on until it waits or ends.
func (s *scheduler) resume(t *task) {
	outer := s.running
	s.running = t
	t.worker.next()
	s.running = outer
	p := t.home
	p.changed = true
	if t.worker.run == nil {
		s.idle = append(s.idle, t.worker)
		last := len(p.tasks) - 1
		p.tasks[t.place] = p.tasks[last]
		p.tasks[t.place].place = t.place
		p.tasks = p.tasks[:last]
	}
}

// kill ends all tasks of a place. What they defer still runs.
func (s *scheduler) kill(p *place) {
	p.dead = true
	for len(p.tasks) > 0 {
		t := p.tasks[0]
		t.wait++
		s.resume(t)
	}
	p.parked, p.runnable = nil, nil
	for i, q := range s.places {
		if q == p {
			s.places = append(s.places[:i], s.places[i+1:]...)
			break
		}
	}
}

// close ends everything.
func (s *scheduler) close() {
	for len(s.places) > 0 {
		s.kill(s.places[len(s.places)-1])
	}
	for _, w := range s.idle {
		w.stop()
	}
	s.idle, s.due, s.failed = nil, nil, nil // whatever still holds a place holds no more than that
	s.network.next, s.network.step = nil, nil
}
