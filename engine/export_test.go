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

// CheckSlots is the monitor's look at all slots at some time of the engine's clock, which Now tells.
func (e *Engine) CheckSlots(now int64) { e.checkSlots(now) }

// Now is the engine's clock, in nanoseconds.
func (e *Engine) Now() int64 { return e.now() }

// GiveUpSlot does to a slot what exceeding a bound does.
func (l *Log) GiveUpSlot(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.slotLocked(name)
	if err == nil && l.giveUpSlotLocked(s, "for the test") == nil {
		err = ErrBusy
	}
	return err
}
