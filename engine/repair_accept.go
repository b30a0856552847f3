package engine

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

// acceptLosses cuts the accepted logs and says which others wait. Everything sound is in
// segments by now.
func (r *repairer) acceptLosses() error {
	m, _, err := readManifest(r.fs, r.dir)
	if err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	defer m.Close()
	var logs []manifest.Log
	for l := range m.Logs() {
		logs = append(logs, l)
	}
	for _, d := range m.Damaged() {
		l := r.damagedLog(d)
		logs = append(logs, l)
	}
	if err := r.checkNames(func(uid UID) bool {
		for _, l := range logs {
			if l.UID == uid {
				return true
			}
		}
		return false
	}); err != nil {
		return err
	}
	var edit manifest.Edit
	for _, l := range logs {
		if put, ok := r.acceptLoss(l); ok {
			put.AsOf = max(put.AsOf, m.Flushed())
			edit.Put = append(edit.Put, put)
		}
	}
	if len(edit.Put) == 0 {
		return nil
	}
	if err := r.keepManifest(); err != nil {
		return err
	}
	if err := m.Apply(edit); err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	return r.setAside(r.bad)
}

// damagedLog is a log whose place in the manifest is damaged, as a quarantined one.
func (r *repairer) damagedLog(d manifest.Damaged) manifest.Log {
	l := d.Last
	l.ID = d.ID
	l.Segments = nil // they may be more by now: the files say it
	l.Quarantine = &manifest.Quarantine{Lost: lostRange(l.Released.Index+1, 0), Reason: reasonManifest}
	if found, uid, _ := r.findSegments(d.ID); len(found) > 0 && l.UID == "" {
		l.UID = uid
	}
	if l.UID == "" {
		l.UID = namelessUID(d.ID)
	}
	return l
}

// acceptLoss returns the log as it will be; false when it stays as it is.
func (r *repairer) acceptLoss(l manifest.Log) (manifest.Log, bool) {
	if !r.accepts(l.UID) {
		r.waits(l)
		return l, false
	}
	if r.o.AcceptAllLoss && l.Quarantine == nil {
		return l, false
	}
	if q := l.Quarantine; q != nil && q.Reason == reasonManifest && len(l.Segments) == 0 {
		var next uint64
		l.Segments, _, next = r.findSegments(l.ID)
		l.NextSegment = max(l.NextSegment, next)
		l.Snapshots = r.findCaptures(l.ID).sound
		l.Segments = r.view(l).keep().segments(l.Segments)
		if n := len(l.Segments); n > 0 {
			l.Last.Index = max(l.Last.Index, l.Segments[n-1].Range.Last)
		}
	}
	kept, at, why := r.soundSegments(l)
	captures, bad := r.soundCaptures(l)
	whole := why == nil && at.Index == l.Last.Index && len(bad) == 0
	stateLost := l.Quarantine != nil && ofState(l.Quarantine.Lost, l.Released.Index)
	was := l
	l.Snapshots = slices.DeleteFunc(captures, func(c Snapshot) bool {
		return c.ID.Index > max(at.Index, l.Released.Index) // other entries may come in the place of those it covers
	})
	switch stateless := (stateLost || len(bad) > 0) && !stateful(l); {
	case whole && l.Quarantine == nil:
		return was, false // nothing is wrong with it
	case whole && stateLost && stateless:
		r.waits(was)
		return was, false // nothing but a snapshot helps
	case stateless:
		l.Quarantine = stateLoss(l)
		r.waits(l)
	default:
		l.Quarantine = nil
	}
	r.bad = append(r.bad, bad...)
	r.act(lossOf(was, at, why, stateLost, len(bad) > 0))
	l.Segments, l.Last = kept, at
	l.Applied = min(l.Applied, at.Index)
	l.NextSegment = max(l.NextSegment, 1)
	if l.HardState.Term < at.Term {
		l.HardState = HardState{Term: at.Term}
	}
	r.warn("log %s: its term and vote may be older than they were: term %d", l.UID, l.HardState.Term)
	return l, true
}

// waits reports a log that goes on serving nothing.
func (r *repairer) waits(l manifest.Log) {
	if q := l.Quarantine; q != nil {
		r.report.Quarantined = append(r.report.Quarantined, &QuarantineError{UID: l.UID, Lost: q.Lost, Reason: q.Reason})
	}
}

// lossOf describes what is given up of a log that goes on behind at.
func lossOf(l manifest.Log, at EntryID, why error, stateLost, captures bool) RepairAction {
	a := RepairAction{What: "accept-loss", UID: l.UID, ID: uint64(l.ID), Range: lostRange(l.Released.Index+1, at.Index)}
	if l.Last.Index > at.Index {
		a.Lost = lostRange(at.Index+1, l.Last.Index)
	}
	q := l.Quarantine
	switch {
	case q != nil && !stateLost:
		a.Lost.First = at.Index + 1
		a.Lost.Last = max(a.Lost.Last, q.Lost.Last)
		if q.Lost.Last == 0 || a.Lost.Last < a.Lost.First {
			a.Lost.Last = 0
		}
		a.Note = q.Reason
	case why != nil:
		a.Note = why.Error()
	case captures:
		a.Note = "a captured state is damaged"
	}
	return a
}

// soundSegments returns the segments up to the first damage, the last one cut where it has to
// be, the last entry in them, and the damage.
func (r *repairer) soundSegments(l manifest.Log) (kept []raftlog.Segment, at EntryID, why error) {
	view := r.view(l)
	at = l.Released
	for _, s := range l.Segments {
		c := checkSegment(r.fs, r.dir, view, s, at)
		why = c.broken
		for _, d := range c.damage {
			if why == nil && !d.Lost.Empty() {
				r.warn("log %s: entries %v, which its snapshot needs, are damaged: %s", l.UID, d.Lost, d.What)
			}
		}
		if c.fatal != nil {
			why = c.fatal
		}
		if why == nil {
			kept, at = append(kept, s), c.last
			continue
		}
		if s, ok := r.trim(view, s, at, c); ok {
			kept, at = append(kept, s), c.sound
		}
		return kept, at, why
	}
	return kept, at, nil
}

// trim cuts a segment behind its last sound entry. A file whose damage makes the extent of a chunk
// unknown is shortened, too: a chunk that was appended behind such a place would
// hide what precedes it.
func (r *repairer) trim(l *surveyLog, s raftlog.Segment, at EntryID, c segmentCheck) (raftlog.Segment, bool) {
	if c.sound.Index <= at.Index || c.sound.Index < s.Range.First {
		return s, false
	}
	if c.end > 0 {
		name := filepath.Join(r.logDir(l.id), segment.FileName(s.Number))
		_, found, err := segment.Survey(shortFS{r.fs, c.end}, name)
		if err != nil {
			return s, false
		}
		s.Bytes, s.Entries = found.Bytes, found.Entries
	}
	s.Range.Last = c.sound.Index
	again := checkSegment(r.fs, r.dir, l, s, at)
	return s, again.broken == nil && again.fatal == nil
}

// shortFS shows files as if they ended earlier.
type shortFS struct {
	vfs.FS
	size int64
}

// Stat implements vfs.FS.
func (s shortFS) Stat(name string) (vfs.Info, error) {
	info, err := s.FS.Stat(name)
	info.Size = min(info.Size, s.size)
	return info, err
}

func logDirOf(dir string, id raftlog.LogID) string {
	return filepath.Join(dir, logsDir, segment.DirName(id))
}

// namelessUID names a log whose name is lost.
func namelessUID(id raftlog.LogID) UID { return UID(fmt.Sprintf("nameless-%016x", uint64(id))) }
