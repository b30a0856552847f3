package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/readplan"
	"github.com/rawl-db/rawl/segwriter"
	"github.com/rawl-db/rawl/snapshotwriter"
	"github.com/rawl-db/rawl/wal"
)

// Open opens the engine in dir, making it when dir is empty or missing, and recovers what a
// crash left: it returns when every acknowledged entry can be read and the log can go on.
// One engine owns a directory. Close it to release it.
//
// Errors, with nothing changed: ErrOptions, ErrInUse, ErrVersion, ErrCorrupt (what the whole
// engine rests on is damaged; damage of one log quarantines that log only), ErrMissingWAL,
// ErrUnsupported (the backend asked for), and those of the device.
func Open(dir string, opts Options) (*Engine, error) {
	meta, err := fallback.Open(fallback.Options{})
	if err != nil {
		return nil, fmt.Errorf("engine: open: %w", err)
	}
	e, err := open(sched.Real(), meta, dir, opts, openDevice)
	if err != nil {
		return nil, err
	}
	e.start()
	return e, nil
}

// OpenParts opens an engine on any file system without starting a goroutine: whoever opens it
// drives its parts with Step. It is for tests and the simulator.
func OpenParts(dev vfs.FS, dir string, opts Options) (*Engine, error) {
	return openOn(sched.Real(), dev, dir, opts)
}

// OpenDriven opens an engine on any file system, with its loops as tasks of a world. It may be called by a task of it. It
// is for the simulator.
func OpenDriven(w *sched.World, dev vfs.FS, dir string, opts Options) (*Engine, error) {
	e, err := openOn(w, dev, dir, opts)
	if err == nil {
		e.start()
	}
	return e, err
}

func openOn(w *sched.World, dev vfs.FS, dir string, opts Options) (*Engine, error) {
	return open(w, dev, dir, opts, func(Options, string) (device, error) {
		d := device{fs: dev, serial: true, choice: BackendChoice{Backend: opts.Backend, Deep: opts.Backend, Reason: "given"}}
		return d.withQueues(dev, dev)
	})
}

// OpenOn opens an engine on any file system, with its goroutines. It is for tests.
func OpenOn(dev vfs.FS, dir string, opts Options) (*Engine, error) {
	e, err := OpenParts(dev, dir, opts)
	if err == nil {
		e.start()
	}
	return e, err
}

func (o Options) walDir(dir string) string {
	if o.WALDir != "" {
		return o.WALDir
	}
	return filepath.Join(dir, walDirName)
}

// open does what all ways of opening share. meta reaches the lock and the manifest; dev makes
// the device for the rest once it is certain that the directory is ours.
func open(w *sched.World, meta vfs.FS, dir string, opts Options, dev func(Options, string) (device, error)) (_ *Engine, err error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	e := &Engine{opts: opts, dir: dir, logs: newRegistry(), dying: newRegistry(), world: w, began: w.Now()}
	e.budget.memory, e.budget.perLog, e.budget.backlog = opts.MemoryBytes, opts.LogMemoryBytes, opts.WALBacklogBytes
	if err := meta.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("engine: open: %w", err)
	}
	e.lock, err = meta.Lock(filepath.Join(dir, lockFile))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("%w: %w", ErrInUse, err)
	} else if err != nil {
		return nil, fmt.Errorf("engine: open: %w", err)
	}
	defer func() {
		if err == nil {
			return
		}
		if e.wal != nil {
			err = errors.Join(err, e.writeError(e.wal.Close()))
		}
		err = errors.Join(err, e.release())
	}()
	if err := e.openManifest(meta); err != nil {
		return nil, err
	}
	if e.device, err = dev(opts, opts.walDir(dir)); err != nil {
		return nil, err
	}
	if err := e.openReaders(); err != nil {
		return nil, err
	}
	r, err := e.recover()
	if err != nil {
		return nil, err
	}
	if err := e.openWAL(r); err != nil {
		return nil, err
	}
	e.monitor = newMonitor(e)
	e.report(r)
	e.opened = true
	return e, nil
}

// openManifest opens the manifest, or makes a new engine.
func (e *Engine) openManifest(meta vfs.FS) error {
	walDir := e.opts.walDir(e.dir)
	exists, err := checkFormat(meta, e.dir, walDir)
	if err != nil {
		return err
	}
	if !exists {
		if err := createFormat(meta, e.dir, walDir); err != nil {
			return fmt.Errorf("engine: create: %w", err)
		}
		e.manifest, err = manifest.Create(meta, e.dir, e.world.Uint64())
		if err != nil {
			return fmt.Errorf("engine: create: %w", err)
		}
		return nil
	}
	var report manifest.Report
	e.manifest, report, err = manifest.Open(meta, e.dir)
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if !report.Clean() {
		e.opts.Logger.Warn("manifest was damaged", "file", report.File, "torn", report.Torn,
			"damaged", len(report.Damaged), "unnamed", report.Unnamed, "faults", len(report.Faults))
	}
	e.recovery.ManifestTorn = report.Torn
	return e.checkWAL(meta, walDir)
}

// checkWAL finds a WAL file that is missing before anything is written: WALDir may not be mounted.
func (e *Engine) checkWAL(meta vfs.FS, walDir string) error {
	for _, n := range e.manifest.WALFiles() {
		name := wal.FileName(walDir, n)
		if _, err := meta.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("engine: open: %w", &wal.MissingError{Number: n, Path: name})
		} else if err != nil {
			return fmt.Errorf("engine: open: %w", err)
		}
	}
	return nil
}

func (e *Engine) openReaders() error {
	var err error
	e.cache, err = readplan.NewCache(readplan.CacheOptions{
		FS: e.device.fs, Dir: filepath.Join(e.dir, logsDir), Files: e.opts.OpenSegments})
	if err != nil {
		return err
	}
	e.executor, err = readplan.NewExecutor(readplan.ExecutorOptions{FS: e.device.deepFS, Cache: e.cache, Direct: e.device.direct})
	if err != nil {
		return err
	}
	w, err := e.newSegmentWriter()
	if err != nil {
		return err
	}
	e.flusher = newFlusher(e, w)
	return e.openSnapshots()
}

func (e *Engine) openSnapshots() (err error) {
	e.captures = newFileGuard(e.flusher.dropFile)
	o := snapshotwriter.Options{
		FS: e.device.fs, Dir: filepath.Join(e.dir, logsDir), DirName: segment.DirName, Workers: e.opts.SnapshotWorkers,
		BytesPerSecond: max(e.opts.SnapshotBytesPerSecond, 0), World: e.world, Now: e.now,
	}
	if len(e.opts.SnapshotCodecs) > 0 {
		o.Codec = e.opts.SnapshotCodecs[0]
	}
	if e.device.serial && e.world.Production() {
		o.Sleep = func(time.Duration) {} // whoever drives the parts has the clock
	}
	e.snapshots, err = snapshotwriter.New(o)
	return err
}

func (e *Engine) newSegmentWriter() (*segwriter.Writer, error) {
	return segwriter.New(segwriter.Options{
		FS: e.device.fs, Queue: e.device.deep, Dir: filepath.Join(e.dir, logsDir),
		MaxEntries: e.opts.SegmentEntries, MaxBytes: e.opts.SegmentBytes, Direct: e.device.direct})
}

// openWAL makes the writer, takes its first file into service, and commits again what recovery
// found above the watermark: only then does it count as written. On a full disk the engine
// opens all the same, to be read: ids, first file and second commit wait for space.
func (e *Engine) openWAL(r *replay) error {
	o := e.opts
	pooled, next, err := e.beginLife(r)
	if err != nil {
		return err
	}
	e.wal, err = wal.New(wal.Options{
		FS: e.device.fs, Queue: e.device.commit, Dir: o.walDir(e.dir), Stream: e.manifest.Stream(),
		NextBatch: r.report.NextBatch, NextNumber: next, Pooled: pooled,
		FileSize: o.WALFileBytes, MaxFileEntries: o.WALFileEntries, Spares: o.WALSpares,
		MaxBatchBytes: o.MaxBatchBytes, MaxBatchEntries: o.MaxBatchEntries,
		GatherMaxBytes: o.GatherMaxBytes, ReserveBytes: o.ReserveBytes,
		NoGather: o.CommitImmediately, Strategy: o.Strategy, Prealloc: o.Prealloc, Direct: e.device.direct,
		World: e.world, Now: e.now,
		Register: e.register,
		OnSealed: e.sealed, OnHealth: e.walHealth,
	})
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	e.pool = e.wal.Pool()
	e.flusher.pooling = func(number uint64) { e.held.do(func() { e.pool.Return(number) }) }
	err = e.pool.Fill()
	full := noSpace(err)
	if err != nil && !full {
		return fmt.Errorf("engine: prepare WAL file: %w", err)
	}
	if err := r.requeue(); err != nil {
		return err
	}
	if err := e.wal.CommitAll(); err != nil && !(full && errors.Is(err, wal.ErrNoSpare)) {
		return fmt.Errorf("engine: commit recovered tail: %w", e.writeError(err))
	}
	return nil
}

// beginLife makes the first edit of this life of the engine: a fresh range of log ids, so that
// one whose creation was lost is not used twice, and WAL files that hold nothing leave service.
// It returns the files that may be recycled: those, and those that the manifest does not name.
// Only after the edit is it certain that the manifest as it was read is on the device, and
// that files it does not name may be touched: when the disk is too full for it, none are.
// next is above the number of every file that is there, named or not.
func (e *Engine) beginLife(r *replay) (pooled []uint64, next uint64, err error) {
	names, err := e.device.fs.List(e.opts.walDir(e.dir))
	if err != nil {
		return nil, 0, fmt.Errorf("engine: %w", err)
	}
	named := e.manifest.WALFiles()
	next = e.manifest.NextFile()
	var unnamed, empty []uint64
	for _, name := range names {
		n, ok := wal.ParseFileName(name)
		if ok && !slices.Contains(named, n) {
			unnamed = append(unnamed, n)
			next = max(next, n+1) // a crash may have come between the making of a file and its registration
		}
	}
	for _, f := range r.report.Files {
		if f.Frames == 0 && f.HeaderErr == nil && f.Unreadable == 0 {
			empty = append(empty, f.Number)
		}
	}
	e.ids.reserved = e.manifest.ReservedIDs()
	e.ids.next = e.ids.reserved + 1
	err = e.manifest.Apply(manifest.Edit{DropWAL: empty, ReserveIDs: e.ids.reserved + idStep})
	if noSpace(err) {
		return nil, next, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("engine: first edit of the manifest: %w", err)
	}
	e.ids.reserved += idStep
	e.flusher.sweeper.allowed = true
	return append(empty, unnamed...), next, nil
}

// register makes a prepared WAL file known to the manifest.
func (e *Engine) register(number uint64) error {
	defer e.flusher.signal() // it proves the edit when it has nothing else to do
	return e.manifest.Apply(manifest.Edit{AddWAL: []uint64{number}})
}

func (e *Engine) sealed(s wal.Sealed) {
	e.flusher.enqueue(s)
	e.event(Event{Kind: EventRolled, File: s.Number})
}
