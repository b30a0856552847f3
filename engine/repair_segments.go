package engine

import (
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

// findSegments lists the segments of a log from its files, with the name that they agree on,
// and the number for the next one.
func (r *repairer) findSegments(id raftlog.LogID) (found []raftlog.Segment, uid UID, next uint64) {
	next = 1
	names, err := r.fs.List(r.logDir(id))
	if err != nil {
		return nil, "", next
	}
	for _, name := range names {
		number, ok := segment.ParseFileName(name)
		if !ok {
			continue
		}
		next = max(next, number+1)
		name = filepath.Join(r.logDir(id), name)
		h, s, err := segment.Survey(r.fs, name)
		switch {
		case err != nil || h.ID != id || h.Number != number:
			r.warn("%s cannot be used: %v, header of segment %d of log %d", relative(r.dir, name), err, h.Number, h.ID)
			continue
		case s.Range.Empty():
			continue
		}
		uid = h.UID
		found = r.place(id, found, s)
	}
	return found, uid, next
}

// place puts s, whose number is above all in found, into the list. A flush appends, or replaces
// what a truncation cut off; a compaction copies what was there to a segment of a higher number.
func (r *repairer) place(id raftlog.LogID, found []raftlog.Segment, s raftlog.Segment) []raftlog.Segment {
	n := len(found)
	if n == 0 || s.Range.Last > found[n-1].Range.Last || r.rewrites(id, found, s) {
		return append(cutSegments(found, s.Range.First-1), s)
	}
	from, to := 0, n
	for from < n && found[from].Range.Last < s.Range.First {
		from++
	}
	for to > from && found[to-1].Range.First > s.Range.Last {
		to--
	}
	for _, o := range found[from:to] {
		if o.Range.First < s.Range.First || o.Range.Last > s.Range.Last {
			return found // the copy did not come to its end: its sources are all there
		}
	}
	return slices.Concat(found[:from], []raftlog.Segment{s}, found[to:])
}

// rewrites reports whether s holds other entries than those found: the terms tell. What cannot be
// read counts as rewritten.
func (r *repairer) rewrites(id raftlog.LogID, found []raftlog.Segment, s raftlog.Segment) bool {
	made, err := r.openFound(id, s)
	if err != nil {
		return true
	}
	defer made.Close()
	for _, o := range found {
		if o.Range.Last < s.Range.First {
			continue
		}
		old, err := r.openFound(id, o)
		if err != nil {
			return true
		}
		differs := o.Range.First > s.Range.Last && fallsBehind(made, old) || contradicts(made, old)
		if err := old.Close(); err != nil || differs {
			return true
		}
		if o.Range.First > s.Range.Last {
			return false
		}
	}
	return false
}

func (r *repairer) openFound(id raftlog.LogID, s raftlog.Segment) (*segment.Reader, error) {
	return openSegment(r.fs, filepath.Join(r.logDir(id), segment.FileName(s.Number)), id, s)
}

// fallsBehind reports whether next, whose indexes are above, cannot follow made: terms never fall.
func fallsBehind(made, next *segment.Reader) bool {
	last, err := made.Term(made.Segment().Range.Last)
	first, nextErr := next.Term(next.Segment().Range.First)
	return err != nil || nextErr != nil || first < last
}

// contradicts reports whether two segments have entries of one index with different terms.
func contradicts(made, old *segment.Reader) bool {
	common := made.Segment().Range.Intersect(old.Segment().Range)
	for i := common.First; !common.Empty() && i <= common.Last; i++ {
		next, at, err := made.Next(i)
		if err != nil || next > common.Last {
			return false
		}
		if term, err := old.Term(next); err == nil && term != at.Term {
			return true
		}
		i = next
	}
	return false
}

// solidFrom returns where the entries begin that follow one another to the end of the segments.
func (r *repairer) solidFrom(id raftlog.LogID, segs []raftlog.Segment) Index {
	solid := segs[len(segs)-1].Range.Last + 1
	for _, s := range slices.Backward(segs) {
		from := r.solidIn(id, s)
		if s.Range.Last+1 != solid || from == 0 {
			return solid
		}
		if solid = from; from != s.Range.First {
			return solid
		}
	}
	return solid
}

// solidIn is solidFrom of one segment, 0 when it cannot be read. Damage is no hole.
func (r *repairer) solidIn(id raftlog.LogID, s raftlog.Segment) Index {
	in, err := r.openFound(id, s)
	if err != nil {
		return 0
	}
	defer in.Close()
	solid := s.Range.First
	for at := s.Range.First; at <= s.Range.Last; at++ {
		next, _, err := in.Next(at)
		if next == 0 {
			return solid
		}
		if err == nil && next > at {
			solid = next
		}
		at = next
	}
	return solid
}

// matchLog finds the log's last entry, from where on it begins, and from which batch on its records
// count. stateLost says that a captured state was found damaged.
func (r *repairer) matchLog(l *manifest.Log, t *walTrace, stateLost bool) {
	r.matchStart(l, t, stateLost)
	if len(l.Segments) == 0 {
		l.Last = l.Released
		return
	}
	view, at := r.view(*l), l.Released
	for _, s := range l.Segments {
		c := checkSegment(r.fs, r.dir, view, s, at)
		if c.broken != nil && l.Quarantine == nil {
			l.Quarantine = &manifest.Quarantine{Lost: lostRange(c.sound.Index+1, 0), Reason: c.broken.Error()}
		}
		at = c.last
	}
	l.Last = at
	for _, end := range slices.Backward(t.ends) {
		if end.last != at {
			continue
		}
		l.AsOf, l.Applied = end.batch, max(l.Applied, end.applied)
		l.HardState = manifest.MergeHardState(l.HardState, end.hard)
		if end.released.Index >= l.Released.Index {
			l.Released = end.released
			l.Segments = r.view(*l).keep().segments(l.Segments)
		}
		return
	}
}

// matchStart finds what the log has released. What a snapshot releases beyond that is left to recovery,
// as long as entries below it may be in WAL files only.
func (r *repairer) matchStart(l *manifest.Log, t *walTrace, stateLost bool) {
	state, flushed := newestSnapshot(l.Snapshots), Index(0)
	if n := len(l.Segments); n > 0 {
		flushed = l.Segments[n-1].Range.Last
		solid := r.solidFrom(l.ID, l.Segments)
		first := l.Segments[0].Range.First
		switch {
		case l.Released.Index+1 >= solid:
		case state.Index+1 >= solid && state.Index <= flushed:
			l.Released = state
		case state.Index+1 >= solid || stateLost:
			l.Released = EntryID{Index: solid - 1} // its term is lost
		case l.Released.Index+1 < first:
			l.Released = EntryID{Index: first - 1}
		}
	} else if t.follows > l.Released.Index && !t.created {
		l.Released = EntryID{Index: t.follows}
	}
	if state.Index > max(flushed, t.now.last.Index) {
		l.Released = later(l.Released, state)
	}
}
