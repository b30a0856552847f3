package raft

import (
	"errors"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// A capture or promotion that failed for a reason that passes, as a full disk does, is tried again, one of each kind at a time. The
// machine may have no reason to ask once more: it asks as it applies commands, and none may come.
const (
	captureAgainLeast = time.Second // until the first attempt; the times between double
	captureAgainMost  = 16 * time.Second
)

// concludes is conclude for any goroutine.
func (r *realiser) concludes(e Effect, err error) {
	r.server.applies.do(func() error {
		r.conclude(e, err)
		return nil
	})
}

// conclude takes note of how a capture or promotion ended.
func (r *realiser) conclude(e Effect, err error) {
	if err != nil && passes(err) {
		r.again(e)
	}
}

// passes reports whether a capture that failed is worth another attempt: neither the machine's own failure nor the end of the log.
func passes(err error) bool {
	for _, final := range []error{engine.ErrSnapshotState, engine.ErrSnapshotOld, engine.ErrSnapshotRunning, engine.ErrNotFound,
		engine.ErrTooLarge, engine.ErrCompacted, engine.ErrClosed, engine.ErrDeleted, engine.ErrFailed, engine.ErrQuarantined} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

// again has an effect carried out once more, later, unless one of its kind waits for that already. Its After is how long the last
// attempt has waited.
func (r *realiser) again(e Effect) {
	waits := &r.retries[e.Kind-EffectReleaseCursor]
	if *waits {
		return
	}
	*waits = true
	e.After = min(max(2*e.After, captureAgainLeast), captureAgainMost)
	r.server.node.wheel.after(e.After, func() {
		r.server.applies.do(func() error {
			*waits = false
			switch {
			case e.Kind == EffectPromoteCheckpoint:
				r.promote(&e)
			case e.Kind == EffectReleaseCursor && r.cursor != nil: // a later one waits, on conditions of its own
			default:
				r.capture(&e)
			}
			return nil
		})
	})
}
