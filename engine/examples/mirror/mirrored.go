package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/engine"
)

// mirrored is a log of the target and where it is in the source's. It lives as long as a connection.
type mirrored struct {
	l      *engine.Log
	places *places
	// at is the place behind the last entry of l; its cursor is valid when known is set.
	at    place
	known bool
	// saved is the index in the file.
	saved   engine.Index
	entries []engine.Entry // memory of a batch
	// install is the snapshot that is being received, nil for none.
	install *engine.Install
}

// open finds out where the log stands: by its own entries, and by its file for what these do not tell.
// Errors: ErrPlace, ErrVersion, and those of the engine.
func (t *target) open(uid engine.UID) (*mirrored, error) {
	l, err := t.e.Log(uid)
	if errors.Is(err, engine.ErrNotFound) {
		l, err = t.e.Create(uid)
	}
	if err != nil {
		return nil, err
	}
	m := &mirrored{l: l, places: t.places}
	if m.at, m.known, err = t.places.load(uid); err != nil {
		return nil, err
	}
	m.saved = m.at.cursor.At.Index
	if err := m.catchUp(); err != nil {
		return nil, err
	}
	// Whoever reads this log, another mirror for one, may see what is here; and nothing can cut it.
	return m, l.SetCommitted(m.at.cursor.At.Index)
}

// catchUp moves the place to the end of the log.
func (m *mirrored) catchUp() error {
	last, from := m.l.LastWritten(), m.at.cursor.At
	if !m.known && last.Index > 0 {
		return fmt.Errorf("%w: the log ends at %v, there is no file", ErrPlace, last)
	}
	if first := m.l.First(); from.Index+1 < first { // a snapshot was installed, and the file not written yet
		term, err := m.l.Term(first - 1)
		if err != nil {
			return err
		}
		from = engine.EntryID{Term: term, Index: first - 1}
		m.at.checksum, m.at.cursor.At = 0, from
	}
	term, err := m.l.Term(from.Index)
	if err != nil && !errors.Is(err, engine.ErrOutOfRange) {
		return err
	}
	if from.Index > last.Index || term != from.Term {
		return fmt.Errorf("%w: the log ends at %v, term %d at the file's %v", ErrPlace, last, term, from)
	}
	if from == last {
		return nil
	}
	for entries, err := range m.l.ReadBatches(from.Index+1, last.Index) {
		if err != nil {
			return err
		}
		m.at.checksum = engine.RunningChecksum(m.at.checksum, entries)
	}
	m.at.cursor.At = last
	return nil
}

// take does what a frame of the source says.
func (m *mirrored) take(ctx context.Context, k kind, body []byte) error {
	switch k {
	case kindPlace:
		return m.begin(ctx, body)
	case kindBatch:
		return m.append(ctx, body)
	case kindHeader, kindChunk, kindLive:
		return m.restart(k, body)
	case kindRefused:
		var r RefusedError
		if err := parseJSON(body, &r); err != nil {
			return broken(k, err)
		}
		return &r
	}
	return broken(k, nil)
}

// begin makes sure that the batches will begin where the log ends, which a snapshot that was received puts
// behind its entry first. The first time it learns which life of the source's log is mirrored, and makes that durable
// before there is any entry.
func (m *mirrored) begin(ctx context.Context, body []byte) error {
	c, err := parseCursor(body)
	if err != nil {
		return broken(kindPlace, err)
	}
	if m.install != nil {
		return m.jump(ctx, c)
	}
	if m.known && c != m.at.cursor || c.UID != m.l.UID() || c.At != m.at.cursor.At {
		return broken(kindPlace, fmt.Errorf("%w: place %v, asked for %v", ErrFrame, c, m.at.cursor))
	}
	if m.known {
		return nil
	}
	m.at.cursor, m.known = c, true
	return m.places.save(m.at)
}

// jump makes the log what the snapshot says: it goes on behind the snapshot's entry, and its running
// checksum begins there. c is the place of the batches that follow.
func (m *mirrored) jump(ctx context.Context, c engine.Cursor) error {
	at := m.at.cursor
	if c.UID != m.l.UID() || c.At != m.install.Info().ID || m.known && c.Incarnation != at.Incarnation {
		return broken(kindPlace, fmt.Errorf("%w: place %v behind a snapshot at %v, mirrored so far is %v", ErrFrame, c, m.install.Info().ID, at))
	}
	if at.At.Term > c.At.Term { // terms never fall
		return &engine.DivergedError{Cursor: at, Last: c.At, Snapshot: c.At}
	}
	if !m.known {
		if err := m.places.save(place{cursor: engine.Cursor{UID: c.UID, Incarnation: c.Incarnation}}); err != nil {
			return err
		}
	}
	if _, err := m.install.Finish(ctx); err != nil {
		return err
	}
	m.at, m.known, m.install = place{cursor: c}, true, nil
	return m.save()
}

// interrupt ends a connection's part of an install. What was received of it stays for the next one.
func (m *mirrored) interrupt() {
	if m.install != nil {
		_ = m.install.Close() // what it could not remove goes when the engine is opened again
		m.install = nil
	}
}

// append writes a batch behind the log's last entry and waits until it is durable.
func (m *mirrored) append(ctx context.Context, body []byte) error {
	entries, checksum, err := parseBatch(body, m.entries[:0])
	if err != nil {
		return broken(kindBatch, err)
	}
	m.entries = entries
	if prev := m.at.cursor.At.Index; !m.known || entries[0].Index != prev+1 {
		return broken(kindBatch, fmt.Errorf("%w: batch from %d behind %d", ErrFrame, entries[0].Index, prev))
	}
	if sum := engine.RunningChecksum(m.at.checksum, entries); sum != checksum {
		return fmt.Errorf("%w: %016x up to %v, the source has %016x", ErrChecksum, sum, entries[len(entries)-1].ID(), checksum)
	}
	if err := m.l.AppendSync(ctx, m.at.cursor.At, entries); err != nil {
		return err
	}
	m.at = place{cursor: m.at.cursor, checksum: checksum}
	m.at.cursor.At = entries[len(entries)-1].ID()
	if err := m.l.SetCommitted(m.at.cursor.At.Index); err != nil {
		return err
	}
	if m.at.cursor.At.Index-m.saved < saveEvery {
		return nil
	}
	return m.save()
}

// save writes the place to its file, if it has changed.
func (m *mirrored) save() error {
	if !m.known || m.saved == m.at.cursor.At.Index {
		return nil
	}
	m.saved = m.at.cursor.At.Index
	return m.places.save(m.at)
}
