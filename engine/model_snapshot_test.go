package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/rawl-db/rawl/engine"
)

// stateAt is the state that a capture of the log at that entry has.
func stateAt(uid engine.UID, id engine.EntryID) string {
	return strings.Repeat(fmt.Sprintf("state of %s at %v;", uid, id), int(id.Index%300))
}

// capture begins to capture a log at some durable entry.
func (w *world) capture(l *engine.Log, h *history) {
	w.t.Helper()
	at := w.logs[l]
	if at.pending.id.Index != 0 {
		return
	}
	low := max(h.now.snapshot.Index, h.now.released.Index)
	written := min(l.LastWritten().Index, h.now.last().Index)
	if written <= low {
		return
	}
	r := rec{kind: recSnapshot, id: h.now.at(low + 1 + engine.Index(w.rng.Uint64N(uint64(written-low))))}
	kind := engine.KindSnapshot
	if w.rng.IntN(4) == 0 {
		r.kind, kind = recCheckpoint, engine.KindCheckpoint
	}
	for _, i := range slices.Sorted(maps.Keys(h.now.live)) {
		if w.rng.IntN(2) == 0 {
			r.live.Add(i)
		}
	}
	for i := h.now.released.Index + 1; i <= r.id.Index; i++ {
		if w.rng.IntN(5) == 0 {
			r.live.Add(i)
		}
	}
	w.beginCapture(l, h, kind, r)
}

// beginCapture begins the capture whose record r will be.
func (w *world) beginCapture(l *engine.Log, h *history, kind engine.SnapshotKind, r rec) {
	w.t.Helper()
	at := w.logs[l]
	err := l.Capture(engine.Capture{
		Kind: kind, At: r.id, Context: []byte(r.id.String()), Live: r.live,
		State: func(to io.Writer) error {
			_, err := io.WriteString(to, stateAt(h.uid, r.id))
			return err
		},
		Done: func(engine.Snapshot, error) { at.pending = rec{} },
	})
	if errors.Is(err, engine.ErrSnapshotRunning) || errors.Is(err, engine.ErrSnapshotOld) {
		return // one of an earlier opening, or a checkpoint that is newer
	}
	if w.did(err) {
		at.pending = r
	}
}

// promote begins to make a checkpoint of the log a snapshot, one that the owner may take for one:
// what it covers is still in the log, and what it needs was not let go.
func (w *world) promote(l *engine.Log, h *history) {
	w.t.Helper()
	at := w.logs[l]
	if at.pending.id.Index != 0 {
		return
	}
	s := &h.now
	for _, c := range l.Snapshots() {
		r, known := h.checkpoints[c.ID]
		if c.Kind != engine.KindCheckpoint || !known || r.life != s.life || !s.covers(r) || w.rng.IntN(2) == 0 {
			continue
		}
		r.kind = recSnapshot
		err := l.Promote(c.ID.Index, func(engine.Snapshot, error) { at.pending = rec{} })
		if !errors.Is(err, engine.ErrSnapshotRunning) && w.did(err) {
			at.pending = r
		}
		return
	}
}

// covers reports whether the captured state r may be the log's newest snapshot.
func (s *state) covers(r rec) bool {
	if r.id.Index <= s.released.Index || r.id.Index > s.last().Index || s.at(r.id.Index) != r.id {
		return false
	}
	for i := range r.live.All() {
		if _, live := s.live[i]; i <= s.released.Index && !live {
			return false
		}
	}
	return true
}

// captured runs one capture and notes the record that it queued.
func (w *world) captured(step func(string) bool) {
	w.t.Helper()
	before := make(map[*engine.Log]uint64)
	for l := range w.logs {
		before[l], _ = l.Controls()
	}
	step("snapshots")
	for l, at := range w.logs {
		if n, _ := l.Controls(); n != before[l] && at.pending.id.Index != 0 {
			w.control(l, at.h, at.pending)
		}
	}
}

// isLive reports whether the newest snapshot keeps the entry.
func isLive(l *engine.Log, i engine.Index) (bool, error) {
	for _, s := range l.Snapshots() {
		if s.Kind == engine.KindSnapshot {
			r, err := l.OpenSnapshot(s)
			if err != nil {
				return false, err
			}
			defer r.Close()
			return r.Live().Contains(i), nil
		}
	}
	return false, nil
}

// observeSnapshots reads all captured states, and the entries that the newest snapshot keeps.
func observeSnapshots(l *engine.Log, s *state, largest int) error {
	for _, info := range l.Snapshots() {
		r, err := l.OpenSnapshot(info)
		if err != nil {
			if info.Kind != engine.KindSnapshot {
				continue // it was never synced
			}
			return fmt.Errorf("snapshot at %v: %w", info.ID, err)
		}
		err = observeSnapshot(l, r, info, s, largest)
		if e := r.Close(); err == nil {
			err = e
		}
		if err != nil && (info.Kind == engine.KindSnapshot || !errors.Is(err, engine.ErrCorrupt)) {
			return fmt.Errorf("%s at %v: %w", info.Kind, info.ID, err)
		}
	}
	return nil
}

func observeSnapshot(l *engine.Log, r *engine.SnapshotReader, info engine.Snapshot, s *state, largest int) error {
	if err := r.Verify(context.Background()); err != nil {
		return err
	}
	from, err := r.State()
	if err != nil {
		return err
	}
	b, err := io.ReadAll(from)
	if err != nil || string(b) != stateAt(l.UID(), info.ID) || string(r.Context()) != info.ID.String() {
		return fmt.Errorf("%d bytes of state, context %q: %w", len(b), r.Context(), err)
	}
	if info.Kind != engine.KindSnapshot {
		return nil
	}
	s.snapshot, s.live = info.ID, make(map[engine.Index]engine.Term)
	for i := range r.Live().All() {
		e, err := l.Read(i)
		if err != nil {
			return fmt.Errorf("live entry %d: %w", i, err)
		}
		for same, err := range l.ReadRange(i, i) {
			if err != nil || same.ID() != e.ID() || !bytes.Equal(same.Data, e.Data) {
				return fmt.Errorf("live entry %v in a range: %v, %w", e.ID(), same.ID(), err)
			}
		}
		life, err := checkEntry(l.UID(), e, largest)
		if err != nil || s.life > 0 && life > 0 && life != s.life {
			return fmt.Errorf("live entry %v of life %d, log of %d: %w", e.ID(), life, s.life, err)
		}
		s.life = max(s.life, life)
		s.live[i] = e.Term
	}
	return nil
}
