package engine

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

// InspectOptions says where to look. The zero value is right unless the engine runs with a
// WALDir of its own.
type InspectOptions struct {
	// WALDir is what Options.WALDir was when the engine was opened.
	WALDir string
}

// Use says whether an engine owns a directory.
type Use string

// The values of Use.
const (
	UseFree    Use = "free"
	UseOwned   Use = "in use"
	UseUnknown Use = "unknown" // the system does not say without taking the lock
)

// Inspection is what a directory holds, as an engine that opened it now would recover it.
type Inspection struct {
	Dir    string
	WALDir string
	// Format is the major version of the directory, Stream the engine's random id.
	Format int
	Stream uint64
	// Manifest is the name of the file in force, within Dir.
	Manifest string
	Use      Use
	// Flushed is the batch up to which segments and manifest hold everything; LastBatch the
	// newest batch there is, Tail the number of those above the watermark.
	Flushed, LastBatch uint64
	Tail               int
	// Torn counts batches that were cut: never acknowledged, unless the last one's bytes were
	// damaged since. ManifestTorn is the same of the manifest's last edit.
	Torn         int
	ManifestTorn bool
	WAL          []WALFile
	Logs         []LogInfo // ascending by UID
	// Damage is what recovery would meet. Segments are not read, and of captured states only
	// snapshots are, without their state: that is for Verify.
	Damage []Damage
}

// WALFile is a file that the manifest names.
type WALFile struct {
	Number uint64
	// State is "in service", "prepared" or "missing".
	State string
	// Bytes is its physical size.
	Bytes int64
	// Batches counts its commits, First to Last their numbers; 0 in a prepared file.
	Batches     int
	First, Last uint64
	// Logs counts the logs that have records in it.
	Logs int
}

// LogInfo is one log.
type LogInfo struct {
	UID UID
	ID  uint64 // names this life of the log, and its directory
	// First is the first index not released, Last the newest entry, Released the newest
	// released one; all as recovered.
	First          Index
	Last, Released EntryID
	HardState      HardState
	Applied        Index
	Segments       []SegmentInfo
	// Snapshots are the captured states, ascending by index. Live counts the released entries that the
	// newest KindSnapshot keeps; LiveUnknown says that its file cannot be read.
	Snapshots   []Snapshot
	Live        uint64
	LiveUnknown bool
	// Slots are the claims of named readers, ascending by name, as recovered.
	Slots []SlotClaim
	// WALEntries counts the entries that are in the write-ahead log only.
	WALEntries uint64
	// Quarantine says why the log serves nothing, nil when it does.
	Quarantine *QuarantineError
}

// SegmentInfo is a segment file and what of it counts.
type SegmentInfo struct {
	Number uint64
	Range  Range
	Bytes  int64 // committed length
}

// Damage is one place that does not verify, or one log's loss by it.
type Damage struct {
	// File is relative to the engine's directory where it lies in it.
	File string
	// Offset is where the damage was seen, in bytes from the start of the file; -1 when it has
	// no one place.
	Offset int64
	// UID is the log that is hit, empty for none or an unknown one; ID is 0 then.
	UID UID
	ID  uint64
	// Lost are the indexes that may be hit; Last is 0 when the end is not known, First when no
	// entry is.
	Lost Range
	What string
}

// String renders the damage in one line.
func (d Damage) String() string {
	var b strings.Builder
	b.WriteString(d.File)
	if d.Offset >= 0 {
		fmt.Fprintf(&b, " at byte %d", d.Offset)
	}
	fmt.Fprintf(&b, ": %s", d.What)
	if d.UID != "" {
		fmt.Fprintf(&b, "; log %s (%d)", d.UID, d.ID)
	} else if d.ID != 0 {
		fmt.Fprintf(&b, "; log with id %d", d.ID)
	}
	switch {
	case d.Lost.First != 0 && d.Lost.Last == 0:
		fmt.Fprintf(&b, " indexes [%d,?]", d.Lost.First)
	case !d.Lost.Empty():
		fmt.Fprintf(&b, " indexes %v", d.Lost)
	}
	return b.String()
}

// Inspect reads what a directory holds. It takes no lock and writes nothing, so it works
// beside the engine that owns the directory; what that one writes meanwhile may or may not be
// seen. It blocks for reading the manifest and the WAL files, and keeps one of them in memory.
//
// Errors: fs.ErrNotExist when dir holds no engine, ErrVersion, ErrCorrupt when the manifest
// as a whole cannot be read, ErrUnsettled, and those of the file system. Other damage is no
// error but in the result.
func Inspect(dir string, o InspectOptions) (*Inspection, error) {
	fs, err := offlineFS()
	if err != nil {
		return nil, err
	}
	return InspectOn(fs, dir, o)
}

// InspectOn is Inspect on any file system. It is for tests.
func InspectOn(fs vfs.FS, dir string, o InspectOptions) (*Inspection, error) {
	s, err := takeSurvey(fs, dir, o.WALDir, "")
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := s.unreadable(); err != nil {
		return nil, err
	}
	return s.inspection(), nil
}

// offlineFS is the file system of the calls that work without an engine. Reading past the page cache, where
// that can be had, sees what a direct writer wrote and does not slow it down.
func offlineFS() (vfs.FS, error) {
	fs, err := fallback.Open(fallback.Options{Direct: true})
	if err != nil {
		fs, err = fallback.Open(fallback.Options{})
	}
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	return fs, nil
}

func (s *survey) inspection() *Inspection {
	in := &Inspection{Dir: s.dir, WALDir: s.walDir, Format: formatVersion, Stream: s.manifest.Stream(),
		Manifest: s.manifestReport.File, Use: directoryUse(s.dir), Flushed: uint64(s.manifest.Flushed()),
		LastBatch: uint64(s.lastBatch()), Torn: len(s.wal.Torn), ManifestTorn: s.manifestReport.Torn, Damage: s.damage}
	if s.wal.TailFirst > 0 {
		in.Tail = int(s.wal.TailLast-s.wal.TailFirst) + 1
	}
	for _, f := range s.wal.Files {
		w := WALFile{Number: f.Number, State: "prepared", Bytes: f.Bytes, Batches: f.Frames, Logs: f.Logs}
		if f.Frames > 0 {
			w.State, w.First, w.Last = "in service", uint64(f.First), uint64(f.Last)
		}
		in.WAL = append(in.WAL, w)
	}
	for _, n := range s.missing {
		in.WAL = append(in.WAL, WALFile{Number: n, State: "missing"})
	}
	slices.SortFunc(in.WAL, func(a, b WALFile) int { return int(int64(a.Number) - int64(b.Number)) })
	for _, l := range s.sorted() {
		in.Logs = append(in.Logs, l.info())
	}
	return in
}

func (l *surveyLog) info() LogInfo {
	i := LogInfo{UID: l.uid, ID: uint64(l.id), First: l.released.Index + 1, Last: l.last, Released: l.released,
		HardState: l.hard, Applied: l.applied, WALEntries: l.walEntries(), Quarantine: l.broken, Snapshots: l.snapshots, Slots: l.slots,
		Live: l.liveEntries().Len(), LiveUnknown: l.live != nil && l.live.unknown != nil}
	for _, s := range l.segments {
		i.Segments = append(i.Segments, SegmentInfo{Number: s.Number, Range: s.Range, Bytes: s.Bytes})
	}
	return i
}

// relative names a file within the engine's directory; another one keeps its whole name.
func relative(dir, name string) string {
	if r, err := filepath.Rel(dir, name); err == nil && filepath.IsLocal(r) {
		return filepath.ToSlash(r)
	}
	return name
}

func lostRange(first, last Index) Range { return raftlog.Range{First: first, Last: last} }
