package snapshotwriter

import (
	"context"
	"fmt"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs"
)

// promote turns the checkpoint at id into a snapshot: it verifies all of it, syncs and renames it, and syncs
// the directory; what it returns is durable. It takes the live entries from the file that it verified: to read them again once it has its
// new name could fail.
func (w *Writer) promote(log raftlog.LogID, id raftlog.EntryID, stopped func() error) (r Result) {
	r.Snapshot, r.Live, r.Err = w.rename(log, id, stopped)
	return r
}

func (w *Writer) rename(log raftlog.LogID, id raftlog.EntryID, stopped func() error) (s raftlog.Snapshot, live raftlog.Seq, err error) {
	from, to := w.Path(log, raftlog.KindCheckpoint, id), w.Path(log, raftlog.KindSnapshot, id)
	for _, path := range []string{from, to} {
		if err := w.claim(path); err != nil {
			return raftlog.Snapshot{}, live, err
		}
		defer w.release(path)
	}
	if w.isPoisoned(from) {
		return raftlog.Snapshot{}, live, fmt.Errorf("%w: %s", ErrPoisoned, from)
	}
	if err := w.absent(to); err != nil {
		return raftlog.Snapshot{}, live, err
	}
	s, live, err = w.verify(from, log, stopped)
	if err != nil {
		return raftlog.Snapshot{}, live, err
	}
	if err := w.syncFile(from); err != nil {
		return raftlog.Snapshot{}, live, err
	}
	err = w.o.FS.Rename(from, to)
	if err == nil {
		err = w.syncDirs(log)
	}
	if err != nil {
		_ = w.o.FS.Rename(to, from) // it is the checkpoint it was, or a snapshot that nobody refers to
		return raftlog.Snapshot{}, live, err
	}
	s.Kind = raftlog.KindSnapshot
	return s, live, nil
}

// verify reads a finished file and checks all of it. It returns its live entries, too.
func (w *Writer) verify(path string, log raftlog.LogID, stopped func() error) (s raftlog.Snapshot, live raftlog.Seq, err error) {
	r, err := snapshot.Open(w.o.FS, path, log)
	if err != nil {
		return raftlog.Snapshot{}, live, err
	}
	defer r.Close()
	err = r.VerifyPaced(context.Background(), func(n int) error { return w.pace(n, stopped) })
	return r.Snapshot(), r.Meta().Live, err
}

// syncFile syncs a checkpoint. One whose sync failed is removed, and refused if that fails too. Errors: ErrPoisoned, with that of the
// sync; that of opening it.
func (w *Writer) syncFile(path string) error {
	f, err := w.o.FS.Open(path, vfs.OpenOptions{Write: true})
	if err != nil {
		return err
	}
	err = f.Datasync()
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		return nil
	}
	if w.o.FS.Remove(path) != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.mu.poisoned[path] = struct{}{}
	}
	return fmt.Errorf("%w: %s: %w", ErrPoisoned, path, err)
}

func (w *Writer) isPoisoned(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, yes := w.mu.poisoned[path]
	return yes
}
