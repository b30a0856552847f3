package engine

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

// retiredFile is a segment or a captured state that nobody needs any more: no view lists it, no
// reader has it open, no plan pins it.
type retiredFile struct {
	path string
	dir  *goneDir // nil when its log lives on
}

// goneDir is the directory of a deleted log, removed with the last of its files. It belongs to the
// flusher's goroutine.
type goneDir struct {
	path  string
	files int // not removed yet
}

// retire has a segment file removed once nobody needs it: by this call when that is so already,
// else by a later Step. No view lists it any more.
func (f *flusher) retire(id raftlog.LogID, number uint64, dir *goneDir) {
	r := retiredFile{path: filepath.Join(f.e.logDir(id), segment.FileName(number)), dir: dir}
	f.e.cache.Retire(id, number, func() { // on the goroutine of whoever was the last to need it
		f.mu.Lock()
		f.mu.retired = append(f.mu.retired, r)
		f.mu.Unlock()
		f.signal()
	})
	f.removeRetired()
}

// removeRetired removes the files that became free since the last call.
func (f *flusher) removeRetired() {
	f.mu.Lock()
	retired := f.mu.retired
	f.mu.retired = nil
	f.mu.Unlock()
	for _, r := range retired {
		f.removeFile(r.path)
		if r.dir != nil {
			if r.dir.files--; r.dir.files == 0 {
				f.removeFile(r.dir.path)
			}
		}
	}
}

// removeFile removes a file or an empty directory. What cannot be removed stays as an orphan for
// the sweep of the next open. While a backup runs it happens at its end.
func (f *flusher) removeFile(name string) {
	f.e.held.do(func() {
		if err := f.e.device.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.e.opts.Logger.Warn("cannot remove file", "err", err)
		}
	})
}

// removeDir removes the directory of a log that is gone with the files in it, those that somebody
// still needs later.
func (f *flusher) removeDir(id raftlog.LogID) {
	dir := &goneDir{path: f.e.logDir(id)}
	names, err := f.e.device.fs.List(dir.path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var segments []uint64
	for _, name := range names {
		if n, ok := segment.ParseFileName(name); ok {
			segments = append(segments, n)
		} else {
			f.removeFile(filepath.Join(dir.path, name))
		}
	}
	if dir.files = len(segments); dir.files == 0 {
		f.removeFile(dir.path)
	}
	for _, n := range segments {
		f.retire(id, n, dir)
	}
}
