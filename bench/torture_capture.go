package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"sync/atomic"

	"github.com/rawl-db/rawl/engine"
)

// ownCapture is a capture or promotion that runs. err is set before over is.
type ownCapture struct {
	op      uint64
	at      engine.EntryID
	kind    engine.SnapshotKind
	journal *journal
	uid     engine.UID
	torn    bool // a power cut may have torn the checkpoint that is promoted
	err     error
	over    atomic.Bool
}

// done implements engine.Capture.Done. After an error at the end of log or engine it is not known
// whether the record became durable, and no answer is given.
func (c *ownCapture) done(_ engine.Snapshot, err error) {
	switch {
	case err == nil:
		c.journal.answer("A", c.op, c.uid)
	case !errors.Is(err, engine.ErrDeleted) && !errors.Is(err, engine.ErrClosed):
		c.journal.answer("F", c.op, c.uid)
	}
	c.err = err
	c.over.Store(true)
}

// errHalfWay is what the machine of a torture says when it fails.
var errHalfWay = errors.New("the machine failed half-way")

// concluded takes note of the end of a capture.
func (o *owner) concluded(l *tortureLog) {
	c := l.capture
	if c == nil || !c.over.Load() {
		return
	}
	l.capture = nil
	if own := l.captures[c.op]; own != nil { // no promotion
		own.fresh = c.err == nil
	}
	switch {
	case c.err == nil && c.kind == engine.KindSnapshot:
		l.state.publish()
	case c.err != nil:
		l.state.pending = nil
		if !errors.Is(c.err, engine.ErrSnapshotState) && !errors.Is(c.err, engine.ErrClosed) && !(c.torn && isTorn(c.err)) {
			o.t.fail(fmt.Errorf("log %s: capture at %v: %w", l.uid, c.at, c.err))
		}
	}
}

// commit publishes some of what is durable as committed.
func (o *owner) commit(l *tortureLog) error {
	durable := l.log.LastWritten().Index
	if durable <= l.committed {
		return nil
	}
	return o.commitTo(l, o.between(l.committed+1, durable))
}

// commitTo publishes what is durable up to an index as committed.
func (o *owner) commitTo(l *tortureLog, i engine.Index) error {
	if i <= l.committed {
		return nil
	}
	l.committed = i
	o.t.journal.committed(l.uid, l.state.life, l.committed)
	return l.log.SetCommitted(l.committed)
}

// captureState begins a snapshot or a checkpoint at a committed entry. One in sixteen machines
// fails half-way.
func (o *owner) captureState(l *tortureLog) error {
	low, high := max(l.state.released.Index, l.state.snapshot.Index)+1, l.committed
	c := &capture{kind: engine.KindSnapshot, size: o.rng.IntN(128 << 10)}
	switch o.rng.IntN(8) {
	case 0, 1, 2:
		c.kind = engine.KindCheckpoint
	case 3: // careless of readers
	default:
		high = min(high, l.passed())
	}
	if l.capture != nil || low > high {
		return nil
	}
	c.at = l.state.id(o.between(low, high))
	c.live = o.drawLive(l, c.at.Index)
	c.op = o.t.journal.intent("s", l.uid, uint8(c.kind), c.at.Index, c.at.Term, c.size, seqWord(c.live))
	run := &ownCapture{op: c.op, at: c.at, kind: c.kind, journal: o.t.journal, uid: l.uid}
	fails, piece := o.rng.IntN(16) == 0, 1+o.rng.IntN(64<<10)
	state := func(w io.Writer) error { return writeState(w, c.state(l.uid), piece, fails) }
	err := l.log.Capture(engine.Capture{Kind: c.kind, At: c.at, Context: c.context(), Live: c.live, State: state, Done: run.done})
	l.captures[c.op] = c
	return o.began(l, run, c, err)
}

// began takes note of a capture that runs, or of why it does not.
func (o *owner) began(l *tortureLog, run *ownCapture, c *capture, err error) error {
	if err != nil {
		o.t.journal.answer("F", run.op, l.uid)
		if errors.Is(err, engine.ErrSnapshotOld) || errors.Is(err, engine.ErrBusy) || errors.Is(err, engine.ErrSnapshotRunning) {
			return nil // newer or still running from before a restart, or many at once
		}
		return fmt.Errorf("capture at %v: %w", c.at, err)
	}
	l.capture = run
	if run.kind == engine.KindSnapshot && !l.state.announce(run.op, c) {
		return fmt.Errorf("capture at %v with live entries %v: not all are there", c.at, c.live)
	}
	return nil
}

func writeState(w io.Writer, b []byte, piece int, fails bool) error {
	for n := 0; len(b) > 0; n++ {
		if fails && n == 1 {
			return errHalfWay
		}
		k := min(piece, len(b))
		if _, err := w.Write(b[:k]); err != nil {
			return err
		}
		b = b[k:]
	}
	if fails {
		return errHalfWay
	}
	return nil
}

// drawLive keeps some of what is kept, and some of what would be released.
func (o *owner) drawLive(l *tortureLog, at engine.Index) (live engine.Seq) {
	if o.rng.IntN(3) == 0 {
		return live
	}
	for i := range l.state.live {
		if i <= l.state.released.Index && o.rng.IntN(2) == 0 {
			live.Add(i)
		}
	}
	for i := l.state.released.Index + 1; i <= at; i++ {
		if o.rng.IntN(8) == 0 {
			live.Add(i)
		}
	}
	return live
}

// promote makes one of the checkpoints a snapshot.
func (o *owner) promote(l *tortureLog) error {
	if l.capture != nil {
		return nil
	}
	for _, s := range l.log.Snapshots() {
		if s.Kind != engine.KindCheckpoint || o.rng.IntN(2) == 0 {
			continue
		}
		c, err := o.opOf(l, s)
		if c == nil || err != nil {
			return err
		}
		if !l.holds(c) {
			continue
		}
		run := &ownCapture{at: c.at, kind: engine.KindSnapshot, journal: o.t.journal, uid: l.uid, torn: !c.fresh}
		run.op = o.t.journal.intent("p", l.uid, c.op)
		return o.began(l, run, c, l.log.Promote(s.ID.Index, run.done))
	}
	return nil
}

// holds reports whether a checkpoint may become a snapshot: the log goes on from it without a gap, and
// all that it keeps is there.
func (l *tortureLog) holds(c *capture) bool {
	for i := range c.live.All() {
		if _, ok := l.state.find(i); !ok {
			return false
		}
	}
	return c.at.Index >= l.state.released.Index
}

// opOf reads from a checkpoint which capture it is; nil when it is gone meanwhile, or torn.
func (o *owner) opOf(l *tortureLog, s engine.Snapshot) (*capture, error) {
	r, err := l.log.OpenSnapshot(s)
	if errors.Is(err, engine.ErrNotFound) || isTorn(err) && o.mayBeTorn(l, s) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	op, err := strconv.ParseUint(string(r.Context()), 10, 64)
	c := l.captures[op]
	if err != nil || c == nil {
		return nil, fmt.Errorf("checkpoint at %v with context %q was not captured", s.ID, r.Context())
	}
	return c, nil
}

// mayBeTorn reports whether a checkpoint is not known to be of this run: none is synced, so that a
// power cut before it may have torn it.
func (o *owner) mayBeTorn(l *tortureLog, s engine.Snapshot) bool {
	for _, c := range l.captures {
		if c.at == s.ID && c.fresh {
			return false
		}
	}
	return true
}

// isTorn says that an error is that of a file which a power cut tore, or which it took.
func isTorn(err error) bool {
	return errors.Is(err, engine.ErrCorrupt) || errors.Is(err, fs.ErrNotExist)
}

// forget is what the end of a log's life leaves.
func (l *tortureLog) forget() {
	for _, t := range l.tails {
		if c := t.cursor(); c != "" {
			l.lastLife = c
		}
	}
	l.capture, l.committed = nil, 0
}
