package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

// VerifyOptions says where to look and who hears of it.
type VerifyOptions struct {
	// WALDir is what Options.WALDir was when the engine was opened.
	WALDir string
	// Progress is called on the caller's goroutine after the manifest and the WAL files were read
	// and after each log. Default none.
	Progress func(VerifyProgress)
}

// VerifyProgress is how far Verify has come.
type VerifyProgress struct {
	// Logs of AllLogs are verified; Log is the newest of them, empty before the first.
	Logs, AllLogs int
	Log           UID
	// Bytes of segments and captured states were verified, and Damage counts what was found so far.
	Bytes  int64
	Damage int
}

// VerifyReport is what Verify found.
type VerifyReport struct {
	Dir string
	Use Use
	// Files of the write-ahead log hold Batches; Torn of them were cut, see Inspection.
	Files, Batches, Torn int
	ManifestTorn         bool
	// Logs hold Entries, in Segments of SegmentBytes committed bytes and in the write-ahead log; Live of
	// them are below a snapshot, which needs them.
	Logs, Segments int
	Entries, Live  uint64
	SegmentBytes   int64
	// Snapshots counts the sound captured states of all kinds, SnapshotBytes their files' lengths.
	Snapshots     int
	SnapshotBytes int64
	// Passed are checkpoints that do not verify. They are never synced, so a power cut may leave one so;
	// nothing of a log is lost with it, a start passes it over.
	Passed []Damage
	// Damage is everything that does not verify, the first 10,000 places of it.
	Damage []Damage
	// Orphans are files that nothing refers to, left by a crash; an engine that opens the directory removes
	// them. Beside a running engine it may be about to name or to remove them.
	Orphans []string
}

// Sound reports whether nothing is damaged.
func (r *VerifyReport) Sound() bool { return len(r.Damage) == 0 }

// Verify reads and checks everything: FORMAT, the manifest, every frame and record of the
// WAL files, every chunk and payload of the segments that counts, every captured state, and that the
// entries of each log follow one another and the live ones below its snapshot are there. It takes no lock and writes nothing, and works beside the engine that owns the
// directory: what that one changes meanwhile is no damage. It reads all of the data that is in
// use, on the caller's goroutine but for the WAL.
//
// Damage is no error but in the report. Errors: fs.ErrNotExist when dir holds no engine,
// ErrVersion, ErrUnsettled, and those of the file system that say nothing about the bytes.
func Verify(dir string, o VerifyOptions) (VerifyReport, error) {
	from, err := offlineFS()
	if err != nil {
		return VerifyReport{}, err
	}
	return VerifyOn(from, dir, o)
}

// VerifyOn is Verify on any file system. It is for tests.
func VerifyOn(from vfs.FS, dir string, o VerifyOptions) (VerifyReport, error) {
	s, err := takeSurvey(from, dir, o.WALDir, "")
	if err != nil {
		return VerifyReport{}, err
	}
	s.close()
	v := &verifier{s: s, o: o, r: VerifyReport{Dir: dir, Use: directoryUse(dir), Files: len(s.wal.Files),
		Torn: len(s.wal.Torn), ManifestTorn: s.manifestReport.Torn, Logs: len(s.logs)}}
	for _, f := range s.wal.Files {
		v.r.Batches += f.Frames
	}
	if s.manifest != nil {
		err = v.run()
	}
	v.r.Damage = s.damage
	return v.r, err
}

// verifier reads the segments of a survey.
type verifier struct {
	s *survey
	o VerifyOptions
	r VerifyReport
}

func (v *verifier) run() error {
	logs := v.s.sorted()
	v.progress(0, len(logs), "")
	for i, l := range logs {
		if err := v.log(l); err != nil {
			return err
		}
		v.progress(i+1, len(logs), l.uid)
	}
	return v.orphans()
}

func (v *verifier) progress(n, all int, uid UID) {
	if v.o.Progress != nil {
		v.o.Progress(VerifyProgress{Logs: n, AllLogs: all, Log: uid, Bytes: v.r.SegmentBytes + v.r.SnapshotBytes, Damage: len(v.s.damage)})
	}
}

// log verifies a log's captured states and its segments one after the other, and that nothing is
// missing between them and before what the write-ahead log holds.
func (v *verifier) log(l *surveyLog) error {
	if err := v.captures(l); err != nil {
		return err
	}
	at := l.released
	for _, seg := range l.segments {
		c := checkSegment(v.s.fs, v.s.dir, l, seg, at)
		if c.fatal != nil {
			return c.fatal
		}
		if len(c.damage) > 0 && !v.listed(l.id, seg.Number) {
			return nil // it was released, cut or deleted meanwhile
		}
		for _, d := range c.damage {
			v.s.note(d)
		}
		v.r.Segments++
		v.r.SegmentBytes += seg.Bytes
		v.r.Entries += c.entries
		v.r.Live += c.live
		at = c.last
	}
	v.live(l)
	for _, r := range l.runs {
		if r.last <= l.released.Index {
			continue
		}
		first := max(r.first, l.released.Index+1)
		if first != at.Index+1 || r.term < at.Term {
			v.s.note(l.damage(v.s.walName(r.file), -1, lostRange(min(at.Index+1, first), first),
				fmt.Sprintf("entry %d/%d follows %v", r.term, first, at)))
		}
		at = EntryID{Term: r.term, Index: r.last}
		v.r.Entries += uint64(r.last-first) + 1
	}
	if l.broken == nil && at.Index != l.last.Index {
		v.s.note(l.damage(v.s.manifestReport.File, -1, lostRange(min(at.Index, l.last.Index)+1, max(at.Index, l.last.Index)),
			fmt.Sprintf("the log should end at %v, its entries end at %v", l.last, at)))
	}
	return nil
}

func (l *surveyLog) damage(file string, offset int64, lost Range, what string) Damage {
	return Damage{File: file, Offset: offset, UID: l.uid, ID: uint64(l.id), Lost: lost, What: what}
}

// listed reports whether the manifest, read anew, still lists the segment.
func (v *verifier) listed(id raftlog.LogID, number uint64) bool {
	m, _, err := readManifest(v.s.fs, v.s.dir)
	if err != nil {
		return true
	}
	l, ok := m.Log(id)
	if !ok {
		i := slices.IndexFunc(m.Damaged(), func(d manifest.Damaged) bool { return d.ID == id })
		return i >= 0
	}
	return listed(l, number)
}

// segmentCheck is what checkSegment found.
type segmentCheck struct {
	damage  []Damage
	entries uint64 // sound ones, live ones included
	live    uint64
	sound   EntryID // the last entry before the first damage
	last    EntryID // the last entry that should be there, its term as far as known
	broken  error   // the first damage above what is released
	end     int64   // where the first chunk begins whose entries are unknown, 0 for none
	fatal   error
}

// checkSegment reads what counts of a segment, which has to follow entry at, and the released entries that
// are still needed.
func checkSegment(from vfs.FS, dir string, l *surveyLog, seg raftlog.Segment, at EntryID) segmentCheck {
	name := filepath.Join(dir, logsDir, segment.DirName(l.id), segment.FileName(seg.Number))
	file := relative(dir, name)
	below := l.claimed().Floor(seg.Range.First).Limit(seg.Range.Last)
	above := seg.Range.Intersect(lostRange(l.released.Index+1, ^Index(0)))
	c := segmentCheck{sound: at, last: at}
	bad := func(offset int64, lost Range, err error) {
		c.damage = append(c.damage, l.damage(file, offset, lost, err.Error()))
		if c.broken == nil && lost.Last > l.released.Index {
			c.broken = err
		}
	}
	if !above.Empty() {
		c.last.Index = above.Last
		if above.First != at.Index+1 {
			bad(-1, lostRange(at.Index+1, max(above.First, 1)-1), fmt.Errorf("segment begins with %d, %d is missing", above.First, at.Index+1))
			at = EntryID{Term: at.Term, Index: above.First - 1}
		}
	}
	if above.Empty() && below.Empty() {
		return c
	}
	r, err := openSegment(from, name, l.id, seg)
	if errors.Is(err, fs.ErrPermission) {
		c.fatal = fmt.Errorf("engine: verify: %w", err)
		return c
	}
	if err != nil {
		lost := above
		if !below.Empty() {
			lost = lostRange(below.First(), max(below.Last(), above.Last))
		}
		bad(-1, lost, fmt.Errorf("segment cannot be read: %w", err))
		return c
	}
	defer r.Close()
	if err := r.HeaderErr(); err != nil {
		c.damage = append(c.damage, l.damage(file, 0, Range{}, fmt.Sprintf("header block, which hits no entry: %v", err)))
	}
	if !below.Empty() {
		c.scanBelow(r, below, l, bad)
	}
	if !above.Empty() {
		c.scan(r, above, at, bad)
	}
	return c
}

// openSegment opens a segment file whose directory is one, not a link to another.
func openSegment(from vfs.FS, name string, id raftlog.LogID, seg raftlog.Segment) (*segment.Reader, error) {
	if err := checkPlace(from, name); err != nil {
		return nil, err
	}
	return segment.Open(from, name, id, seg, segment.ReadOptions{Direct: true})
}

// checkPlace refuses a file of a log whose directory is none, but a link to another.
func checkPlace(from vfs.FS, name string) error {
	for _, dir := range []string{filepath.Dir(filepath.Dir(name)), filepath.Dir(name)} {
		info, err := from.Stat(dir)
		if err != nil {
			return err
		}
		if !info.Dir {
			return fmt.Errorf("%w: %s is no directory", ErrCorrupt, dir)
		}
	}
	return nil
}

// scan reads the entries above what is released.
func (c *segmentCheck) scan(r *segment.Reader, rng Range, at EntryID, bad func(int64, Range, error)) {
	for e, err := range r.Scan(rng) {
		var damage *segment.CorruptError
		switch {
		case errors.As(err, &damage):
			if damage.Range.First > at.Index+1 {
				bad(-1, lostRange(at.Index+1, damage.Range.First-1), errHole)
			}
			if c.end == 0 && (damage.Reason == "chunk lost" || damage.Reason == "index array") {
				c.end = damage.Offset &^ (segment.BlockSize - 1)
			}
			bad(damage.Offset, damage.Range, errors.New(damage.Reason))
			at.Index = damage.Range.Last
			continue
		case err != nil:
			bad(-1, lostRange(at.Index+1, rng.Last), err)
			return
		case e.Index != at.Index+1:
			bad(-1, lostRange(at.Index+1, e.Index-1), errHole)
		case e.Term < at.Term:
			bad(-1, lostRange(e.Index, e.Index), fmt.Errorf("entry %v follows %v", e.ID(), at))
		}
		at = e.ID()
		c.entries++
		if c.broken == nil {
			c.sound = at
		}
	}
	c.last.Term = at.Term
	if at.Index < rng.Last {
		bad(-1, lostRange(at.Index+1, rng.Last), errHole)
	}
}

var errHole = errors.New("entries are missing in the segment")
