package engine

import (
	"sync"

	"github.com/rawl-db/rawl/internal/sched"
)

// loops are the goroutines that drive the engine's parts in production: the WAL's committer,
// its pool of files, the flusher and the monitor. start makes them, stop ends them in the order
// in which they feed one another.
type loops struct {
	committer, pool, flusher, monitor loop
	snapshots                         []loop
}

// loop is one goroutine with its stop signal and its end.
type loop struct {
	stop, done chan struct{}
	once       sync.Once
}

func (l *loop) run(w *sched.World, body func(stop <-chan struct{})) {
	l.stop, l.done = make(chan struct{}), make(chan struct{})
	w.Go(func() {
		defer close(l.done)
		body(l.stop)
	})
}

// end tells the loop to finish and returns a channel that is closed when it has.
func (l *loop) end() <-chan struct{} {
	l.once.Do(func() { close(l.stop) })
	return l.done
}

func (e *Engine) start() {
	e.loops = &loops{}
	e.loops.committer.run(e.world, e.wal.Run)
	e.loops.pool.run(e.world, e.pool.Run)
	e.loops.flusher.run(e.world, e.flusher.run)
	e.loops.monitor.run(e.world, e.monitor.run)
	e.loops.snapshots = make([]loop, e.opts.SnapshotWorkers)
	for i := range e.loops.snapshots {
		e.loops.snapshots[i].run(e.world, e.snapshots.Run)
	}
}

// run is the flusher's loop.
func (f *flusher) run(stop <-chan struct{}) {
	sleeper := f.e.world.Sleeper()
	defer sleeper.Close()
	for end := sched.Due; end != sched.Stopped; {
		more, pause := f.Step()
		at, wake := sched.Never, f.wake
		if more {
			at = f.e.world.Now() + int64(pause)
		}
		if more && !f.sweeping { // a pause after a failure, or between paced writes, is kept
			wake = nil
		}
		end = sleeper.Until(at, wake, stop)
	}
}

// run is the monitor's loop.
func (m *monitor) run(stop <-chan struct{}) {
	sleeper := m.e.world.Sleeper()
	defer sleeper.Close()
	for pause := monitorInterval; ; pause = m.Step() {
		now, every := m.e.world.Now(), int64(pause)
		if sleeper.Until((now/every+1)*every, nil, stop) == sched.Stopped { // with other loops of this machine
			return
		}
	}
}
