package raft

import (
	"cmp"
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
	if passes(e.Kind, err) {
		r.server.applies.do(func() error {
			r.again(e)
			return nil
		})
	}
}

// conclude takes note of how a capture or promotion ended.
func (r *realiser) conclude(e Effect, err error) {
	if passes(e.Kind, err) {
		r.again(e)
	}
}

// passes reports whether an effect failed, and is worth another attempt: neither the machine's own failure nor the end of the log, and
// nothing that the next attempt meets again. A damaged checkpoint is nothing of that kind: the engine has set it aside, and an older one
// may be promoted.
func passes(kind EffectKind, err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, engine.ErrSnapshotRunning) {
		return kind != EffectCheckpoint // see capture
	}
	for _, final := range []error{engine.ErrSnapshotState, engine.ErrSnapshotOld, engine.ErrSnapshotCodec, engine.ErrVersion, engine.ErrNotFound,
		engine.ErrTooLarge, engine.ErrCompacted, engine.ErrClosed, engine.ErrDeleted, engine.ErrFailed, engine.ErrQuarantined} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

// capturesWaiting are the captures and promotions of a member that are still to be carried out, each nil for none.
type capturesWaiting struct {
	cursor    *Effect // for its conditions, and for the end of a capture that runs
	promotion *Effect // for the end of a capture that runs
	gaveWay   bool    // the last snapshot gave way to a transfer
	// again are released cursors, promotions and checkpoints that failed and wait for another attempt.
	again [3]*Effect
}

// waiting is where captures wait. Most members have none.
func (r *realiser) waiting() *capturesWaiting {
	if r.waits == nil {
		r.waits = new(capturesWaiting)
	}
	return r.waits
}

// laterOf is which of two effects of a kind stands for both: that with the higher target, then the one asked for later. a may be nil.
func laterOf(a, b *Effect) *Effect {
	if a != nil && cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Index, b.Index)) > 0 {
		return a
	}
	return b
}

// again has an effect carried out once more, later, in the place of one of its kind that waits for that already. Its After is how long
// the last attempt has waited.
func (r *realiser) again(e Effect) {
	waits := &r.waiting().again[e.Kind-EffectReleaseCursor]
	if *waits != nil {
		e.After = (*waits).After
		*waits = laterOf(*waits, &e)
		return
	}
	e.After = min(max(2*e.After, captureAgainLeast), captureAgainMost)
	*waits = &e
	r.server.node.wheel.after(e.After, func() {
		r.server.applies.do(func() error {
			e := *waits
			*waits = nil
			if e.Kind == EffectPromoteCheckpoint {
				r.promote(e)
			} else {
				r.capture(e)
			}
			return nil
		})
	})
}
