package segwriter

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

// LogDir returns the name of a log's directory below dir.
func LogDir(dir string, id raftlog.LogID) string {
	return filepath.Join(dir, segment.DirName(id))
}

// Path returns the name of a log's segment file below dir.
func Path(dir string, id raftlog.LogID, number uint64) string {
	return filepath.Join(dir, segment.DirName(id), segment.FileName(number))
}

// Orphan is a segment file or a log's directory that nothing refers to.
type Orphan struct {
	// Path is what to remove.
	Path string
	ID   raftlog.LogID
	// Number is the segment's; 0 for the directory itself.
	Number uint64
	// Dir tells the directory from a segment.
	Dir bool
}

// Orphans lists the segment files below dir that live does not know, and the directories of
// logs that alive does not know, contents first. Names that are not of this format are left
// alone; a directory that holds one cannot be removed and stays. No flush or compaction may be running.
// Errors: those of listing, but a missing dir has no orphans.
func Orphans(fsys vfs.FS, dir string, alive func(raftlog.LogID) bool,
	live func(id raftlog.LogID, number uint64) bool) ([]Orphan, error) {
	logs, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var orphans []Orphan
	for _, name := range logs {
		id, ok := segment.ParseDirName(name)
		if !ok {
			continue
		}
		path := filepath.Join(dir, name)
		info, err := fsys.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.Dir {
			continue
		}
		files, err := fsys.List(path)
		if err != nil {
			return nil, err
		}
		exists := alive(id)
		for _, file := range files {
			if n, ok := segment.ParseFileName(file); ok && (!exists || !live(id, n)) {
				orphans = append(orphans, Orphan{Path: filepath.Join(path, file), ID: id, Number: n})
			}
		}
		if !exists {
			orphans = append(orphans, Orphan{Path: path, ID: id, Dir: true})
		}
	}
	return orphans, nil
}

// Remove removes files and empty directories, in order. What is gone already is no error. It
// goes on after a failure and joins the errors. No directory is synced: a file that comes back
// after a power cut is an orphan again.
func Remove(fsys vfs.FS, paths []string) error {
	var errs []error
	for _, path := range paths {
		if err := fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
