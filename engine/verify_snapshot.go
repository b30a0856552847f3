package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/rawl-db/rawl/internal/segment"
)

// captures reads a log's captured states wholly. What the survey found out about snapshots is noted.
func (v *verifier) captures(l *surveyLog) error {
	for _, c := range l.snapshots {
		if slices.Contains(v.s.unusable, capturePath(v.s.dir, l.id, c)) {
			continue
		}
		err := v.s.checkCapture(l, c)
		switch {
		case err == nil:
			v.r.Snapshots++
			v.r.SnapshotBytes += c.Bytes
		case errors.Is(err, fs.ErrPermission):
			return fmt.Errorf("engine: verify: %w", err)
		case v.replaced(l, c), errors.Is(err, fs.ErrNotExist) && v.s.hasNewer(l, c):
		case c.Kind == KindSnapshot:
			v.s.note(v.s.captureDamage(l, c, err))
		case len(v.r.Passed) < maxListed:
			v.r.Passed = append(v.r.Passed, v.s.captureDamage(l, c, err))
		}
	}
	return nil
}

// checkCapture reads a captured state wholly.
func (s *survey) checkCapture(l *surveyLog, c Snapshot) error {
	r, err := openCapture(s.fs, s.dir, l.id, c)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Meta().UID != l.uid {
		return fmt.Errorf("%w: it belongs to log %s", ErrCorrupt, r.Meta().UID)
	}
	return r.Verify(context.Background())
}

// replaced reports whether the owner has let go of a captured state since the survey.
func (v *verifier) replaced(l *surveyLog, c Snapshot) bool {
	if _, err := v.s.fs.Stat(capturePath(v.s.dir, l.id, c)); !errors.Is(err, fs.ErrNotExist) {
		return false // a file that was taken off is removed at once, or still read
	}
	now, err := takeSurvey(v.s.fs, v.s.dir, v.o.WALDir, "")
	if err != nil {
		return false
	}
	defer now.close()
	n := now.logs[l.id]
	return n == nil || !slices.Contains(n.snapshots, c)
}

// live notes live entries for which there is no place at all.
func (v *verifier) live(l *surveyLog) {
	live := l.liveEntries()
	for _, r := range l.runs {
		n := live.Floor(r.first).Limit(r.last).Len()
		v.r.Live += n
		v.r.Entries += n
	}
	if lost := l.missingLive(); !lost.Empty() {
		v.s.note(l.damage(v.s.manifestReport.File, -1, lost, "live entries are in no segment and not in the write-ahead log"))
	}
}

// scanBelow reads the released entries of a segment that are still claimed. Only live ones have to
// be there.
func (c *segmentCheck) scanBelow(r *segment.Reader, claimed Seq, l *surveyLog, bad func(int64, Range, error)) {
	live := l.liveEntries().Floor(claimed.First()).Limit(claimed.Last())
	at := claimed.First() - 1
	absent := func(upTo Index) {
		if gone := live.Floor(at + 1).Limit(upTo); !gone.Empty() {
			bad(-1, lostRange(gone.First(), gone.Last()), errHole)
		}
	}
	for e, err := range r.Scan(lostRange(claimed.First(), claimed.Last())) {
		var damage *segment.CorruptError
		switch {
		case errors.As(err, &damage):
			absent(damage.Range.First - 1)
			if hit := claimed.Floor(damage.Range.First).Limit(damage.Range.Last); !hit.Empty() {
				bad(damage.Offset, lostRange(hit.First(), hit.Last()), errors.New(damage.Reason))
			}
			at = max(at, damage.Range.Last)
			continue
		case err != nil:
			bad(-1, lostRange(claimed.Floor(at+1).First(), claimed.Last()), err)
			return
		}
		absent(e.Index - 1)
		at = e.Index
		if live.Contains(at) {
			c.live++
			c.entries++
		}
	}
	absent(claimed.Last())
}
