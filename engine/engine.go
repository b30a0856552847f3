package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/memtable"
	"github.com/rawl-db/rawl/readplan"
	"github.com/rawl-db/rawl/snapshotwriter"
	"github.com/rawl-db/rawl/wal"
)

// Engine is an open storage engine. All methods may be called by any goroutine.
type Engine struct {
	opts     Options
	dir      string
	device   device
	lock     io.Closer
	manifest *manifest.Manifest
	wal      *wal.WAL
	pool     *wal.Pool
	cache    *readplan.Cache
	executor *readplan.Executor
	flusher  *flusher
	monitor  *monitor
	// snapshots writes captured states, captures guards their files while they are read.
	snapshots *snapshotwriter.Writer
	captures  *fileGuard
	held      heldBack
	logs      *registry
	dying     *registry // deleted logs whose deletion is not durable yet
	budget    budget
	tables    memtable.Pool
	waiters   waiterPool
	readers   readerList
	slotted   slotList
	ids       idSource
	installs  atomic.Uint64 // installs with live entries so far
	recovery  RecoveryReport
	stats     engineStats

	world  *sched.World
	began  int64        // on the world's clock
	state  atomic.Int32 // one of the states below
	opened bool         // set last by open, before any goroutine starts: events before are recovery's own
	loops  *loops       // nil when somebody else drives the parts
	ending sync.Mutex   // one Close at a time
}

const (
	stateOpen int32 = iota
	stateClosing
	stateClosed
)

// idSource hands out log ids. The manifest reserves them in steps before they are used, so
// that none repeats although a record of its creation may be lost.
type idSource struct {
	mu       sync.Mutex
	next     raftlog.LogID
	reserved raftlog.LogID
}

const idStep = 1 << 20

func (e *Engine) newID() (raftlog.LogID, error) {
	s := &e.ids
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next > s.reserved {
		if err := s.reserve(e.manifest); noSpace(err) {
			return 0, fmt.Errorf("%w: %w", ErrReadOnly, err)
		} else if err != nil {
			return 0, err
		}
	}
	id := s.next
	s.next++
	return id, nil
}

// reserve makes the next step of ids durable.
func (s *idSource) reserve(m *manifest.Manifest) error {
	upTo := s.next + idStep
	if err := m.Apply(manifest.Edit{ReserveIDs: upTo}); err != nil {
		return fmt.Errorf("engine: reserve log ids: %w", err)
	}
	s.reserved = upTo
	return nil
}

// Dir returns the engine's directory.
func (e *Engine) Dir() string { return e.dir }

// MaxEntryBytes is the largest payload of an entry that logs of this engine take.
func (e *Engine) MaxEntryBytes() int { return e.opts.MaxEntryBytes }

// Create makes an empty log and returns before it is durable; any later acknowledgement on
// the log implies that it is. Errors: ErrBadUID, ErrExists, ErrReadOnly, ErrFailed, ErrClosed.
func (e *Engine) Create(uid UID) (*Log, error) {
	l, err := e.create(uid)
	if err != nil {
		return nil, err
	}
	l.mu.Unlock()
	return l, nil
}

// CreateSync is Create, and then waits until the log is durable or ctx ends. When ctx ends
// first its cause is returned, and the log exists; when it has ended before, nothing is done.
func (e *Engine) CreateSync(ctx context.Context, uid UID) (*Log, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("engine: create log %s: %w", uid, context.Cause(ctx))
	}
	l, err := e.create(uid)
	if err != nil {
		return nil, err
	}
	if err := l.awaitControl(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// create returns the new log with its mu held.
func (e *Engine) create(uid UID) (*Log, error) {
	if err := uid.Validate(); err != nil {
		return nil, fmt.Errorf("engine: create log: %w", err)
	}
	if err := errors.Join(e.usable(), e.writable()); err != nil {
		return nil, err
	}
	l, err := e.enroll(uid)
	if err != nil {
		return nil, err
	}
	if err := l.queueCreateLocked(); err != nil {
		e.logs.remove(l)
		l.broken.Store(&brokenLog{err: err})
		l.mu.Unlock()
		return nil, err
	}
	e.event(Event{Kind: EventCreated, UID: uid})
	return l, nil
}

// enroll gives a new log its id and its place in the registry, and returns it with mu held.
func (e *Engine) enroll(uid UID) (*Log, error) {
	for {
		id, err := e.newID()
		if err != nil {
			return nil, err
		}
		l := e.newLog(id, uid)
		l.mu.Lock()
		added, late := e.logs.addNew(l)
		if added {
			return l, nil
		}
		l.mu.Unlock()
		if !late {
			return nil, fmt.Errorf("%w: %s", ErrExists, uid)
		}
	}
}

// Log returns the log of that name. Errors: ErrNotFound, ErrClosed. A quarantined log is
// returned: its own calls say what is wrong.
func (e *Engine) Log(uid UID) (*Log, error) {
	if err := e.readable(); err != nil {
		return nil, err
	}
	if l := e.logs.get(uid); l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrNotFound, uid)
}

// Logs yields all logs in no order. Logs made or deleted meanwhile may or may not be seen.
func (e *Engine) Logs() iter.Seq[*Log] {
	return func(yield func(*Log) bool) {
		for _, l := range e.logs.snapshot() {
			if !yield(l) {
				return
			}
		}
	}
}

// Delete ends a log's life, quarantined or not, and waits until that is durable or ctx ends.
// The name is free at once; handles fail with ErrDeleted from now on. When ctx ends first its
// cause is returned and the deletion may become durable later; when it has ended before, nothing
// is done. While the engine is read only it works as long as the reserve lasts, and then waits for
// space. Errors: ErrNotFound, ErrFailed, ErrClosed.
func (e *Engine) Delete(ctx context.Context, uid UID) error {
	if ctx.Err() != nil {
		return fmt.Errorf("engine: delete log %s: %w", uid, context.Cause(ctx))
	}
	l, err := e.Log(uid)
	if err != nil {
		return err
	}
	l.mu.Lock()
	if b := l.broken.Load(); b != nil && errors.Is(b.err, ErrDeleted) {
		l.mu.Unlock()
		return fmt.Errorf("%w: %s", ErrNotFound, uid)
	}
	if err := l.controlLocked(pendingFact{kind: factDelete}, wal.Control{Kind: wal.KindDelete}); err != nil {
		l.mu.Unlock()
		return err
	}
	l.broken.Store(&brokenLog{err: fmt.Errorf("%w: %s", ErrDeleted, uid), quarantine: l.quarantineNote()})
	l.failWaitersLocked(ErrDeleted, func(*waiter) bool { return true })
	l.happened(happenedEnd)
	e.dying.replace(l)
	e.logs.remove(l)
	e.event(Event{Kind: EventDeleted, UID: uid})
	return l.awaitControl(ctx)
}

// usable says why nothing may be written at all, nil when it may.
func (e *Engine) usable() error {
	if e.state.Load() != stateOpen {
		return ErrClosed
	}
	if e.wal.Health() == wal.Failed {
		return e.failure()
	}
	return nil
}

// writable says why entries are refused, nil when they are not.
func (e *Engine) writable() error {
	if e.wal.Health() == wal.ReadOnly {
		return ErrReadOnly
	}
	return nil
}

// readable says why files may not be read any more, nil when they may: a failed engine
// still serves reads.
func (e *Engine) readable() error {
	if e.state.Load() == stateClosed {
		return ErrClosed
	}
	return nil
}

// writeError gives an error of package wal the engine's name for it.
func (e *Engine) writeError(err error) error {
	switch {
	case errors.Is(err, wal.ErrClosed):
		return ErrClosed
	case errors.Is(err, wal.ErrReadOnly):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case errors.Is(err, wal.ErrFailed):
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return err
}

func (e *Engine) failure() error { return e.writeError(e.wal.Err()) }

// noSpace reports whether err says that the disk, or the user's share of it, is full.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// now is the clock of the WAL, in nanoseconds from when the engine was opened.
func (e *Engine) now() int64 { return e.world.Now() - e.began }

// since is how long ago a time of now is.
func (e *Engine) since(at int64) time.Duration { return time.Duration(e.now() - at) }

// commits counts group commits.
func (e *Engine) commits() uint64 {
	if e.wal == nil { // recovery flushes before there is a writer
		return 0
	}
	return e.wal.Batches()
}

// logDir is the directory of a log's segments.
func (e *Engine) logDir(id raftlog.LogID) string {
	return filepath.Join(e.dir, logsDir, segment.DirName(id))
}

// device is what the chosen backend is made of.
type device struct {
	fs vfs.FS
	// commit is the queue that the WAL's committer owns.
	commit vfs.Queue
	// deep is the queue that the flusher owns, made by deepFS.
	deep   vfs.Queue
	deepFS vfs.FS
	// direct says that files bypass the page cache.
	direct bool
	// serial makes recovery work on one goroutine, for the simulator.
	serial bool
	choice BackendChoice
}
