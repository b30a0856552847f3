package detector

import "github.com/rawl-db/rawl/internal/sched"

// Run calls Step whenever it is due, by the world's clock, until stop is closed. Its caller's goroutine is the one that
// Step belongs to. After it has returned no callback is made.
func (d *Detector) Run(w *sched.World, stop <-chan struct{}) {
	sleeper := w.Sleeper()
	defer sleeper.Close()
	for at := w.Now(); sleeper.Until(at, d.wake, stop) != sched.Stopped; {
		if at = d.Step(w.Now()); at == Never {
			at = sched.Never
		}
	}
}
