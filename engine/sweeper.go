package engine

import (
	"path/filepath"
	"slices"
	"time"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/snapshot"
)

// sweeper removes, once after an open and a few directories at a time, the files that a crash
// left behind: directories of logs that are gone, segments that no manifest edit ever named.
// It belongs to the flusher's goroutine, which alone makes such files.
type sweeper struct {
	e       *Engine
	allowed bool // set before the flusher's loop starts: the manifest as it was read is on the device
	listed  bool
	dirs    []string // of an earlier life of the engine
	later   []string // directories of logs whose state was being captured
	removed int
	// keep are the damaged logs: what is left of them is what a repair works with.
	keep map[raftlog.LogID]bool
	// logs are those that live, in the manifest or not yet. Like keep it is there as long as dirs are left.
	logs map[raftlog.LogID]*Log
}

const (
	sweepDirs  = 8
	sweepPause = 100 * time.Millisecond
)

// list takes note, once, of what is to be looked at.
func (s *sweeper) list() {
	if !s.allowed || s.listed {
		return
	}
	s.listed = true
	names, err := s.e.device.fs.List(filepath.Join(s.e.dir, logsDir))
	if err != nil {
		s.e.opts.Logger.Warn("cannot look for leftover files", "err", err)
	}
	if len(names) == 0 {
		return
	}
	s.dirs, s.keep, s.logs = names, make(map[raftlog.LogID]bool), make(map[raftlog.LogID]*Log)
	for _, l := range s.e.logs.snapshot() {
		s.logs[l.id] = l
	}
	for _, d := range s.e.manifest.Damaged() {
		s.keep[d.ID] = true
	}
}

// step works on a few directories and reports whether some are left.
func (s *sweeper) step() bool {
	if len(s.dirs) == 0 {
		s.dirs, s.later = s.later, nil
	}
	n := min(sweepDirs, len(s.dirs))
	for _, name := range s.dirs[:n] {
		if !s.sweep(name) {
			s.later = append(s.later, name)
		}
	}
	if s.dirs = s.dirs[n:]; len(s.dirs) > 0 {
		return true
	}
	if s.removed > 0 {
		s.e.opts.Logger.Info("removed leftover files", "files", s.removed)
		s.removed = 0
	}
	if len(s.later) == 0 {
		s.keep, s.logs = nil, nil
	}
	return false
}

// sweep returns false when the directory has to be looked at again: while a state is captured
// nothing tells its files from leftovers.
func (s *sweeper) sweep(name string) bool {
	id, ok := segment.ParseDirName(name)
	if !ok || s.keep[id] {
		return true
	}
	dir := filepath.Join(s.e.dir, logsDir, name)
	l := s.logs[id]
	m, known := s.e.manifest.Log(id)
	if !known && l == nil && !s.e.manifest.Unnamed() {
		s.removed++
		s.e.flusher.removeDir(id)
		return true
	}
	if l == nil || l.isDeleted() || m.Quarantine != nil || l.quarantineNote() != nil {
		return true
	}
	if l.isCapturing() {
		return false
	}
	names, err := s.e.device.fs.List(dir)
	if err != nil {
		return true
	}
	for _, name := range names {
		if !l.leftover(m, name) {
			continue
		}
		s.removed++
		if n, ok := segment.ParseFileName(name); ok {
			s.e.flusher.retire(id, n, nil)
		} else {
			s.e.flusher.removeFile(filepath.Join(dir, name))
		}
	}
	return !l.isCapturing()
}

// leftover reports whether nothing refers to a file of the log's directory, m being what the
// manifest knows of the log. What this program does not know is left alone.
func (l *Log) leftover(m manifest.Log, name string) bool {
	if n, ok := segment.ParseFileName(name); ok {
		return !listed(m, n) && !l.ownsInstalled(n)
	}
	kind, id, stage, ok := snapshot.ParseName(name)
	if !ok {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch stage {
	case snapshot.Finished:
	case snapshot.Receiving:
		return !l.capturing && !l.mayResumeLocked(id)
	default:
		return !l.capturing
	}
	known := func(s Snapshot) bool { return s.Kind == kind && s.ID == id }
	published := func(f pendingFact) bool {
		return (f.kind == factSnapshot || f.kind == factInstall) && known(f.more.snap)
	}
	return !l.capturing && !slices.ContainsFunc(l.durable.seldom().snapshots, known) && !slices.ContainsFunc(l.controls, published)
}

func listed(l manifest.Log, number uint64) bool {
	return slices.ContainsFunc(l.Segments, func(s raftlog.Segment) bool { return s.Number == number })
}
