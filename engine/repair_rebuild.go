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

// rebuildLog makes a log's value; false when the log has ended or nothing is left of it.
func (r *repairer) rebuildLog(t *walTrace, hint manifest.Log, hinted bool) (manifest.Log, bool) {
	if t.deleted {
		return manifest.Log{}, false
	}
	l := manifest.Log{ID: t.id, UID: t.uid}
	var named UID
	l.Segments, named, l.NextSegment = r.findSegments(t.id)
	c := r.findCaptures(t.id)
	l.Snapshots = c.sound
	l.UID = cmp.Or(l.UID, named, c.uid, hint.UID)
	if l.UID == "" && l.NextSegment == 1 {
		return l, false
	}
	if hinted {
		l.HardState, l.Applied, l.Released, l.Slots = hint.HardState, hint.Applied, hint.Released, hint.Slots
		l.NextSegment = max(l.NextSegment, hint.NextSegment)
		l.Segments = r.view(l).keep().segments(l.Segments)
		if len(l.Segments) == 0 && len(l.Snapshots) == 0 && t.ends == nil && !t.created {
			r.warn("log %s may have been deleted since", l.UID)
		}
	}
	r.matchLog(&l, t, c.damaged)
	if c.damaged && l.Quarantine == nil && !stateful(l) {
		l.Quarantine = stateLoss(l)
	}
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
