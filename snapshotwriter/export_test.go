package snapshotwriter

import "github.com/rawl-db/rawl/internal/raftlog"

// Promote is what a worker does for a Job with Promote, without the queue.
func (w *Writer) Promote(log raftlog.LogID, id raftlog.EntryID) (raftlog.Snapshot, error) {
	r := w.promote(log, id, w.ended)
	return r.Snapshot, r.Err
}
