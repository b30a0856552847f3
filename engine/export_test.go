package engine

// Controls returns how many control records of the log were queued since the engine was opened,
// and how many of them are durable.
func (l *Log) Controls() (queued, durable uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.controls); n > 0 {
		return l.controls[n-1].seq, l.done
	}
	return l.done, l.done
}

// Parked returns how many goroutines wait for the log, by both of its counts.
func (l *Log) Parked() (listed, counted int) {
	x := l.outside()
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.mu.sleepers), int(x.parked.Load())
}

// Outside reports whether the log keeps anything for external readers.
func (l *Log) Outside() bool { return l.external.Load() != nil }
