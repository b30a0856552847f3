package raft

import (
	"encoding/binary"
	"io"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// capture writes the machine's present state beside the log: as a snapshot, which lets go of the log, or as a
// checkpoint. A checkpoint that finds a capture running is left: the machine asks again. A released cursor whose conditions do not
// hold yet, or that finds a capture running, waits; a later one takes its place.
func (r *realiser) capture(e *Effect) {
	kind := engine.KindCheckpoint
	if e.Kind == EffectReleaseCursor {
		kind = engine.KindSnapshot
		later := *e
		r.cursor = &later
		r.server.cursorWaits.Store(true) // before the look at what runs: whoever ends a capture looks here afterwards
		if !r.mayRelease(e) {
			return
		}
		r.cursor = nil
		r.server.cursorWaits.Store(false)
	}
	r.captureAs(kind, *e)
}

// mayRelease reports whether a snapshot may be taken: what it covers is durable, its conditions hold, and nothing else is being
// captured.
func (r *realiser) mayRelease(e *Effect) bool {
	s := r.server
	written := s.log.LastWritten().Index
	return written >= s.applies.applied && written >= e.When.Written && r.captures.Load() == 0 &&
		(!e.When.NoSnapshotSends || !s.outgoing.held(s.applies.applied, s.node.now()))
}

// retryCursor takes the snapshot that waits, if it may be now.
func (r *realiser) retryCursor() {
	if r.cursor != nil {
		r.capture(r.cursor)
	}
}

// captureAs captures the state after the last entry applied, as an effect asks for it.
func (r *realiser) captureAs(kind engine.SnapshotKind, e Effect) {
	s := r.server
	q := &s.applies
	if q.applied <= Index(s.figures.snapshot.Load()) {
		return
	}
	c, err := q.machine().Capture()
	if err != nil {
		s.stop(err)
		return
	}
	s.applies.effects.captures.Add(1)
	err = s.log.Capture(engine.Capture{
		Kind: kind, At: c.At, Origin: originOf(&q.config), Context: sealContext(q.config, q.configIndex, c.Context), Live: c.Live,
		State: func(w io.Writer) error {
			_, err := c.WriteTo(w)
			return err
		},
		Done: func(snap engine.Snapshot, err error) {
			closeCapture(s, c)
			s.captured(snap, err)
			s.count(CounterSnapshotBytes, int(snap.Bytes))
			r.concludes(e, err)
		},
	})
	if err != nil {
		s.applies.effects.captures.Add(-1)
		r.conclude(e, err)
		closeCapture(s, c)
		s.node.opts.Logger.Debug("no capture", "server", s.id.String(), "at", uint64(c.At.Index), "err", err)
	}
}

// originOf says whose states a cluster's are: every member has the same at one position.
func originOf(c *core.Configuration) uint64 {
	return binary.LittleEndian.Uint64(c.Cluster[:]) ^ binary.LittleEndian.Uint64(c.Cluster[8:]) ^ c.Epoch
}

func closeCapture(s *server, c *Capture) {
	if err := c.Close(); err != nil {
		s.node.opts.Logger.Warn("a view cannot be closed", "server", s.id.String(), "err", err)
	}
}

// captured tells the core of a snapshot that counts, and a cursor that waits that it is its turn.
func (s *server) captured(snap engine.Snapshot, err error) {
	s.applies.effects.captures.Add(-1)
	defer s.cursorAgain()
	if err != nil {
		s.node.opts.Logger.Warn("a capture failed", "server", s.id.String(), "err", err)
		return
	}
	if snap.Kind == engine.KindCheckpoint {
		s.count(CounterCheckpoints, 1)
	}
	if snap.Kind == engine.KindSnapshot {
		s.count(CounterSnapshots, 1)
		s.figures.snapshot.Store(uint64(snap.ID.Index))
		s.mail.put(snapshotTaken(snap))
	}
}

func snapshotTaken(snap engine.Snapshot) core.Input { return core.SnapshotTaken{ID: snap.ID} }

// promote makes a snapshot of the newest checkpoint at or below an index.
func (r *realiser) promote(effect *Effect) {
	s, e := r.server, *effect
	list := s.log.Snapshots()
	for k := len(list) - 1; k >= 0; k-- {
		if list[k].Kind == engine.KindSnapshot {
			return
		}
		if list[k].Kind == engine.KindCheckpoint && list[k].ID.Index <= e.Target {
			s.applies.effects.captures.Add(1)
			err := s.log.Promote(list[k].ID.Index, func(snap engine.Snapshot, err error) {
				if err == nil {
					s.count(CounterPromotions, 1)
				}
				s.captured(snap, err)
				r.concludes(e, err)
			})
			if err != nil {
				s.applies.effects.captures.Add(-1)
				r.conclude(e, err)
				s.node.opts.Logger.Debug("no promotion", "server", s.id.String(), "at", uint64(list[k].ID.Index), "err", err)
			}
			return
		}
	}
}
