package raft

import (
	"encoding/binary"
	"errors"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// capture writes the machine's present state beside the log: as a snapshot, which lets go of the log, or as a
// checkpoint. A checkpoint that finds a capture running is left: the machine asks again. A released cursor whose conditions do not
// hold yet, or that finds a capture running, waits; a later one takes its place.
func (r *realiser) capture(e *Effect) {
	if e.Index == 0 { // no entry asks for it
		e.Index = r.server.applies.applied
	}
	if e.Kind == EffectCheckpoint {
		r.captureAs(engine.KindCheckpoint, *e)
		return
	}
	w := r.waiting()
	due := *laterOf(w.cursor, e)
	w.cursor = &due
	r.server.cursorWaits.Store(true) // before the look at what runs: whoever ends a capture looks here afterwards
	if r.mayRelease(&due) {
		w.cursor = nil
		r.server.cursorWaits.Store(w.promotion != nil)
		r.captureAs(engine.KindSnapshot, due)
	}
}

// mayRelease reports whether a snapshot may be taken: what it covers is durable, its conditions hold, and nothing else is being
// captured.
func (r *realiser) mayRelease(e *Effect) bool {
	s := r.server
	written := s.log.LastWritten().Index
	return written >= s.applies.applied && written >= e.When.Written && r.captures.Load() == 0 &&
		(!e.When.NoSnapshotSends || !s.outgoing.held(s.applies.applied, s.node.now()))
}

// retryCaptures carries out the promotion and the released cursor that wait, if they may be now.
func (r *realiser) retryCaptures() {
	w := r.waits
	if w == nil {
		return
	}
	if w.promotion != nil {
		r.promote(w.promotion)
	}
	if w.cursor != nil {
		r.capture(w.cursor)
	}
}

// covered reports whether a state was captured that is as new as the one that an effect asked for, by whatever else asked for one.
func (r *realiser) covered(e *Effect) bool {
	newest := Index(r.server.figures.snapshot.Load())
	if e.Kind == EffectCheckpoint {
		if s, ok := r.server.log.Newest(); ok {
			newest = s.ID.Index
		}
	}
	return newest >= e.Index
}

// captureAs captures the state after the last entry applied, as an effect asks for it.
func (r *realiser) captureAs(kind engine.SnapshotKind, e Effect) {
	s := r.server
	q := &s.applies
	if r.covered(&e) {
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
		State: r.stateOf(c, &e),
		Done: func(snap engine.Snapshot, err error) {
			closeCapture(s, c)
			if errors.Is(err, errGivesWay) {
				r.givesWay(e)
			} else {
				r.concludes(e, err)
			}
			s.captured(snap, err)
			s.count(CounterSnapshotBytes, int(snap.Bytes))
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

// captured tells the core of a snapshot that counts, and what waits for the end of a capture that it is its turn.
func (s *server) captured(snap engine.Snapshot, err error) {
	s.applies.effects.captures.Add(-1)
	defer s.cursorAgain()
	if errors.Is(err, errGivesWay) {
		s.node.opts.Logger.Debug("a snapshot gave way", "server", s.id.String())
		return
	}
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

// promote makes a snapshot of the newest checkpoint at or below an index. One that finds a capture running waits for its end; what is
// asked for meanwhile, up to a higher index, takes its place.
func (r *realiser) promote(e *Effect) {
	w := r.waiting()
	due := *laterOf(w.promotion, e)
	w.promotion = &due
	r.server.cursorWaits.Store(true) // as in capture
	if r.captures.Load() == 0 {
		w.promotion = nil
		r.server.cursorWaits.Store(w.cursor != nil)
		r.promoteNow(due)
	}
}

// promoteNow is promote while nothing runs. Where there is a snapshot that is as new there is nothing to do.
func (r *realiser) promoteNow(e Effect) {
	s := r.server
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
				r.concludes(e, err)
				s.captured(snap, err)
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
