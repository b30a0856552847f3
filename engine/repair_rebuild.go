package engine

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

// rebuild makes a manifest from what the other files say.
//
// A segment does not say up to which batch its log had been flushed, and WAL files that were
// flushed may still be there, unused. What decides is the identity of entries: the newest WAL
// file at whose end a log's last entry is that of its segments has been flushed as far as
// this log is concerned, because two logs that agree on the last entry agree on all
// (Raft's log matching property). Records of later files are replayed by the next Open.
func (r *repairer) rebuild(cause error) error {
	old := r.olderManifest()
	w, err := r.readWAL(old)
	if err != nil {
		return err
	}
	ids, err := r.logDirs()
	if err != nil {
		return err
	}
	edit := manifest.Edit{AddWAL: w.files, NextFile: w.nextFile, Flushed: w.flushed}
	known := maps.Clone(w.logs)
	for _, id := range ids {
		if known[id] == nil {
			known[id] = &walTrace{id: id}
		}
	}
	hints := make(map[raftlog.LogID]manifest.Log)
	if old != nil {
		for l := range old.Logs() {
			hints[l.ID] = l
			if known[l.ID] == nil {
				known[l.ID] = &walTrace{id: l.ID}
			}
		}
		edit.ReserveIDs = old.ReservedIDs()
	}
	r.act(RepairAction{What: "manifest", Note: cause.Error()})
	highest := raftlog.LogID(0)
	names := make(map[UID]bool)
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(known))) {
		highest = max(highest, id)
		hint, hinted := hints[id]
		l, ok := r.rebuildLog(known[id], hint, hinted)
		if !ok {
			continue
		}
		if names[l.UID] {
			r.warn("log %s: id %d was followed by another life of the log, and is dropped", l.UID, id)
			continue
		}
		names[l.UID] = true
		edit.Put = append(edit.Put, l)
	}
	slices.SortFunc(edit.Put, func(a, b manifest.Log) int { return cmp.Compare(a.UID, b.UID) })
	for _, l := range edit.Put {
		a := RepairAction{What: "log", UID: l.UID, ID: uint64(l.ID), Range: lostRange(l.Released.Index+1, l.Last.Index)}
		if l.Quarantine != nil {
			a.Note = "quarantined: " + l.Quarantine.Reason
			r.report.Quarantined = append(r.report.Quarantined, &QuarantineError{UID: l.UID, Lost: l.Quarantine.Lost, Reason: l.Quarantine.Reason})
		}
		r.act(a)
	}
	r.warn("logs of which neither a segment nor a record is left cannot be found again")
	r.warn("entries at the end of a segment that were cut off and not replaced may be there again")
	edit.ReserveIDs = max(edit.ReserveIDs, highest) + idStep
	if r.o.DryRun {
		return nil
	}
	return r.replaceManifest(w.stream, edit)
}

// olderManifest is a readable manifest older than the one that is not, nil when there is none.
func (r *repairer) olderManifest() *manifest.Manifest {
	names, err := r.fs.List(r.dir)
	if err != nil {
		return nil
	}
	for _, name := range slices.Backward(names) {
		m, rep, err := manifest.Open(olderFS{r.fs, r.dir, name}, r.dir)
		if err == nil {
			r.warn("terms, votes and releases are taken from %s, which may be older than they are", rep.File)
			return m
		}
	}
	return nil
}

// logDirs are the ids of the directories below logs/.
func (r *repairer) logDirs() ([]raftlog.LogID, error) {
	names, err := r.fs.List(filepath.Join(r.dir, logsDir))
	if err != nil {
		return nil, fmt.Errorf("engine: repair: %w", err)
	}
	var ids []raftlog.LogID
	for _, name := range names {
		id, ok := segment.ParseDirName(name)
		info, err := r.fs.Stat(r.logDir(id))
		if ok && id != 0 && err == nil && info.Dir {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// findSegments lists the segments of a log from its files, with the name that they agree on,
// and the number for the next one.
func (r *repairer) findSegments(id raftlog.LogID) (found []raftlog.Segment, uid UID, next uint64) {
	next = 1
	names, err := r.fs.List(r.logDir(id))
	if err != nil {
		return nil, "", next
	}
	for _, name := range names {
		number, ok := segment.ParseFileName(name)
		if !ok {
			continue
		}
		next = max(next, number+1)
		name = filepath.Join(r.logDir(id), name)
		h, s, err := segment.Survey(r.fs, name)
		switch {
		case err != nil || h.ID != id || h.Number != number:
			r.warn("%s cannot be used: %v, header of segment %d of log %d", relative(r.dir, name), err, h.Number, h.ID)
			continue
		case s.Range.Empty():
			continue
		}
		uid = h.UID
		found = append(cutSegments(found, s.Range.First-1), s)
	}
	return found, uid, next
}

// rebuildLog makes a log's value; false when the log has ended or nothing is left of it.
func (r *repairer) rebuildLog(t *walTrace, hint manifest.Log, hinted bool) (manifest.Log, bool) {
	if t.deleted {
		return manifest.Log{}, false
	}
	l := manifest.Log{ID: t.id, UID: t.uid}
	var named UID
	l.Segments, named, l.NextSegment = r.findSegments(t.id)
	l.UID = cmp.Or(l.UID, named, hint.UID)
	if l.UID == "" && l.NextSegment == 1 {
		return l, false
	}
	if hinted {
		l.HardState, l.Applied, l.Released = hint.HardState, hint.Applied, hint.Released
		l.NextSegment = max(l.NextSegment, hint.NextSegment)
		l.Segments = floorSegments(l.Segments, l.Released.Index)
		if len(l.Segments) == 0 && t.ends == nil && !t.created {
			r.warn("log %s may have been deleted since", l.UID)
		}
	}
	r.matchLog(&l, t)
	if l.UID == "" {
		l.UID = namelessUID(l.ID)
		l.Quarantine = &manifest.Quarantine{Reason: "its name is lost"}
	}
	if l.HardState.Term < l.Last.Term {
		l.HardState = HardState{Term: l.Last.Term}
	}
	if !t.hard && !hinted && !t.created {
		r.warn("log %s: its term and vote are lost: term %d, no vote", l.UID, l.HardState.Term)
	}
	return l, true
}

// matchLog finds the log's last entry, from where on it begins, and from which batch on its records count.
func (r *repairer) matchLog(l *manifest.Log, t *walTrace) {
	if n := len(l.Segments); n == 0 {
		if t.follows > l.Released.Index && !t.created {
			l.Released = EntryID{Index: t.follows}
		}
		l.Last = l.Released
		return
	}
	if first := l.Segments[0].Range.First; l.Released.Index+1 < first {
		l.Released = EntryID{Index: first - 1} // its term is lost
	}
	view := &surveyLog{id: l.ID, uid: l.UID, released: l.Released}
	at := l.Released
	for _, s := range l.Segments {
		c := checkSegment(r.fs, r.dir, view, s, at)
		if c.broken != nil && l.Quarantine == nil {
			l.Quarantine = &manifest.Quarantine{Lost: lostRange(c.sound.Index+1, 0), Reason: c.broken.Error()}
		}
		at = c.last
	}
	l.Last = at
	for _, end := range slices.Backward(t.ends) {
		if end.last != at {
			continue
		}
		l.AsOf, l.Applied = end.batch, max(l.Applied, end.applied)
		l.HardState = manifest.MergeHardState(l.HardState, end.hard)
		if end.released.Index >= l.Released.Index {
			l.Released = end.released
			l.Segments = floorSegments(l.Segments, l.Released.Index)
		}
		return
	}
}
