package segwriter

import "fmt"

// syncDirs makes the names of new files durable, at most limit directories per call, and the
// names of new directories last. It returns whether all is done.
func (w *Writer) syncDirs(limit int) bool {
	for ; w.dirs < len(w.jobs) && limit > 0; w.dirs++ {
		j := &w.jobs[w.dirs]
		if !j.newFile {
			continue
		}
		limit--
		if err := w.o.FS.SyncDir(LogDir(w.o.Dir, j.task.ID)); err != nil {
			w.undo(j, err)
		}
	}
	if w.dirs < len(w.jobs) {
		return false
	}
	w.syncRoot()
	return true
}

// syncRoot syncs the parent if a log's directory may be new.
func (w *Writer) syncRoot() {
	var err error
	synced := false
	for i := range w.jobs {
		j := &w.jobs[i]
		if !j.newDir {
			continue
		}
		if !synced {
			err, synced = w.o.FS.SyncDir(w.o.Dir), true
		}
		if err != nil {
			w.undo(j, err)
		}
	}
}

// undo takes a job's success back because a directory could not be synced.
func (w *Writer) undo(j *job, err error) {
	*j.res = Result{
		ID: j.res.ID, Segments: j.task.Segments, NextSegment: j.res.NextSegment, Bytes: j.res.Bytes,
	}
	if j.newDir = false; j.gone() {
		j.res.Gone = true
	} else {
		j.res.Err = fmt.Errorf("segwriter: log %d: %w", j.task.ID, err)
	}
	w.discard(j)
}
