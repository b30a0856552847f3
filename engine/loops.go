package engine

import (
	"sync"
	"time"
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

func (l *loop) run(body func(stop <-chan struct{})) {
	l.stop, l.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(l.done)
		body(l.stop)
	}()
}

// end tells the loop to finish and returns a channel that is closed when it has.
func (l *loop) end() <-chan struct{} {
	l.once.Do(func() { close(l.stop) })
	return l.done
}

func (e *Engine) start() {
	e.loops = &loops{}
	e.loops.committer.run(e.wal.Run)
	e.loops.pool.run(e.pool.Run)
	e.loops.flusher.run(e.flusher.run)
	e.loops.monitor.run(e.monitor.run)
	e.loops.snapshots = make([]loop, e.opts.SnapshotWorkers)
	for i := range e.loops.snapshots {
		e.loops.snapshots[i].run(e.snapshots.Run)
	}
}

// run is the flusher's loop.
func (f *flusher) run(stop <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		more, pause := f.Step()
		switch {
		case more && pause <= 0:
			select {
			case <-stop:
				return
			default:
			}
			continue
		case more:
			timer.Reset(pause)
		default:
			timer.Reset(time.Hour)
		}
		select {
		case <-stop:
			return
		case <-f.wake:
			if more { // a pause after a failure, or between paced writes, is kept
				select {
				case <-stop:
					return
				case <-timer.C:
				}
			}
		case <-timer.C:
		}
	}
}

// run is the monitor's loop.
func (m *monitor) run(stop <-chan struct{}) {
	ticker := time.NewTicker(monitorInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			m.Step()
		}
	}
}
