package sched

import (
	"testing"
	"testing/synctest"
	"time"
)

// alone is a simulator of one task: to park is to look again and again, and time comes by itself.
type alone struct {
	now, drawn int64
	looks      int
}

func (a *alone) Now() int64     { return a.now }
func (a *alone) Uint64() uint64 { a.drawn++; return uint64(a.drawn) }
func (a *alone) Go(f func())    { f() }
func (a *alone) Park(at int64, ready func() bool) {
	for a.looks++; ready == nil || !ready(); a.looks++ {
		if a.now >= at {
			return
		}
		a.now++
	}
}

// eachWorld runs a test in both kinds of world.
func eachWorld(t *testing.T, f func(*testing.T, *World)) {
	t.Run("real", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, Real()) }) })
	t.Run("simulated", func(t *testing.T) { f(t, Simulated(&alone{})) })
}

func TestWait(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *World) {
		full, shut, open := make(chan int, 1), make(chan int), make(chan struct{})
		full <- 7
		close(shut)
		ended := make(chan struct{})
		close(ended)
		if v, end := Wait(w, full, open, open); v != 7 || end != Received {
			t.Errorf("received %d, %v", v, end)
		}
		if _, end := Wait(w, shut, nil, nil); end != Closed {
			t.Errorf("a closed channel ended with %v", end)
		}
		if _, end := Wait(w, full, ended, nil); end != Stopped {
			t.Errorf("the first end gave %v", end)
		}
		if _, end := Wait(w, full, open, ended); end != StoppedToo {
			t.Errorf("the second end gave %v", end)
		}
	})
}

func TestSleeper(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *World) {
		wake, stop := make(chan struct{}, 1), make(chan struct{})
		s := w.Sleeper()
		defer s.Close()
		at := w.Now()
		if end := s.Until(at+int64(time.Microsecond), wake, stop); end != Due || w.Now() != at+int64(time.Microsecond) {
			t.Errorf("%v after %d", end, w.Now()-at)
		}
		if end := s.Until(w.Now()-1, wake, stop); end != Due {
			t.Errorf("a time that is over gave %v", end)
		}
		wake <- struct{}{}
		if end := s.Until(Never, wake, stop); end != Received || len(wake) != 0 {
			t.Errorf("a wake gave %v", end)
		}
		wake <- struct{}{}
		close(stop)
		for _, until := range []int64{Never, w.Now() + 1, w.Now()} {
			if end := s.Until(until, wake, stop); end != Stopped {
				t.Errorf("a stop gave %v", end)
			}
		}
	})
}

func TestGroup(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *World) {
		g := w.Group()
		stop := make(chan struct{})
		ran := 0
		g.Go(func() { g.Go(func() { ran++ }) })
		if !g.Wait(stop) || !g.Wait(nil) || ran != 1 {
			t.Errorf("ran %d", ran)
		}
	})
}

// TestGroupStopped has a group whose task does not end.
func TestGroupStopped(t *testing.T) {
	g, stop, hold := Real().Group(), make(chan struct{}), make(chan struct{})
	g.Go(func() { <-hold })
	close(stop)
	if g.Wait(stop) {
		t.Error("the group is said to be over")
	}
	close(hold)
	if !g.Wait(nil) {
		t.Error("the group is said to go on")
	}
}

func TestRead(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *World) {
		var b [13]byte
		w.Read(b[:])
		if b == [13]byte{} {
			t.Error("nothing was drawn")
		}
		for range 100 {
			if n := w.Int64N(3); n < 0 || n > 2 {
				t.Errorf("drawn %d", n)
			}
		}
	})
	if a, b := Simulated(&alone{}), Simulated(&alone{}); a.Uint64() != b.Uint64() {
		t.Error("the same source draws other numbers")
	}
}

// The waits of production allocate nothing: every append that waits makes one.
func TestWaitsAllocateNothing(t *testing.T) {
	w, full, wake, open := Real(), make(chan error, 1), make(chan struct{}, 1), make(chan struct{})
	s := w.Sleeper()
	defer s.Close()
	if n := testing.AllocsPerRun(100, func() {
		full <- nil
		Wait(w, full, open, nil)
		wake <- struct{}{}
		s.Until(Never, wake, open)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
