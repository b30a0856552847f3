package sched

import "sync"

// Group is tasks whose end somebody waits for. Go may be called by any goroutine, before Wait or by a task of the group.
type Group struct {
	world *World
	tasks sync.WaitGroup // of production
	left  int            // under a Simulator
}

// Group returns an empty one.
func (w *World) Group() *Group { return &Group{world: w} }

// Go runs f beside the caller.
func (g *Group) Go(f func()) {
	if sim := g.world.sim; sim != nil {
		g.left++
		sim.Go(func() {
			defer func() { g.left-- }()
			f()
		})
		return
	}
	g.tasks.Add(1)
	go func() {
		defer g.tasks.Done()
		f()
	}()
}

// Wait waits until no task of the group runs; false when stop, which may be nil, is closed before.
func (g *Group) Wait(stop <-chan struct{}) bool {
	if sim := g.world.sim; sim != nil {
		ended := false
		sim.Park(Never, func() bool {
			_, _, ended = poll[struct{}](nil, stop, nil)
			return ended || g.left == 0
		})
		return g.left == 0
	}
	if stop == nil {
		g.tasks.Wait()
		return true
	}
	done := make(chan struct{})
	go func() { // ends with the last of the tasks
		g.tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-stop:
		return false
	}
}
