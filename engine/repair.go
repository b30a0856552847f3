package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/wal"
)

// RepairOptions says what may be done.
type RepairOptions struct {
	// WALDir is what Options.WALDir was when the engine was opened.
	WALDir string
	// DryRun plans and writes nothing but LOCK.
	DryRun bool
	// AcceptLoss names logs that may be cut back to their last sound entry, when they are
	// quarantined or their segments are damaged. Their later entries are lost for good.
	AcceptLoss []UID
	// AcceptAllLoss is AcceptLoss of every quarantined log.
	AcceptAllLoss bool
}

// RepairReport says what was done, or with DryRun would be.
type RepairReport struct {
	Dir    string
	DryRun bool
	// Actions are in the order of their doing. None: nothing is to be done.
	Actions []RepairAction
	// Quarantined are the logs that still serve nothing, because their loss was not accepted.
	Quarantined []*QuarantineError
	// Warnings say what is not known for certain.
	Warnings []string
	// Kept is the copy of the manifest that was replaced, empty when there is none.
	Kept string
}

// RepairAction is one thing done.
type RepairAction struct {
	// What is "format" (FORMAT written anew), "manifest" (rebuilt), "log" (a log found again
	// for the manifest) or "accept-loss".
	What string
	// UID and ID name the log of the last two. Range are its entries afterwards: for a log
	// that was found again those in segments, to which the write-ahead log may add.
	UID   UID
	ID    uint64
	Range Range
	// Lost are the indexes given up; Last is 0 when their end is not known.
	Lost Range
	Note string
}

// Repair makes a damaged directory one that Open accepts. It takes the engine's lock.
//
//   - FORMAT is written anew when it is missing or says nothing.
//   - The manifest, when it is missing or cannot be read, is rebuilt from the segments, the WAL
//     files and what an older manifest says. Facts that only the manifest held may be
//     lost: see RepairReport.Warnings. Above all a log's term and vote may be older than they
//     were; a Raft member should be removed from its cluster and added again.
//   - Captured states are read wholly; a rebuilt manifest lists those that are sound.
//   - A quarantined log whose loss is accepted is cut back to its last sound entry that
//     follows from the first without a gap, and serves again. For that the engine is opened,
//     flushed and closed first. The log's term and vote may be older than they were, too.
//     Damaged captured states are set aside. When none is left of a log that needs one, it stays
//     quarantined until one is installed.
//
// It may be repeated; killed at any point it leaves the old state or the new one. The
// replaced manifest is kept under its name with ".bak" behind it.
//
// Errors: ErrInUse, ErrVersion, ErrNotFound for a name in AcceptLoss, fs.ErrNotExist when dir
// holds no engine, those of Open, and those of the file system.
func Repair(dir string, o RepairOptions) (RepairReport, error) {
	from, err := fallback.Open(fallback.Options{})
	if err != nil {
		return RepairReport{}, fmt.Errorf("engine: %w", err)
	}
	return RepairOn(from, dir, o)
}

// RepairOn is Repair on any file system. It is for tests.
func RepairOn(dev vfs.FS, dir string, o RepairOptions) (RepairReport, error) {
	r := &repairer{fs: dev, dir: dir, walDir: Options{WALDir: o.WALDir}.walDir(dir), o: o}
	r.report = RepairReport{Dir: dir, DryRun: o.DryRun}
	err := r.run()
	return r.report, err
}

type repairer struct {
	fs          vfs.FS
	dir, walDir string
	o           RepairOptions
	report      RepairReport
	bad         []string // captured states that the log they belong to gives up
}

func (r *repairer) run() error {
	rebuilt := false
	err := r.locked(func() (err error) {
		format, err := formatDamage(r.fs, r.dir)
		if err != nil {
			return err
		}
		m, _, merr := readManifest(r.fs, r.dir)
		if merr != nil && !errors.Is(merr, fs.ErrNotExist) && !errors.Is(merr, frame.ErrCorrupt) {
			return fmt.Errorf("engine: repair: %w", merr)
		}
		if merr != nil {
			rebuilt = true
			if err := r.rebuild(merr); err != nil {
				return err
			}
		}
		if len(format) > 0 { // last, as without a manifest FORMAT promises what is not there
			r.act(RepairAction{What: "format", Note: format[0].What})
			if err := r.writeFormat(); err != nil {
				return err
			}
		}
		if r.o.DryRun && m != nil {
			return r.planAccept()
		}
		return nil
	})
	if err != nil || r.o.DryRun {
		return err
	}
	if len(r.o.AcceptLoss) > 0 || r.o.AcceptAllLoss {
		if _, err := recoverOn(r.fs, r.dir, r.o.WALDir); err != nil {
			return fmt.Errorf("engine: repair: %w", err)
		}
		return r.locked(r.acceptLosses)
	}
	if rebuilt {
		return nil
	}
	return r.locked(r.planAccept)
}

func (r *repairer) act(a RepairAction) { r.report.Actions = append(r.report.Actions, a) }

func (r *repairer) warn(format string, args ...any) {
	r.report.Warnings = append(r.report.Warnings, fmt.Sprintf(format, args...))
}

// locked runs fn with the engine's lock held.
func (r *repairer) locked(fn func() error) error {
	if info, err := r.fs.Stat(r.dir); err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	} else if !info.Dir {
		return fmt.Errorf("engine: repair: %s is no directory", r.dir)
	}
	if _, err := formatDamage(r.fs, r.dir); err != nil {
		return err // before LOCK is made in a directory that is none of ours
	}
	lock, err := r.fs.Lock(filepath.Join(r.dir, lockFile))
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	if err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	return errors.Join(fn(), lock.Close())
}

// writeFormat replaces FORMAT in one step.
func (r *repairer) writeFormat() error {
	if r.o.DryRun {
		return nil
	}
	name := filepath.Join(r.dir, formatFile)
	temp := name + ".repair"
	if err := r.fs.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("engine: repair: %w", err)
	}
	f, err := r.fs.Create(temp, vfs.CreateOptions{})
	if err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	_, err = f.WriteAt([]byte(formatLine), 0)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	if err := r.fs.Rename(temp, name); err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	return r.fs.SyncDir(r.dir)
}

// Recover does what Open does and nothing more: it recovers the directory, moves everything out of
// the write-ahead log to segments and the manifest, and closes it. walDir is what
// Options.WALDir was, or empty. It never makes an engine where there is none. Errors:
// fs.ErrNotExist, and those of Open, Flush and Close.
func Recover(dir, walDir string) (RecoveryReport, error) {
	from, err := fallback.Open(fallback.Options{})
	if err != nil {
		return RecoveryReport{}, fmt.Errorf("engine: %w", err)
	}
	return recoverOn(from, dir, walDir)
}

func recoverOn(from vfs.FS, dir, walDir string) (RecoveryReport, error) {
	if _, err := formatDamage(from, dir); err != nil {
		return RecoveryReport{}, err
	}
	o := Options{WALDir: walDir, Backend: BackendFallback}
	o.WALFileBytes = walFileSize(from, o.walDir(dir))
	e, err := OpenOn(from, dir, o)
	if err != nil {
		return RecoveryReport{}, err
	}
	ctx := context.Background()
	err = e.Flush(ctx)
	r := e.Stats().Recovery
	return r, errors.Join(err, e.Close(ctx))
}

// walFileSize is the size of the WAL files that are there, so that they can be used again; 0
// for none.
func walFileSize(from vfs.FS, walDir string) int64 {
	names, err := from.List(walDir)
	if err != nil {
		return 0
	}
	for _, name := range slices.Backward(names) {
		name = filepath.Join(walDir, name)
		if _, ok := wal.ParseFileName(filepath.Base(name)); !ok || checkRegular(from, name) != nil {
			continue
		}
		h, err := readFileHeader(from, name)
		if err == nil && (Options{WALFileBytes: h.Size}).withDefaults().validate() == nil {
			return h.Size
		}
	}
	return 0
}

func readFileHeader(from vfs.FS, name string) (frame.FileHeader, error) {
	f, err := from.Open(name, vfs.OpenOptions{})
	if err != nil {
		return frame.FileHeader{}, err
	}
	defer f.Close()
	b := make([]byte, frame.BlockSize)
	n, err := f.ReadAt(b, 0)
	if n < len(b) && err != nil {
		return frame.FileHeader{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return frame.DecodeFileHeader(b)
}

// planAccept says what accepting losses would do, and which logs wait for it.
func (r *repairer) planAccept() error {
	s, err := takeSurvey(r.fs, r.dir, r.o.WALDir, "")
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.unreadable(); err != nil {
		return err
	}
	if err := r.checkNames(func(uid UID) bool {
		return slices.ContainsFunc(s.sorted(), func(l *surveyLog) bool { return l.uid == uid })
	}); err != nil {
		return err
	}
	for _, l := range s.sorted() {
		if l.broken == nil {
			continue
		}
		if !r.accepts(l.uid) || ofState(l.broken.Lost, l.released.Index) {
			r.report.Quarantined = append(r.report.Quarantined, l.broken)
			continue
		}
		r.act(RepairAction{What: "accept-loss", UID: l.uid, ID: uint64(l.id), Lost: l.broken.Lost,
			Range: lostRange(l.released.Index+1, l.last.Index), Note: l.broken.Reason})
	}
	return nil
}

func (r *repairer) accepts(uid UID) bool {
	return r.o.AcceptAllLoss || slices.Contains(r.o.AcceptLoss, uid)
}

func (r *repairer) checkNames(known func(UID) bool) error {
	for _, uid := range r.o.AcceptLoss {
		if !known(uid) {
			return fmt.Errorf("%w: %s", ErrNotFound, uid)
		}
	}
	return nil
}

// keepManifest gives the manifest in force a second name.
func (r *repairer) keepManifest() error {
	names, err := r.fs.List(r.dir)
	if err != nil {
		return fmt.Errorf("engine: repair: %w", err)
	}
	newest := ""
	for _, name := range names {
		if digits, ok := strings.CutPrefix(name, manifestPrefix); ok && len(digits) == 16 {
			newest = name
		}
	}
	if newest == "" {
		return nil
	}
	r.report.Kept = newest + ".bak"
	kept := filepath.Join(r.dir, r.report.Kept)
	err = r.fs.Link(filepath.Join(r.dir, newest), kept)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("engine: repair: keep %s: %w", newest, err)
	}
	return nil
}

var manifestPrefix = strings.TrimSuffix(manifest.FileName(0), fmt.Sprintf("%016x", 0))

func (r *repairer) logDir(id raftlog.LogID) string { return logDirOf(r.dir, id) }
