package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/snapshotwriter"
)

// Promote makes a checkpoint a snapshot: it is verified, synced and published, and done hears of it
// like Capture.Done. It returns without waiting. A checkpoint that can never become one, being damaged, or gone, or not
// synced when that was tried, is set aside before done hears of it: there may be an older one. Errors: ErrNotFound (there is no
// checkpoint at that index), and those of Capture; done's are ErrCorrupt too.
func (l *Log) Promote(at Index, done func(Snapshot, error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	for _, s := range l.durable.seldom().snapshots {
		if s.Kind != KindCheckpoint || s.ID.Index != at {
			continue
		}
		c := Capture{Kind: KindSnapshot, At: s.ID, Done: done}
		if err := l.acceptCaptureLocked(&c); err != nil {
			return err
		}
		job := snapshotwriter.Job{Meta: snapshot.Meta{Kind: KindSnapshot, Log: l.id, ID: s.ID}, Promote: true}
		err := l.enqueue(job, func(r snapshotwriter.Result) { l.promoted(&c, r) })
		if err == nil {
			l.capturing, l.capturingLive = true, s.Live > 0
		}
		return err
	}
	return fmt.Errorf("%w: checkpoint at %d in log %s", ErrNotFound, at, l.uid)
}

// promoted goes on when a checkpoint has become a snapshot, or could not.
func (l *Log) promoted(c *Capture, r snapshotwriter.Result) {
	checkpoint, done := Snapshot{Kind: KindCheckpoint, ID: c.At}, c.Done
	switch {
	case r.Err == nil:
		l.mu.Lock()
		if r.Err = l.checkLiveLocked(r.Live); r.Err != nil { // a release has passed over them
			l.forgetCaptureLocked(checkpoint)
			l.e.captures.retire(l.snapshotPath(r.Snapshot))
		}
		l.mu.Unlock()
	case spoilt(r.Err):
		done = func(s Snapshot, err error) { // the promotion has ended: its file may have another name
			l.setAside(checkpoint, err)
			if c.Done != nil {
				c.Done(s, err)
			}
		}
	}
	l.concluded(r, newLiveSet(r.Live), done)
}

// spoilt reports whether a checkpoint whose promotion failed so can never be promoted.
func spoilt(err error) bool {
	never := []error{ErrCorrupt, snapshotwriter.ErrUnfinished, snapshotwriter.ErrPoisoned, fs.ErrNotExist}
	return slices.ContainsFunc(never, func(e error) bool { return errors.Is(err, e) })
}

// makeRoom removes the finished file that is in a job's way when nothing refers to it. Where a promotion could not be undone that file
// is the checkpoint, and has its name back. It reports whether the way is free.
func (l *Log) makeRoom(j *snapshotwriter.Job) bool {
	if j.Promote {
		s := Snapshot{Kind: KindCheckpoint, ID: j.Meta.ID}
		if _, err := l.e.device.fs.Stat(l.snapshotPath(s)); err != nil {
			return l.undoPromotion(s)
		}
	}
	return l.dropLeftover(j.Meta.Kind, j.Meta.ID)
}

// undoPromotion gives a checkpoint its name back that a promotion had renamed, and reports whether it did. What it cannot rename it
// leaves: the checkpoint is missed like any lost one.
func (l *Log) undoPromotion(s Snapshot) bool {
	dev, promoted := l.e.device.fs, s
	promoted.Kind = KindSnapshot
	if _, err := dev.Stat(l.snapshotPath(s)); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if _, err := dev.Stat(l.snapshotPath(promoted)); err != nil {
		return false
	}
	err := dev.Rename(l.snapshotPath(promoted), l.snapshotPath(s))
	if err != nil {
		l.e.opts.Logger.Warn("a checkpoint is lost to a promotion that did not end", "uid", string(l.uid), "at", s.ID.Index, "err", err)
	}
	return err == nil
}
