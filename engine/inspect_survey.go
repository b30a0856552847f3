package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/wal"
)

// ErrUnsettled means that the owner of the directory recycles WAL files faster than they can
// be read. Nothing is known to be wrong.
var ErrUnsettled = errors.New("engine: files change faster than they can be read")

// surveyTries bounds how often a survey follows a running owner.
const surveyTries = 40

// survey is one consistent reading of an engine's directory: the manifest, and what recovery
// would make of the WAL files that it names. Only numbers are kept of the entries.
type survey struct {
	fs          vfs.FS
	dir, walDir string
	// manifest is nil, with the reason in manifestErr, when it cannot be read.
	manifest       *manifest.Manifest
	manifestReport manifest.Report
	manifestErr    error

	files   *walFiles
	missing []uint64 // named files that are not there, or are others
	wal     wal.Report
	logs    map[raftlog.LogID]*surveyLog
	gaps    int // logs whose entries do not follow one another
	damage  []Damage
	// unusable are the files of snapshots that were not found or not sound.
	unusable []string
}

// takeSurvey reads until what was read belongs together: a WAL file that leaves the manifest
// meanwhile may have been overwritten while it was read. want is the log
// whose entries are kept, empty for none. The caller closes the survey.
//
// Errors: fs.ErrNotExist when there is no engine, ErrVersion, ErrUnsettled, those of reading.
func takeSurvey(from vfs.FS, dir, walDir string, want UID) (*survey, error) {
	if walDir == "" {
		walDir = filepath.Join(dir, walDirName)
	}
	format, err := formatDamage(from, dir)
	if err != nil {
		return nil, err
	}
	var unusable []string // one that a newer snapshot replaced meanwhile is not asked for again
	for range surveyTries {
		s := &survey{fs: from, dir: dir, walDir: walDir, damage: slices.Clone(format)}
		settled, err := s.read(want)
		if err == nil && settled && slices.Equal(unusable, s.unusable) {
			return s, nil
		}
		unusable = s.unusable
		s.close()
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrUnsettled, dir)
}

func (s *survey) close() {
	if s.files != nil {
		s.files.close()
	}
}

// read reads once and reports whether it belongs together.
func (s *survey) read(want UID) (settled bool, err error) {
	s.manifest, s.manifestReport, s.manifestErr = readManifest(s.fs, s.dir)
	if errors.Is(s.manifestErr, ErrVersion) {
		return false, s.manifestErr
	}
	s.noteManifest()
	if s.manifestErr != nil {
		return true, nil
	}
	numbers := s.manifest.WALFiles()
	if err := s.readWAL(numbers, want); err != nil {
		return false, err
	}
	if s.wal.DamageCount == 0 && s.gaps == 0 && len(s.missing) == 0 && s.reached() {
		return true, nil
	}
	now, _, err := readManifest(s.fs, s.dir)
	if err != nil {
		return false, nil
	}
	still := now.WALFiles()
	for _, n := range numbers {
		if !slices.Contains(still, n) {
			return false, nil
		}
	}
	return true, nil
}

// reached reports whether all was read that a first look had seen. The last batch itself may
// have been in flight.
func (s *survey) reached() bool { return s.lastBatch()+1 >= s.files.batch }

func (s *survey) lastBatch() raftlog.Batch { return max(s.wal.TailLast, s.wal.LastDurable) }

// readWAL recovers into the survey. A file that is missing is left out, so that the
// damage can be told log by log.
func (s *survey) readWAL(numbers []uint64, want UID) (err error) {
	s.files, err = openWALFiles(s.fs, s.walDir, s.manifest.Stream(), numbers)
	if err != nil {
		return err
	}
	for {
		s.gaps, s.unusable = 0, nil
		v := newSurveyor(s, want)
		s.wal, err = wal.Recover(wal.RecoverOptions{FS: s.files, Dir: s.walDir, Stream: s.manifest.Stream(),
			Files: without(numbers, s.missing), Flushed: s.manifest.Flushed(), Skip: v.skip}, v)
		var gone *wal.MissingError
		if errors.As(err, &gone) && !slices.Contains(s.missing, gone.Number) {
			s.missing = append(s.missing, gone.Number)
			continue
		}
		if err != nil {
			return fmt.Errorf("engine: %w", err)
		}
		v.finish()
		return nil
	}
}

func without(numbers, drop []uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(numbers), func(n uint64) bool { return slices.Contains(drop, n) })
}

func (s *survey) sorted() []*surveyLog {
	all := make([]*surveyLog, 0, len(s.logs))
	for _, l := range s.logs {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *surveyLog) int {
		return cmp.Or(cmp.Compare(a.uid, b.uid), cmp.Compare(a.id, b.id))
	})
	return all
}

func (s *survey) note(d Damage) {
	if len(s.damage) < maxListed {
		s.damage = append(s.damage, d)
	}
}

// maxListed bounds the damage that is listed.
const maxListed = 10000

// noteManifest lists what is wrong with the manifest. The traces of a torn edit are no damage.
func (s *survey) noteManifest() {
	r := &s.manifestReport
	file := r.File
	if s.manifestErr != nil {
		if file == "" {
			file = "manifest"
		}
		s.note(Damage{File: file, Offset: -1, What: fmt.Sprintf("cannot be read: %v", s.manifestErr)})
		return
	}
	for _, f := range r.Faults {
		if !r.Torn {
			s.note(Damage{File: file, Offset: f.Offset, What: f.What})
		}
	}
	for _, d := range r.Damaged {
		s.note(Damage{File: file, Offset: -1, UID: d.Last.UID, ID: uint64(d.ID),
			Lost: lostRange(d.Last.Released.Index+1, 0), What: reasonManifest})
	}
	if r.Unnamed {
		s.note(Damage{File: file, Offset: -1, What: "logs may be missing that no record names"})
	}
}

// unreadable is why nothing is known but what noteManifest listed. A manifest that is not there is damage: other
// files of the engine are.
func (s *survey) unreadable() error {
	if errors.Is(s.manifestErr, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrCorrupt, s.manifestErr)
	}
	if s.manifestErr != nil {
		return fmt.Errorf("engine: %w", s.manifestErr)
	}
	return nil
}

// reasonManifest is why a log whose place in the manifest was damaged is set apart.
const reasonManifest = "its manifest record was damaged"

// manifestTries bounds how often the manifest is read again because of what its owner writes.
const manifestTries = 20

// readManifest reads the manifest beside its owner. What does not verify counts only when
// a second reading says the same: else it was being written.
func readManifest(from vfs.FS, dir string) (m *manifest.Manifest, r manifest.Report, err error) {
	before := ""
	for range manifestTries {
		m, r, err = manifest.Open(from, dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && r.Clean() {
			return m, r, err
		}
		said := fmt.Sprint(r, err)
		if said == before {
			break
		}
		before = said
	}
	return m, r, err
}

// formatDamage reads FORMAT. Errors: fs.ErrNotExist when nothing of an engine is there, ErrVersion.
func formatDamage(from vfs.FS, dir string) ([]Damage, error) {
	text, err := readSmall(from, filepath.Join(dir, formatFile))
	switch {
	case err == nil && string(text) == formatLine:
		return nil, nil
	case err == nil && isFormat(text):
		return nil, fmt.Errorf("%w: %s is of format %q, this program reads %q", ErrVersion, dir, text, formatLine)
	case errors.Is(err, fs.ErrNotExist):
		if !holdsEngine(from, dir) {
			return nil, fmt.Errorf("engine: no engine in %s: %w", dir, fs.ErrNotExist)
		}
		return []Damage{{File: formatFile, Offset: -1, What: "is missing"}}, nil
	case err != nil:
		return []Damage{{File: formatFile, Offset: -1, What: fmt.Sprintf("cannot be read: %v", err)}}, nil
	}
	return []Damage{{File: formatFile, Offset: 0, What: "does not name a format"}}, nil
}

// formatVersion is the number in formatLine.
const formatVersion = 1

// isFormat reports whether text names a format, this or another.
func isFormat(text []byte) bool {
	var n int
	_, err := fmt.Sscanf(string(text), "rawl %d\n", &n)
	return err == nil && n > 0 && string(text) == fmt.Sprintf("rawl %d\n", n)
}

// holdsEngine reports whether dir has files of an engine other than FORMAT.
func holdsEngine(from vfs.FS, dir string) bool {
	if has, err := manifest.Exists(from, dir); err == nil && has {
		return true
	}
	for _, d := range []string{logsDir, walDirName} {
		if info, err := from.Stat(filepath.Join(dir, d)); err == nil && info.Dir {
			return true
		}
	}
	return false
}

// noBatch stands for a log of which no record counts.
const noBatch = raftlog.Batch(math.MaxUint64)
