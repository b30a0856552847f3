package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/wal"
)

// SlotClaim is a named reader's claim on a log.
type SlotClaim = raftlog.Slot

func capturePath(dir string, id raftlog.LogID, c Snapshot) string {
	return filepath.Join(logDirOf(dir, id), snapshot.FileName(c.Kind, c.ID))
}

// openCapture opens a captured state that is published: what is there has to be what was
// published. Errors: fs.ErrNotExist, fs.ErrPermission, ErrVersion, ErrCorrupt and others that all mean damage.
func openCapture(from vfs.FS, dir string, id raftlog.LogID, c Snapshot) (*snapshot.Reader, error) {
	name := capturePath(dir, id, c)
	if err := checkPlace(from, name); err != nil {
		return nil, err
	}
	r, err := snapshot.Open(from, name, id)
	if err != nil {
		return nil, err
	}
	if got := r.Snapshot(); got != c {
		_ = r.Close() // it was only read
		return nil, fmt.Errorf("%w: %d bytes, %d live entries, published with %d and %d", ErrCorrupt, got.Bytes, got.Live, c.Bytes, c.Live)
	}
	return r, nil
}

// captureDamage describes why a captured state cannot be used.
func (s *survey) captureDamage(l *surveyLog, c Snapshot, err error) Damage {
	d := l.damage(relative(s.dir, capturePath(s.dir, l.id, c)), -1, Range{}, fmt.Sprintf("%v at %v: %v", c.Kind, c.ID, err))
	var corrupt *snapshot.CorruptError
	switch {
	case errors.As(err, &corrupt):
		d.Offset, d.What = corrupt.Offset, fmt.Sprintf("%v at %v: %s", c.Kind, c.ID, corrupt.Reason)
		if corrupt.Chunk != snapshot.NoChunk {
			d.What = fmt.Sprintf("%v at %v: chunk %d: %s", c.Kind, c.ID, corrupt.Chunk, corrupt.Reason)
		}
	case errors.Is(err, fs.ErrNotExist):
		d.What = fmt.Sprintf("%v at %v is missing", c.Kind, c.ID)
	}
	if !l.standsWithout(c) {
		d.Lost = lostRange(1, l.released.Index)
	}
	return d
}

// standsWithout reports whether the log can start without the captured state.
func (l *surveyLog) standsWithout(c Snapshot) bool {
	return l.released.Index == 0 ||
		slices.ContainsFunc(l.snapshots, func(o Snapshot) bool { return o != c && o.ID.Index >= l.released.Index })
}

// readLive reads a snapshot's live set, like recovery.
func (s *survey) readLive(id raftlog.LogID, c Snapshot) *liveSet {
	if c.Live == 0 {
		return nil
	}
	r, err := openCapture(s.fs, s.dir, id, c)
	if err != nil {
		return &liveSet{unknown: err}
	}
	defer r.Close()
	return newLiveSet(r.Meta().Live)
}

// published applies the publication of a captured state, by the rules of replay.
func (v *surveyor) published(l *surveyLog, r *wal.Record) {
	c, err := decodeSnapshot(r)
	if err != nil {
		v.lose(l, Damage{File: v.file(r.File), Offset: -1, Lost: lostRange(l.released.Index+1, 0), What: err.Error()})
		return
	}
	l.snapshots, _ = publishSnapshot(l.snapshots, c, math.MaxInt)
	if c.Kind == KindSnapshot && c.ID.Index >= l.released.Index {
		l.releaseTo(c.ID, v.s.readLive(l.id, c))
	}
}

// settleSnapshots carries out releases that the manifest left to the WAL, like recovery.
func (v *surveyor) settleSnapshots() {
	for _, l := range v.s.logs {
		for _, c := range l.snapshots {
			if c.Kind == KindSnapshot && c.ID.Index > l.released.Index && l.broken == nil && c.ID.Index <= l.last.Index {
				l.releaseTo(c.ID, l.live)
			}
		}
	}
}

// checkCaptures looks for the files of the captured states. A checkpoint that is not there is no
// damage: it was never synced, or was one too many.
func (v *surveyor) checkCaptures() {
	s := v.s
	for _, l := range s.sorted() {
		l.snapshots = slices.DeleteFunc(slices.Clone(l.snapshots), func(c Snapshot) bool {
			if c.Kind == KindSnapshot {
				return false
			}
			_, err := s.fs.Stat(capturePath(s.dir, l.id, c))
			return errors.Is(err, fs.ErrNotExist)
		})
		for _, c := range l.snapshots {
			if c.Kind != KindSnapshot {
				continue
			}
			r, err := openCapture(s.fs, s.dir, l.id, c)
			if err == nil {
				_ = r.Close() // it was only read
				continue
			}
			if errors.Is(err, fs.ErrNotExist) && s.hasNewer(l, c) {
				continue // its owner removed it; the record of the newer one is in a batch not proven yet
			}
			s.unusable = append(s.unusable, capturePath(s.dir, l.id, c))
			s.note(s.captureDamage(l, c, err))
		}
	}
}

// hasNewer reports whether the directory of the log holds a newer snapshot, listed or not.
func (s *survey) hasNewer(l *surveyLog, c Snapshot) bool {
	names, _ := s.fs.List(filepath.Dir(capturePath(s.dir, l.id, c))) // what cannot be listed holds none
	return slices.ContainsFunc(names, func(name string) bool {
		kind, id, partial, ok := snapshot.ParseFileName(name)
		return ok && !partial && kind == KindSnapshot && id.Index > c.ID.Index
	})
}

// keep says what of the log is still needed, like durableFacts.keep.
func (l *surveyLog) keep() keep {
	d := durableFacts{rare: &rareFacts{slots: l.slots}}
	return keepAbove(d.floor(l.released.Index), l.live)
}

// liveEntries are the entries that the newest snapshot keeps below what is released; none when
// they are not known.
func (l *surveyLog) liveEntries() Seq {
	if l.live == nil || l.live.unknown != nil {
		return Seq{}
	}
	return l.live.seq.Limit(l.released.Index)
}

// readable reports whether the log serves entry i, if it holds it.
func (l *surveyLog) readable(i Index) bool {
	return i > l.released.Index || l.live != nil && l.live.unknown == nil && l.live.seq.Contains(i)
}

// claimed are the released entries that somebody still counts on where they are there: live ones, those
// that slots hold, and all while the live ones are not known.
func (l *surveyLog) claimed() Seq {
	k := l.keep()
	all := k.live.Limit(l.released.Index).Clone()
	if k.floor < l.released.Index {
		var held Seq
		held.AddRange(lostRange(k.floor+1, l.released.Index))
		all = all.Union(held)
	}
	return all
}

// missingLive returns the first stretch of live entries that neither a segment nor the write-ahead
// log has a place for, empty for none.
func (l *surveyLog) missingLive() Range {
	var places []Range
	for _, s := range l.segments {
		places = append(places, s.Range)
	}
	for _, r := range l.runs {
		places = append(places, lostRange(r.first, r.last))
	}
	for r := range l.liveEntries().Ranges() {
		for len(places) > 0 && places[0].Last < r.First {
			places = places[1:]
		}
		for _, p := range places {
			if p.First > r.First {
				return lostRange(r.First, min(r.Last, p.First-1))
			}
			if r.First = p.Last + 1; r.Empty() {
				break
			}
		}
		if !r.Empty() {
			return r
		}
	}
	return Range{}
}
