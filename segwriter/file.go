package segwriter

import (
	"errors"
	"io/fs"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

// file is a segment file that a flush writes to.
type file struct {
	job      *job
	f        vfs.File
	path     string
	seg      raftlog.Segment // as it will be listed
	created  bool            // by this flush; else it is appended to
	chunks   int             // submitted
	entries  int             // in them
	inflight int             // operations submitted and not reaped
	fed      bool            // no more chunks will come
	synced   bool            // nothing is left to sync
	syncing  bool            // its datasync is submitted or waits to be
	failed   bool            // a write or sync failed; it is not touched again
}

type fileKey struct {
	id     raftlog.LogID
	number uint64
}

// target returns the segment that takes entry i next: the file being fed, the last one of
// the list if it may be appended to, or nil for a new file.
func (w *Writer) target(j *job, i raftlog.Index) *raftlog.Segment {
	if j.file != nil {
		return &j.file.seg
	}
	n := len(j.list)
	if n == 0 || len(j.files) > 0 || j.retrying {
		return nil
	}
	s := &j.list[n-1]
	if w.full(s) || s.Range.Empty() || i > s.Range.Last+1 || s.Bytes < segment.BlockSize ||
		s.Bytes%segment.BlockSize != 0 {
		return nil
	}
	if _, bad := w.poisoned[fileKey{j.task.ID, s.Number}]; bad {
		return nil
	}
	return s
}

func (w *Writer) full(s *raftlog.Segment) bool {
	return s.Entries >= w.o.MaxEntries || s.Bytes >= w.o.MaxBytes
}

// openFile opens or creates the file that target chose.
func (w *Writer) openFile(j *job, s *raftlog.Segment) error {
	f := &file{job: j}
	var err error
	if s != nil {
		f.seg, f.path = *s, Path(w.o.Dir, j.task.ID, s.Number)
		f.f, err = w.direct(func(direct bool) (vfs.File, error) {
			return w.o.FS.Open(f.path, vfs.OpenOptions{Write: true, Direct: direct})
		})
	} else {
		err = w.create(j, f)
	}
	if err != nil {
		return err
	}
	j.file, j.files, j.open = f, append(j.files, f), j.open+1
	if f.created {
		j.list = append(j.list, f.seg)
	}
	return nil
}

func (w *Writer) create(j *job, f *file) error {
	if len(j.task.Segments) == 0 && !j.newDir {
		if err := w.o.FS.MkdirAll(LogDir(w.o.Dir, j.task.ID)); err != nil {
			return err
		}
		j.newDir = true
	}
	f.seg = raftlog.Segment{Number: j.next}
	f.path = Path(w.o.Dir, j.task.ID, j.next)
	j.next++
	f.created, j.newFile = true, true
	var err error
	f.f, err = w.createFile(f.path)
	return err
}

// createFile creates a segment file whose number no list names.
func (w *Writer) createFile(path string) (vfs.File, error) {
	create := func(direct bool) (vfs.File, error) {
		return w.o.FS.Create(path, vfs.CreateOptions{Direct: direct})
	}
	f, err := w.direct(create)
	if errors.Is(err, fs.ErrExist) {
		// A flush or compaction that a crash cut off left the file.
		if err = w.o.FS.Remove(path); err == nil {
			f, err = w.direct(create)
		}
	}
	return f, err
}

// direct opens a file as the options say, through the cache where the system cannot else.
func (w *Writer) direct(open func(direct bool) (vfs.File, error)) (vfs.File, error) {
	if w.o.Direct && !w.noDirect {
		f, err := open(true)
		if !errors.Is(err, vfs.ErrUnsupported) {
			return f, err
		}
		w.noDirect = true
	}
	return open(false)
}

// advance moves a file on when it has been fed and nothing of it is in flight.
func (w *Writer) advance(f *file) {
	j := f.job
	if j.err != nil {
		f.fed = true
	}
	if !f.fed || f.inflight > 0 || f.f == nil {
		return
	}
	if j.err == nil && !f.synced {
		if !f.syncing {
			f.syncing = true
			w.syncs = append(w.syncs, f)
		}
		return
	}
	_ = f.f.Close() // nothing depends on it: the data is synced, or does not count
	f.f = nil
	j.open--
	if j.open == 0 && j.fed {
		w.settle(j)
	}
}

// discard removes the files that an attempt created in vain, and remembers the one it could
// not append to for as long as it is listed.
func (w *Writer) discard(j *job) {
	for _, f := range j.files {
		if f.created {
			_ = w.o.FS.Remove(f.path) // what stays is an orphan
		} else if f.failed && !j.res.Gone {
			w.poisoned[fileKey{j.task.ID, f.seg.Number}] = struct{}{}
		}
	}
	j.files = nil
}
