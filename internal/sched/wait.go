package sched

import "time"

// End says what ended a wait.
type End uint8

const (
	// Received is a value.
	Received End = iota
	// Closed is the end of the channel itself.
	Closed
	// Stopped is the first of the channels that end the wait, StoppedToo the second.
	Stopped
	StoppedToo
	// Due is the time.
	Due
)

// Wait receives from ch, unless stop or too, of which either may be nil, is closed before.
func Wait[T any](w *World, ch <-chan T, stop, too <-chan struct{}) (v T, end End) {
	if w.sim != nil {
		return park(w.sim, ch, stop, too)
	}
	ok := false
	if stop == nil && too == nil {
		v, ok = <-ch
	} else {
		select {
		case v, ok = <-ch:
		case <-stop:
			return v, Stopped
		case <-too:
			return v, StoppedToo
		}
	}
	return v, received(ok)
}

// park is Wait under a Simulator. What its function shares with it is allocated: the waits of production do without.
func park[T any](sim Simulator, ch <-chan T, stop, too <-chan struct{}) (v T, end End) {
	sim.Park(Never, func() bool {
		var got bool
		v, end, got = poll(ch, stop, too)
		return got
	})
	return v, end
}

// poll is one look, in a fixed order.
func poll[T any](ch <-chan T, stop, too <-chan struct{}) (v T, end End, got bool) {
	select {
	case v, ok := <-ch:
		return v, received(ok), true
	default:
	}
	select {
	case <-stop:
		return v, Stopped, true
	default:
	}
	select {
	case <-too:
		return v, StoppedToo, true
	default:
	}
	return v, 0, false
}

func received(ok bool) End {
	if ok {
		return Received
	}
	return Closed
}

// Sleeper is how a loop rests between two steps. It belongs to one goroutine.
type Sleeper struct {
	w     *World
	timer *time.Timer // nil until the first sleep of production that has an end
}

// Sleeper returns one; it is to be closed.
func (w *World) Sleeper() *Sleeper { return &Sleeper{w: w} }

// Until waits until the clock shows at, which may be Never, or wake, which may be nil, is received from, or stop is closed;
// the last goes before the others. It says which: Due, Received or Stopped. A time that has come is a yield under a Simulator.
func (s *Sleeper) Until(at int64, wake, stop <-chan struct{}) (end End) {
	if s.w.sim != nil {
		return parkUntil(s.w.sim, at, wake, stop)
	}
	var due <-chan time.Time
	if at != Never {
		d := time.Duration(at - s.w.Now())
		if d <= 0 {
			return s.look(stop)
		}
		due = s.arm(d)
	}
	select {
	case <-stop:
		return Stopped
	case <-wake:
		end = Received
	case <-due:
		end = Due
	}
	if s.look(stop) == Stopped {
		return Stopped
	}
	return end
}

// parkUntil is Until under a Simulator.
func parkUntil(sim Simulator, at int64, wake, stop <-chan struct{}) End {
	end := Due
	sim.Park(at, func() bool {
		if _, e, got := poll[struct{}](nil, stop, wake); got {
			end = e
		}
		return end != Due
	})
	if end == StoppedToo {
		return Received
	}
	return end
}

func (s *Sleeper) look(stop <-chan struct{}) End {
	select {
	case <-stop:
		return Stopped
	default:
		return Due
	}
}

func (s *Sleeper) arm(d time.Duration) <-chan time.Time {
	if s.timer == nil {
		s.timer = time.NewTimer(d)
	} else {
		s.timer.Reset(d)
	}
	return s.timer.C
}

// Close lets go of the timer.
func (s *Sleeper) Close() {
	if s.timer != nil {
		s.timer.Stop()
	}
}
