package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/rawl-db/rawl/engine"
)

// newestSnapshot is the entry of a log's newest snapshot, zero when there is none.
func newestSnapshot(l *engine.Log) (id engine.EntryID) {
	for _, s := range l.Snapshots() {
		if s.Kind == engine.KindSnapshot {
			id = s.ID
		}
	}
	return id
}

// all compares everything of one log.
func (v *verifier) all(uid engine.UID, s *logState) error {
	if err := v.log(uid, s); err != nil {
		return err
	}
	l, err := v.e.Log(uid)
	if err != nil {
		return err
	}
	for _, info := range l.Snapshots() {
		if err := v.snapshot(l, s, info); err != nil {
			return fmt.Errorf("%s at %v: %w", info.Kind, info.ID, err)
		}
	}
	y := v.w.logs[uid].lives[s.life]
	if y == nil {
		return errors.New("its life was never begun")
	}
	if err := v.delivered(y, s); err != nil {
		return err
	}
	if err := l.SetCommitted(y.committed); err != nil {
		return err
	}
	if err := v.allSlots(l, s); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(y.readers)) {
		if y.readers[name].slotted {
			continue
		}
		if err := v.reader(l, s, y, y.readers[name]); err != nil {
			return fmt.Errorf("reader %s: %w", name, err)
		}
	}
	return nil
}

// snapshot opens a captured state, verifies it, and compares it with what was captured. A
// checkpoint is not synced: one that does not verify is counted.
func (v *verifier) snapshot(l *engine.Log, s *logState, info engine.Snapshot) error {
	err := v.state(l, info)
	if info.Kind != engine.KindSnapshot && isTorn(err) {
		v.torn++
		return nil
	}
	if err != nil || info.ID != s.snapshot {
		return err
	}
	for i, m := range s.live {
		e, err := l.Read(i)
		if err == nil {
			err = checkEntry(&v.buf, l.UID(), m, e)
		}
		if err != nil {
			return fmt.Errorf("live entry %d: %w", i, err)
		}
		v.live++
	}
	return nil
}

func (v *verifier) state(l *engine.Log, info engine.Snapshot) error {
	r, err := l.OpenSnapshot(info)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if err := r.Verify(context.Background()); err != nil {
		return err
	}
	op, err := strconv.ParseUint(string(r.Context()), 10, 64)
	c := v.w.logs[l.UID()].captures[op]
	if err != nil || c == nil {
		return fmt.Errorf("context %q is that of no capture", r.Context())
	}
	kind := c.kind == info.Kind || c.promoted && info.Kind == engine.KindSnapshot
	if !kind || c.at != info.ID || !c.live.Equal(r.Live()) {
		return fmt.Errorf("live entries %v; captured was a %s at %v with %v", r.Live(), c.kind, c.at, c.live)
	}
	from, err := r.State()
	if err != nil {
		return err
	}
	b, err := io.ReadAll(from)
	if err = errors.Join(err, from.Close()); err != nil {
		return err
	}
	if !bytes.Equal(b, c.state(l.UID())) {
		return fmt.Errorf("%d bytes of state, not those that were captured", len(b))
	}
	v.states++
	fmt.Fprintf(v.digest, "%s %v %d\n", info.Kind, info.ID, op)
	return nil
}

// delivered compares what readers got with what the log has.
func (v *verifier) delivered(y *life, s *logState) error {
	for i, d := range y.delivered {
		if i > s.last().Index {
			return fmt.Errorf("readers got %d/%d, the log ends at %v", d.term, i, s.last())
		}
		if e, ok := s.find(i); ok && e.term != d.term {
			return fmt.Errorf("readers got %d/%d, the log has term %d there", d.term, i, e.term)
		}
	}
	return nil
}

// reader goes on behind a reader's durable cursor, to the end of what was committed: nothing but
// what was released may be missing.
func (v *verifier) reader(l *engine.Log, s *logState, y *life, m *readerModel) error {
	from := engine.AtIndex(m.durable + 1)
	if m.cursor != "" {
		c, err := engine.ParseCursor(m.cursor)
		if err != nil {
			return err
		}
		from = engine.AtCursor(c)
	}
	next := m.durable + 1
	r, err := v.e.OpenReader(l.UID(), from, engine.ReaderOptions{})
	var gap *engine.GapError
	if released := s.released.Index; errors.As(err, &gap) && gap.First == released+1 && m.durable < released {
		next = gap.First
		r, err = v.e.OpenReader(l.UID(), engine.AtIndex(next), engine.ReaderOptions{})
	}
	if err != nil {
		return err
	}
	defer r.Close()
	for e, err := range r.Entries(context.Background()) {
		if err == nil && e.Index != next {
			err = fmt.Errorf("got %v where %d was due", e.ID(), next)
		}
		if err == nil {
			err = checkEntry(&v.buf, l.UID(), s.at(e.Index), e)
		}
		if err != nil {
			return err
		}
		next++
		v.drained++
	}
	if next <= y.committed {
		return fmt.Errorf("ended before %d, committed is %d", next, y.committed)
	}
	return nil
}
