package detector

import "time"

// Run calls Step whenever it is due, by the given clock, until stop is closed. It is the loop of production: its
// caller's goroutine is the one that Step belongs to. After it has returned no callback is made.
func (d *Detector) Run(stop <-chan struct{}, now func() int64) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-d.wake:
		case <-timer.C:
		}
		select {
		case <-stop: // a closed stop goes before any other reason to wake
			return
		default:
		}
		at := now()
		if next := d.Step(at); next == Never {
			timer.Stop()
		} else {
			timer.Reset(time.Duration(next - at))
		}
	}
}
