package wal

// Sink returns what Init was given: the owner of the log.
func (l *Log) Sink() Sink { return l.sink }

// Batches counts the commits so far, as Stats does; any goroutine.
func (w *WAL) Batches() uint64 { return w.count.batches.Load() }
