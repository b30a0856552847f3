package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/snapshotwriter"
)

// SnapshotReader reads one captured state. Its file stays as long as the reader is open, also
// when a newer snapshot takes its place. All methods but Close may be called by any goroutine.
type SnapshotReader struct {
	r      *snapshot.Reader
	info   Snapshot
	use    *snapshotUse
	forget runtime.Cleanup
}

// snapshotUse is the claim of a reader on its file.
type snapshotUse struct {
	e    *Engine
	path string
	r    *snapshot.Reader
	over atomic.Bool
}

func (u *snapshotUse) end() error {
	if u.over.Swap(true) {
		return nil
	}
	err := u.r.Close()
	u.e.captures.release(u.path)
	return err
}

// Info describes the state.
func (r *SnapshotReader) Info() Snapshot { return r.info }

// Context is what Capture.Context was. The caller must not change it.
func (r *SnapshotReader) Context() []byte { return r.r.Meta().Context }

// Live are the entries at or below Info().ID that the machine still needs.
func (r *SnapshotReader) Live() Seq { return r.r.Meta().Live }

// StateBytes is the length of the state as State yields it.
func (r *SnapshotReader) StateBytes() int64 { return r.r.StateBytes() }

// State returns a reader of the state. Only bytes that verified come out of it, and io.EOF only
// when all of them did. It belongs to one goroutine; close it before the SnapshotReader. Errors:
// ErrSnapshotCodec when Options.SnapshotCodecs lacks the codec that the file names; those of Read
// are ErrCorrupt, ErrSnapshotCodec and those of the device.
func (r *SnapshotReader) State() (io.ReadCloser, error) {
	return r.r.NewStateReader(r.use.e.opts.SnapshotCodecs...)
}

// Verify reads the whole file and checks all of it. Errors: ErrCorrupt, ctx's, those of the device.
func (r *SnapshotReader) Verify(ctx context.Context) error { return r.r.Verify(ctx) }

// Header is what a transfer begins with: Log.Install takes it on the other side. Then come the
// chunks.
func (r *SnapshotReader) Header() []byte { return r.r.Header() }

// Chunks is the number of chunks; Chunk reads and verifies one, from 0 on. The data lies in buf when
// that is large enough, else in new memory. Errors: ErrCorrupt, and those of the device.
func (r *SnapshotReader) Chunks() int { return r.r.Chunks() }

// Chunk is described at Chunks.
func (r *SnapshotReader) Chunk(n int, buf []byte) ([]byte, ChunkSum, error) { return r.r.Chunk(n, buf) }

// Close ends the reading. A reader that is dropped is closed by the garbage collector.
func (r *SnapshotReader) Close() error {
	r.forget.Stop()
	return r.use.end()
}

// OpenSnapshot opens a state that Snapshots listed. Header, context and live entries are checked; the
// state is when it is read, or by Verify. Errors: ErrNotFound (it is gone), ErrCorrupt, ErrVersion,
// ErrClosed, ErrDeleted, and those of the device.
func (l *Log) OpenSnapshot(s Snapshot) (*SnapshotReader, error) {
	if err := l.e.readable(); err != nil {
		return nil, err
	}
	path := l.snapshotPath(s)
	l.mu.Lock()
	listed := false
	for _, have := range l.durable.seldom().snapshots {
		listed = listed || have == s
	}
	b := l.broken.Load()
	if listed {
		l.e.captures.acquire(path)
	}
	l.mu.Unlock()
	if !listed {
		return nil, fmt.Errorf("%w: %s at %v of log %s", ErrNotFound, s.Kind, s.ID, l.uid)
	}
	if b != nil && errors.Is(b.err, ErrDeleted) {
		l.e.captures.release(path)
		return nil, b.err
	}
	r, err := snapshot.Open(l.e.device.fs, path, l.id)
	if err != nil {
		l.e.captures.release(path)
		if errors.Is(err, snapshot.ErrUnfinished) || errors.Is(err, frame.ErrMagic) { // it was published whole
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return nil, fmt.Errorf("engine: log %s: %w", l.uid, err)
	}
	use := &snapshotUse{e: l.e, path: path, r: r}
	out := &SnapshotReader{r: r, info: s, use: use}
	if l.e.world.Production() { // what the garbage collector finds is no event of a simulated history
		out.forget = runtime.AddCleanup(out, func(u *snapshotUse) { _ = u.end() }, use)
	}
	return out, nil
}

// Restore opens the newest captured state that verifies, wholly, and from which the log goes on
// without a gap: what a machine starts from. One that does not verify is set aside under
// another name. When none is left although the log is released, the log is quarantined until a
// snapshot is installed or it is deleted. Errors: ErrNoSnapshot (there is none, and nothing
// is missing), ErrQuarantined, ErrClosed, ErrDeleted, ctx's, and those of the device.
func (l *Log) Restore(ctx context.Context) (*SnapshotReader, error) {
	damaged := error(nil)
	for {
		s, ok := l.newestContiguous()
		if !ok {
			break
		}
		r, err := l.OpenSnapshot(s)
		if err == nil {
			if err = r.Verify(ctx); err == nil {
				return r, nil
			}
			_ = r.Close()
		}
		switch {
		case errors.Is(err, ErrCorrupt), errors.Is(err, fs.ErrNotExist):
			damaged = err
			apart := l.quarantineWithout(s, err)
			l.setAside(s, err)
			if apart != nil {
				return nil, apart
			}
		case errors.Is(err, ErrNotFound): // a newer one took its place meanwhile
		default:
			return nil, err
		}
	}
	if damaged == nil {
		return nil, fmt.Errorf("%w: log %s", ErrNoSnapshot, l.uid)
	}
	if released := l.First() - 1; released > 0 { // a release meanwhile has passed over what was left
		return nil, l.quarantineAt(Range{First: 1, Last: released}, damaged.Error())
	}
	return nil, fmt.Errorf("%w: log %s: %w", ErrNoSnapshot, l.uid, damaged)
}

// quarantineWithout quarantines a log that has nothing to begin with but a damaged state, nil when it has. It comes before that is
// forgotten: whatever the manifest says of a log without it says this too.
func (l *Log) quarantineWithout(s Snapshot, cause error) error {
	l.mu.Lock()
	released := l.view.Load().released.Index
	begins := released == 0 || slices.ContainsFunc(l.durable.seldom().snapshots, func(have Snapshot) bool {
		return have != s && have.ID.Index >= released
	})
	l.mu.Unlock()
	if begins {
		return nil
	}
	return l.quarantineAt(Range{First: 1, Last: released}, cause.Error())
}

// Newest returns the captured state that Restore tries first. Who opens it and reads its state to the end needs no Restore, which
// would read all of it once more: that is for one whose bytes turn out to be damaged. ok is false when there is none.
func (l *Log) Newest() (s Snapshot, ok bool) { return l.newestContiguous() }

// newestContiguous returns the newest captured state that leaves no gap before the log's first entry.
func (l *Log) newestContiguous() (Snapshot, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.durable.seldom().snapshots
	if n := len(list); n > 0 && list[n-1].ID.Index >= l.view.Load().released.Index {
		return list[n-1], true
	}
	return Snapshot{}, false
}

// setAside takes a damaged state off the list and keeps its bytes under another name, which a backup that runs has
// them wait for: it copies what was listed when it began.
func (l *Log) setAside(s Snapshot, cause error) {
	l.mu.Lock()
	l.forgetCaptureLocked(s)
	l.mu.Unlock()
	l.e.flusher.tidy(l)
	l.e.held.do(func() { l.renameAside(s) })
	l.e.opts.Logger.Error("a captured state is damaged", "uid", string(l.uid), "at", s.ID.String(), "err", cause)
	l.e.event(Event{Kind: EventSnapshotDamaged, UID: l.uid, Entry: s.ID, Err: cause})
}

// renameAside gives a damaged state's file its other name, unless another state of that name has come meanwhile, or
// may be about to.
func (l *Log) renameAside(s Snapshot) {
	anew := func(have Snapshot) bool { return have.Kind == s.Kind && have.ID == s.ID }
	l.mu.Lock()
	taken := l.capturing || slices.ContainsFunc(l.durable.seldom().snapshots, anew)
	if !taken {
		l.capturing = true // nothing else of the log gets that name meanwhile
	}
	l.mu.Unlock()
	if taken {
		return // the damaged file is replaced, or swept after the next open
	}
	defer l.endInstall()
	if _, err := snapshotwriter.SetAside(l.e.device.fs, l.snapshotPath(s)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.e.opts.Logger.Warn("cannot set a damaged snapshot aside", "err", err)
	}
}

// quarantineAt sets a log of a running engine apart and returns the error that its calls return.
func (l *Log) quarantineAt(lost Range, reason string) error {
	q := &QuarantineError{UID: l.uid, Lost: lost, Reason: reason}
	note := &manifest.Quarantine{Lost: lost, Reason: reason}
	l.mu.Lock()
	l.broken.CompareAndSwap(nil, &brokenLog{err: q, quarantine: note})
	l.mu.Unlock()
	l.failAll(q)
	l.e.flusher.tidy(l)
	l.e.opts.Logger.Error("log is quarantined", "uid", string(l.uid), "err", q)
	l.e.event(Event{Kind: EventQuarantined, UID: l.uid, Err: q})
	return q
}
