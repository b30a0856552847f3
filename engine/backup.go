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
	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

// ErrIncomplete means that a directory is a backup that did not come to its end.
var ErrIncomplete = errors.New("engine: backup is incomplete")

// incompleteLine is the content of FORMAT until a backup is whole.
const incompleteLine = "backup incomplete\n"

// Backup makes a copy of the running engine in dir, which must not exist: everything that was durable
// when it was called, and some of what came later. Open takes it like any other directory, without a
// WALDir. Full segments and snapshots are hard links where the file system can: both engines may
// go on with them, as neither writes them again, unless one is opened with a larger SegmentEntries or
// SegmentBytes. A linked file is one file: damage of its bytes hits both. The rest is copied.
//
// It blocks for reading the write-ahead log and copying files, on the caller's goroutine, and stops nobody's
// writes; but files that are released meanwhile take up space until it ends. Close waits for it, and it
// ends soon with ErrClosed. A copy of a Raft member holds a vote and a log of the past: it must
// not run in place of the member, nor beside it.
//
// After an error nothing is left in dir, as far as it can be removed; after a kill dir says that it is
// incomplete. Errors: fs.ErrExist, ErrOptions (dir lies in the engine's own directory), ErrCorrupt,
// ErrMissingWAL, ErrUnsettled, ErrClosed, ctx's cause, and those of the file system.
func (e *Engine) Backup(ctx context.Context, dir string) error {
	e.held.hold()
	defer e.held.letGo()
	b := &backup{ctx: ctx, fs: e.device.fs, to: dir, linking: true, full: e.fullSegment, stop: e.usableForBackup}
	if err := b.begin(e.dir, e.opts.walDir(e.dir)); err != nil {
		return fmt.Errorf("engine: backup: %w", err)
	}
	return b.finish(b.run(e.dir, e.opts.WALDir))
}

// Backup copies the directory of an engine that is not running, under its lock; otherwise it is like
// Engine.Backup. walDir is what Options.WALDir was, or empty. Segments are always copied. Errors besides:
// ErrInUse, fs.ErrNotExist when dir holds no engine.
func Backup(ctx context.Context, dir, walDir, to string) error {
	from, err := fallback.Open(fallback.Options{})
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	return BackupOn(ctx, from, dir, walDir, to)
}

// BackupOn is Backup on any file system. It is for tests.
func BackupOn(ctx context.Context, dev vfs.FS, dir, walDir, to string) error {
	return lockedOffline(dev, dir, "backup", func() error {
		b := &backup{ctx: ctx, fs: dev, to: to, linking: true, full: func(raftlog.Segment) bool { return false },
			stop: func() error { return nil }}
		if err := b.begin(dir, Options{WALDir: walDir}.walDir(dir)); err != nil {
			return fmt.Errorf("engine: backup: %w", err)
		}
		return b.finish(b.run(dir, walDir))
	})
}

func (e *Engine) usableForBackup() error {
	if e.state.Load() != stateOpen {
		return ErrClosed
	}
	return nil
}

// fullSegment reports whether no flush appends to the segment any more.
func (e *Engine) fullSegment(s raftlog.Segment) bool {
	return s.Entries >= e.opts.SegmentEntries || s.Bytes >= e.opts.SegmentBytes
}

// backup is one run of Engine.Backup.
type backup struct {
	ctx     context.Context
	fs      vfs.FS
	to      string
	linking bool // until a link was refused
	full    func(raftlog.Segment) bool
	stop    func() error // says why the copy must end, between pieces
	made    []string     // files and directories, in the order of their making
}

// begin makes the directory, which says that it is incomplete before anything else is in it.
func (b *backup) begin(dir, walDir string) error {
	if err := b.check(); err != nil {
		return err
	}
	for _, own := range []string{dir, walDir} {
		if within(own, b.to) {
			return fmt.Errorf("%w: %s lies in %s", ErrOptions, b.to, own)
		}
	}
	if _, err := b.fs.Stat(b.to); err == nil {
		return fmt.Errorf("%s: %w", b.to, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := b.mkdir(b.to)
	if err == nil {
		err = b.markIncomplete()
	}
	if err == nil {
		err = errors.Join(b.fs.SyncDir(b.to), syncAbove(b.fs, b.to))
	}
	if err != nil {
		b.undo()
	}
	return err
}

// within reports whether name is dir, or lies in it.
func within(dir, name string) bool {
	d, err := filepath.Abs(dir)
	n, nameErr := filepath.Abs(name)
	if err != nil || nameErr != nil {
		return dir == name
	}
	r, err := filepath.Rel(d, n)
	return err == nil && r != ".." && !strings.HasPrefix(r, ".."+string(filepath.Separator))
}

// check ends the copy early.
func (b *backup) check() error {
	if b.ctx.Err() != nil {
		return context.Cause(b.ctx)
	}
	return b.stop()
}

func (b *backup) mkdir(dir string) error {
	b.made = append(b.made, dir)
	return b.fs.MkdirAll(dir)
}

// run copies everything and says so last.
func (b *backup) run(dir, walDir string) error {
	s, err := takeSurvey(b.fs, dir, walDir, "")
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.unreadable(); err != nil {
		return err
	}
	if len(s.missing) > 0 {
		return fmt.Errorf("%w: %s", ErrMissingWAL, s.walName(s.missing[0]))
	}
	for _, d := range []string{logsDir, walDirName} {
		if err := b.mkdir(filepath.Join(b.to, d)); err != nil {
			return err
		}
	}
	edit := manifest.Edit{NextFile: s.manifest.NextFile(), ReserveIDs: s.manifest.ReservedIDs(), Flushed: s.manifest.Flushed()}
	for l := range s.manifest.Logs() {
		if edit.Put, err = b.log(s, edit.Put, l); err != nil {
			return err
		}
	}
	for _, d := range s.manifest.Damaged() {
		if l := d.Last; d.Known && l.UID != "" {
			l.ID, l.Segments, l.Snapshots = d.ID, nil, nil
			l.Quarantine = &manifest.Quarantine{Lost: lostRange(l.Released.Index+1, 0), Reason: reasonManifest}
			edit.Put = append(edit.Put, l)
		}
	}
	if err := b.states(s); err != nil {
		return err
	}
	if edit.AddWAL, err = b.wal(s); err != nil {
		return err
	}
	return b.seal(s.manifest.Stream(), edit)
}

// log copies a log's segments, and appends what the copy's manifest says of it.
func (b *backup) log(s *survey, put []manifest.Log, l manifest.Log) ([]manifest.Log, error) {
	from, to := logDirOf(s.dir, l.ID), logDirOf(b.to, l.ID)
	if len(l.Segments) > 0 {
		if err := b.mkdir(to); err != nil {
			return nil, err
		}
	}
	for i, seg := range l.Segments {
		name := segment.FileName(seg.Number)
		linkable := i+1 < len(l.Segments) && b.full(seg)
		err := b.file(filepath.Join(from, name), filepath.Join(to, name), seg.Bytes, linkable)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if err != nil {
			return nil, err
		}
	}
	l.Snapshots = slices.DeleteFunc(slices.Clone(l.Snapshots), func(c Snapshot) bool {
		_, err := b.fs.Stat(capturePath(s.dir, l.ID, c))
		return c.Kind != KindSnapshot && err != nil
	})
	if len(l.Segments) > 0 {
		if err := b.fs.SyncDir(to); err != nil {
			return nil, err
		}
	}
	return append(put, l), nil
}

// states copies the captured states, those too that the write-ahead log alone knows of.
func (b *backup) states(s *survey) error {
	for _, l := range s.sorted() {
		all := slices.Clone(l.snapshots)
		if m, ok := s.manifest.Log(l.id); ok {
			for _, c := range m.Snapshots {
				if !slices.Contains(all, c) {
					all = append(all, c)
				}
			}
		}
		if len(all) == 0 {
			continue
		}
		if err := b.mkdir(logDirOf(b.to, l.id)); err != nil {
			return err
		}
		for _, c := range all {
			err := b.file(capturePath(s.dir, l.id, c), capturePath(b.to, l.id, c), c.Bytes, c.Kind == KindSnapshot) // others are not synced
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err // one that is not there was given up: what took its place is in the list
			}
		}
		if err := b.fs.SyncDir(logDirOf(b.to, l.id)); err != nil {
			return err
		}
	}
	return nil
}

// wal copies the WAL files up to the survey's fence, and returns those that hold something.
func (b *backup) wal(s *survey) (numbers []uint64, err error) {
	for _, n := range s.manifest.WALFiles() {
		f, err := s.files.file(n)
		if err != nil {
			return nil, err
		}
		if f.fence <= vfs.BlockSize {
			continue // prepared
		}
		if err := b.copyWAL(f, n); err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, b.fs.SyncDir(filepath.Join(b.to, walDirName))
}

// seal makes the manifest, and then the directory complete.
func (b *backup) seal(stream uint64, edit manifest.Edit) error {
	if err := b.fs.SyncDir(filepath.Join(b.to, logsDir)); err != nil {
		return err
	}
	m, err := manifest.Create(b.fs, b.to, stream)
	if err != nil {
		return err
	}
	if err := errors.Join(m.Apply(edit), m.Close()); err != nil {
		return err
	}
	format := filepath.Join(b.to, formatFile)
	if err := b.writeFile(format+".new", formatLine); err != nil {
		return err
	}
	if err := b.check(); err != nil {
		return err
	}
	if err := b.fs.Rename(format+".new", format); err != nil {
		return err
	}
	return b.fs.SyncDir(b.to)
}

// finish undoes what a failed run made.
func (b *backup) finish(err error) error {
	if err == nil {
		return nil
	}
	b.undo()
	return fmt.Errorf("engine: backup: %w", err)
}

// markIncomplete makes FORMAT say so: a crash leaves the whole line, or no FORMAT.
func (b *backup) markIncomplete() error {
	format := filepath.Join(b.to, formatFile)
	if err := b.writeFile(format+".new", incompleteLine); err != nil {
		return err
	}
	return b.fs.Rename(format+".new", format)
}

// undo removes what was made. FORMAT says that the directory is incomplete before anything goes, and
// goes last: it stays when something else does.
func (b *backup) undo() {
	format := filepath.Join(b.to, formatFile)
	if err := b.fs.Remove(format + ".new"); err == nil || errors.Is(err, fs.ErrNotExist) {
		if b.markIncomplete() == nil {
			_ = b.fs.SyncDir(b.to) // what matters if it fails is said by FORMAT all the same
		}
	}
	names, err := b.fs.List(b.to)
	for _, name := range names {
		if strings.HasPrefix(name, manifestPrefix) {
			b.made = append(b.made, filepath.Join(b.to, name))
		}
	}
	whole := err == nil
	for _, name := range slices.Backward(b.made) {
		if name == format || name == b.to {
			continue
		}
		if err := b.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			whole = false
		}
	}
	if whole && b.fs.Remove(format) == nil {
		_ = b.fs.Remove(b.to) // an empty directory does no harm
	}
}
