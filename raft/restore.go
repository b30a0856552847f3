package raft

import (
	"errors"
	"fmt"
	"io"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/raft/core"
)

// A server that starts has its machine read the newest captured state on the goroutine that applies, before anything else there.
// That may take long. Meanwhile the server votes, replicates, sends that state to others and takes one from them: all that needs
// its log and what the state says of itself.

// beginState begins with the newest captured state.
func (s *server) beginState(r *core.Restore) error {
	snap, err := s.openState()
	if errors.Is(err, engine.ErrNoSnapshot) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("raft: server %v: %w", s.id, err)
	}
	defer snap.Close()
	meta, machine, err := openContext(snap.Context())
	if err != nil {
		return fmt.Errorf("raft: server %v: snapshot: %w", s.id, err)
	}
	meta.ID = snap.Info().ID
	s.applies.config, s.applies.configIndex = meta.Configuration, meta.ConfigurationIndex
	if err := s.applies.machine().begin(meta.ID, machine); err != nil {
		return fmt.Errorf("raft: server %v: %w", s.id, err)
	}
	s.applies.unread = true
	r.Commit = meta.ID.Index
	if snap.Info().Kind == engine.KindSnapshot {
		r.Snapshot = meta
	} else if base, ok := s.newestSnapshot(); ok {
		r.Snapshot, err = s.metaOf(base)
	}
	return err
}

// openState opens the newest captured state: its bytes are checked as they are read.
func (s *server) openState() (*engine.SnapshotReader, error) {
	if newest, ok := s.log.Newest(); ok {
		if r, err := s.log.OpenSnapshot(newest); err == nil {
			return r, nil
		}
	}
	return s.log.Restore(s.node.ctx) // which sets aside what is damaged
}

// restoreInTurn is restore for who runs the queue. It returns false when it is not the server's turn yet.
func (q *applyQueue) restoreInTurn() bool {
	turns := &q.server.node.restores
	turn := turns.begin(q)
	if turn == nil {
		return false
	}
	defer turns.end(turn)
	if err := q.restore(); err != nil {
		q.server.stop(err)
	}
	return true
}

// restore has the machine read the state that it begins with, if it has yet to.
func (q *applyQueue) restore() error {
	if !q.unread {
		return nil
	}
	q.unread = false
	if err := q.server.stopError(); err != nil {
		return err
	}
	a, meta, err := q.server.restore(q.machine())
	if err != nil {
		return fmt.Errorf("raft: server %v: %w", q.server.id, err)
	}
	q.restored(a, meta)
	q.appliedSaved = q.applied
	return nil
}

// restored puts a machine in place that has read a state.
func (q *applyQueue) restored(a *Applier, meta core.SnapshotMeta) {
	q.applier.Store(a)
	q.applied, q.config, q.configIndex = meta.ID.Index, meta.Configuration, meta.ConfigurationIndex
}

// restore has a machine read the newest captured state. Where that is damaged another machine reads the newest sound one, or
// begins with the log's first entry; where the log lacks what would follow, it is quarantined.
func (s *server) restore(a *Applier) (*Applier, core.SnapshotMeta, error) {
	snap, err := s.openState()
	if err != nil {
		return nil, core.SnapshotMeta{}, err
	}
	if begun := a.At(); begun != (EntryID{}) && begun != snap.Info().ID {
		if a, err = s.newApplier(); err != nil {
			return nil, core.SnapshotMeta{}, errors.Join(err, snap.Close())
		}
	}
	meta, err := s.readState(a, snap)
	damaged := err != nil && s.stopError() == nil && errors.Is(snap.Verify(s.node.ctx), engine.ErrCorrupt)
	_ = snap.Close()
	if !damaged {
		return a, meta, err
	}
	if a, err = s.newApplier(); err != nil {
		return nil, meta, err
	}
	snap, err = s.log.Restore(s.node.ctx)
	if errors.Is(err, engine.ErrNoSnapshot) {
		return a, core.SnapshotMeta{Configuration: s.record.Initial}, nil
	}
	if err != nil {
		return nil, meta, err
	}
	defer snap.Close()
	meta, err = s.readState(a, snap)
	return a, meta, err
}

// readState has a machine read a state that was opened. The end of the server ends it.
func (s *server) readState(a *Applier, snap *engine.SnapshotReader) (meta core.SnapshotMeta, err error) {
	meta, machine, err := openContext(snap.Context())
	if err != nil {
		return meta, err
	}
	meta.ID = snap.Info().ID
	if a.At() == (EntryID{}) {
		if err := a.begin(meta.ID, machine); err != nil {
			return meta, err
		}
	}
	state, err := snap.State()
	if err != nil {
		return meta, err
	}
	err = a.load(&stateReader{s, state})
	return meta, errors.Join(err, state.Close())
}

// stateReader reads a state for as long as the server is to run.
type stateReader struct {
	server *server
	from   io.Reader
}

// Read implements io.Reader.
func (r *stateReader) Read(p []byte) (int, error) {
	if err := r.server.stopError(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}
