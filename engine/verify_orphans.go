package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/snapshot"
)

// orphans lists the files below logs/ that the manifest does not name, and reports what has a
// log's place and is no directory.
func (v *verifier) orphans() error {
	root := filepath.Join(v.s.dir, logsDir)
	info, err := v.s.fs.Stat(root)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Dir {
		v.s.note(Damage{File: logsDir, Offset: -1, What: "is no directory"})
		return nil
	}
	names, err := v.s.fs.List(root)
	if err != nil {
		return fmt.Errorf("engine: verify: %w", err)
	}
	for _, name := range names {
		if err := v.orphansOf(root, name); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) orphansOf(root, name string) error {
	dir := filepath.Join(root, name)
	id, ok := segment.ParseDirName(name)
	info, err := v.s.fs.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !ok || err != nil || !info.Dir {
		v.r.Orphans = append(v.r.Orphans, relative(v.s.dir, dir))
		return nil
	}
	files, err := v.s.fs.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("engine: verify: %w", err)
	}
	l, known := v.s.manifest.Log(id)
	var captured []Snapshot
	if s := v.s.logs[id]; s != nil {
		captured = s.snapshots
	}
	for _, file := range files {
		if listedCapture(captured, file) {
			continue
		}
		if n, ok := segment.ParseFileName(file); !ok || !(known && listed(l, n)) && !v.installed(id, n) {
			v.r.Orphans = append(v.r.Orphans, relative(v.s.dir, filepath.Join(dir, file)))
		}
	}
	return nil
}

// installed reports whether an installed snapshot brought the segment.
func (v *verifier) installed(id raftlog.LogID, number uint64) bool {
	l := v.s.logs[id]
	return l != nil && slices.ContainsFunc(l.installed, func(s raftlog.Segment) bool { return s.Number == number })
}

// listedCapture reports whether a file is that of a captured state in the list.
func listedCapture(list []Snapshot, file string) bool {
	kind, id, partial, ok := snapshot.ParseFileName(file)
	return ok && !partial && slices.ContainsFunc(list, func(c Snapshot) bool { return c.Kind == kind && c.ID == id })
}
