package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
)

// reasonState is why a log is set apart whose captured states are all damaged.
const reasonState = "its captured state is damaged: install one, or delete the log"

// foundCaptures are the captured states of a log, from their files.
type foundCaptures struct {
	sound   []Snapshot // as publication leaves them, ascending
	uid     UID        // the name that they agree on
	damaged bool       // a snapshot was found that is not sound
}

// findCaptures reads the finished captured states in a log's directory, wholly.
func (r *repairer) findCaptures(id raftlog.LogID) (f foundCaptures) {
	names, err := r.fs.List(r.logDir(id))
	if err != nil {
		return f
	}
	for _, name := range names {
		kind, at, partial, ok := snapshot.ParseFileName(name)
		if !ok || partial {
			continue
		}
		c, uid, err := r.readCapture(id, filepath.Join(r.logDir(id), name))
		if err != nil {
			r.warn("%s cannot be used: %v", relative(r.dir, filepath.Join(r.logDir(id), name)), err)
			f.damaged = f.damaged || kind == KindSnapshot
			continue
		}
		if c.Kind != kind || c.ID != at {
			continue
		}
		f.sound, _ = publishSnapshot(f.sound, c, math.MaxInt)
		f.uid = uid
	}
	newest := newestSnapshot(f.sound)
	f.sound = slices.DeleteFunc(f.sound, func(c Snapshot) bool {
		return c.ID.Index < newest.Index || c.ID == newest && c.Kind != KindSnapshot
	})
	return f
}

func (r *repairer) readCapture(id raftlog.LogID, name string) (Snapshot, UID, error) {
	if err := checkPlace(r.fs, name); err != nil {
		return Snapshot{}, "", err
	}
	in, err := snapshot.Open(r.fs, name, id)
	if err != nil {
		return Snapshot{}, "", err
	}
	defer in.Close()
	return in.Snapshot(), in.Meta().UID, in.Verify(context.Background())
}

// newestSnapshot is the entry of the newest snapshot in the list, zero for none.
func newestSnapshot(list []Snapshot) (id EntryID) {
	for _, c := range list {
		if c.Kind == KindSnapshot {
			id = later(id, c.ID)
		}
	}
	return id
}

// view is the log as the offline calls see it.
func (r *repairer) view(l manifest.Log) *surveyLog {
	v := &surveyLog{id: l.ID, uid: l.UID, released: l.Released, snapshots: l.Snapshots, slots: l.Slots}
	for _, c := range slices.Backward(l.Snapshots) {
		if c.Kind == KindSnapshot {
			v.live = (&survey{fs: r.fs, dir: r.dir}).readLive(l.ID, c)
			break
		}
	}
	return v
}

// stateful reports whether a machine can start: nothing is released, or a captured state covers it.
func stateful(l manifest.Log) bool {
	return l.Released.Index == 0 ||
		slices.ContainsFunc(l.Snapshots, func(c Snapshot) bool { return c.ID.Index >= l.Released.Index })
}

func stateLoss(l manifest.Log) *manifest.Quarantine {
	return &manifest.Quarantine{Lost: lostRange(1, l.Released.Index), Reason: reasonState}
}

// ofState reports whether a log was set apart for its captured state: all that is lost is released.
func ofState(lost Range, released Index) bool {
	return lost.First > 0 && !lost.Empty() && lost.Last <= released
}

// soundCaptures returns the list without what does not verify, and the files of that.
func (r *repairer) soundCaptures(l manifest.Log) (sound []Snapshot, bad []string) {
	s := &survey{fs: r.fs, dir: r.dir}
	view := r.view(l)
	for _, c := range l.Snapshots {
		err := s.checkCapture(view, c)
		if err == nil {
			sound = append(sound, c)
			continue
		}
		r.warn("log %s: %v at %v is set aside: %v", l.UID, c.Kind, c.ID, err)
		bad = append(bad, capturePath(r.dir, l.ID, c))
	}
	return sound, bad
}

// setAside gives damaged files that nothing names any more another name.
func (r *repairer) setAside(names []string) error {
	for _, name := range names {
		if err := r.fs.Rename(name, name+snapshot.BadSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("engine: repair: %w", err)
		}
	}
	return nil
}
