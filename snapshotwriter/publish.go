package snapshotwriter

import (
	"github.com/rawl-db/rawl/internal/raftlog"
)

// publish gives an unfinished file, closed and for durable ones synced, its finished name, which
// nothing has. On an error neither name is left, as far as they can be removed.
func (w *Writer) publish(log raftlog.LogID, unfinished, final string, durable bool) error {
	err := w.o.FS.Rename(unfinished, final)
	if err == nil && durable {
		err = w.syncDirs(log)
	}
	if err != nil {
		w.remove(unfinished)
		w.remove(final)
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.mu.poisoned, final) // it is another file now
	return nil
}

// syncDirs makes the names in a log's directory durable, and that of the directory: who made it
// may not have come to that yet.
func (w *Writer) syncDirs(log raftlog.LogID) error {
	if err := w.o.FS.SyncDir(w.LogDir(log)); err != nil {
		return err
	}
	return w.o.FS.SyncDir(w.o.Dir)
}

// remove removes a file that does not count. One that stays has the name of an unfinished file, or is referred to by nothing.
func (w *Writer) remove(path string) { _ = w.o.FS.Remove(path) }
