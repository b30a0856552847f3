package engine

import "time"

// Part is one of the engine's long-lived parts. Step does one bounded piece of work, waiting
// for nothing but the I/O it submits itself, and says whether there may be more and how long
// its driver should wait first.
type Part struct {
	Name string
	Step func() (more bool, pause time.Duration)
}

// Parts returns the parts of an engine that OpenParts opened: the committer, its idle frame,
// the pool of WAL files, the flusher, a worker of the snapshot pool and the monitor. Each belongs to one goroutine at a time;
// the caller decides the order in which they step.
func (e *Engine) Parts() []Part {
	return []Part{
		{"commit", func() (bool, time.Duration) { return e.wal.Step(), 0 }},
		{"idle", func() (bool, time.Duration) { _ = e.wal.Idle(); return false, 0 }}, // Err has its failure
		{"pool", func() (bool, time.Duration) { pause, more := e.pool.Step(); return more, pause }},
		{"flush", e.flusher.Step},
		{"snapshots", func() (bool, time.Duration) { return e.snapshots.Step(), 0 }},
		{"monitor", func() (bool, time.Duration) { return true, e.monitor.Step() }},
	}
}
