package sched

import (
	crypto "crypto/rand"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"time"
)

// Never is a time that does not come.
const Never int64 = math.MaxInt64

// Simulator runs the tasks of a World one at a time. Its methods but Go are called by the running task only.
type Simulator interface {
	// Now returns the time in nanoseconds. It never goes back.
	Now() int64
	// Uint64 draws a number.
	Uint64() uint64
	// Go makes f a task, which runs when its turn comes.
	Go(f func())
	// Park ends the turn of the running task. The next one comes when ready, which may be nil, has returned true or the
	// time is at. ready is called between the turns of others; it must not wait, and is not called again once it
	// was true. A task that is never to go on does not return from Park.
	Park(at int64, ready func() bool)
}

// World is one of production or one of a Simulator. Its methods may be called by any goroutine of its own.
type World struct {
	sim   Simulator // nil in production
	began time.Time
}

// Real returns a World of production.
func Real() *World {
	now := time.Now()
	return &World{began: now.Add(-time.Duration(now.UnixNano() % int64(time.Second)))}
}

// Simulated returns the World of a simulator.
func Simulated(s Simulator) *World { return &World{sim: s} }

// Production reports whether it is one.
func (w *World) Production() bool { return w.sim == nil }

// Now is a monotonic clock, in nanoseconds from an arbitrary origin. In production that is a whole second of the system's
// clock: what different Worlds do at multiples of an interval they do at one time, and the processor sleeps longer.
func (w *World) Now() int64 {
	if w.sim != nil {
		return w.sim.Now()
	}
	return int64(time.Since(w.began))
}

// Int64N draws from 0 to below n, which is above 0. It is not for what others must not guess.
func (w *World) Int64N(n int64) int64 {
	if w.sim != nil {
		return int64(w.sim.Uint64() % uint64(n))
	}
	return rand.Int64N(n)
}

// Read fills b with bytes that nobody can guess.
func (w *World) Read(b []byte) {
	if w.sim == nil {
		crypto.Read(b)
		return
	}
	for len(b) > 0 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], w.sim.Uint64())
		b = b[copy(b, word[:]):]
	}
}

// Uint64 draws a number that nobody can guess.
func (w *World) Uint64() uint64 {
	var b [8]byte
	w.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// Go runs f beside the caller.
func (w *World) Go(f func()) {
	if w.sim != nil {
		w.sim.Go(f)
		return
	}
	go f()
}

// Processors is how many tasks may run at the same moment, as far as it pays to have more of them.
func (w *World) Processors() int {
	if w.sim != nil {
		return 2 // they take turns
	}
	return runtime.GOMAXPROCS(0)
}

// Yield lets others run.
func (w *World) Yield() {
	if w.sim != nil {
		w.sim.Park(w.sim.Now(), nil)
		return
	}
	runtime.Gosched()
}

// Sleep waits for that long.
func (w *World) Sleep(d time.Duration) {
	if w.sim != nil {
		w.sim.Park(w.sim.Now()+int64(d), nil)
		return
	}
	time.Sleep(d)
}
