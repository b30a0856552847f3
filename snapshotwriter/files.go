package snapshotwriter

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs"
)

// LogDir is the name of a log's directory.
func (w *Writer) LogDir(log raftlog.LogID) string {
	return filepath.Join(w.o.Dir, w.o.DirName(log))
}

// Path is the name of a finished file.
func (w *Writer) Path(log raftlog.LogID, kind raftlog.SnapshotKind, id raftlog.EntryID) string {
	return filepath.Join(w.LogDir(log), snapshot.FileName(kind, id))
}

// Found is a file of this format in a log's directory, as its name and length tell.
type Found struct {
	Path  string
	Kind  raftlog.SnapshotKind
	ID    raftlog.EntryID
	Stage snapshot.Stage
	Bytes int64
}

// List returns the files of this format in a log's directory, by kind, then by index and term.
// Names of other formats, and what is no regular file, are left out; a missing directory holds nothing.
// Errors: those of the file system.
func List(fsys vfs.FS, dir string) ([]Found, error) {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []Found
	for _, name := range names {
		kind, id, stage, ok := snapshot.ParseName(name)
		if !ok {
			continue
		}
		path := filepath.Join(dir, name)
		info, err := fsys.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Regular {
			found = append(found, Found{Path: path, Kind: kind, ID: id, Stage: stage, Bytes: info.Size})
		}
	}
	slices.SortFunc(found, compareFound)
	return found, nil
}

func compareFound(a, b Found) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID.Index, b.ID.Index),
		cmp.Compare(a.ID.Term, b.ID.Term), cmp.Compare(a.Stage, b.Stage))
}

// SetAside renames a finished file that proved damaged, in place of one set aside before, so that
// nothing takes it for sound and somebody may look at it. The directory is not synced. It returns the
// new name.
func SetAside(fsys vfs.FS, path string) (string, error) {
	aside := path + snapshot.BadSuffix
	return aside, fsys.Rename(path, aside)
}
