package engine

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/snapshotwriter"
	"github.com/rawl-db/rawl/wal"
)

// Capture is what Log.Capture writes: a state of the log's machine, and what belongs to it.
type Capture struct {
	// Kind is KindSnapshot, KindCheckpoint or KindRecovery.
	Kind SnapshotKind
	// At is the last entry that the state covers. It must be durable, and newer than the newest
	// snapshot, or for the other kinds the newest capture of any kind.
	At EntryID
	// Context is kept beside the state: the configuration, the session table and the machine's
	// version at that entry. At most 16 MiB; it has no meaning to the engine.
	Context []byte
	// Origin, if it is not 0, says whose state this is: captures of one origin at one position, in whatever log, hold the same, and so
	// a transfer that one member began goes on with the chunks of another. With 0 this capture is like no other. Where captures that
	// should be the same are not, an Install that got chunks of both fails at its end.
	Origin uint64
	// Live are the entries at or below At that the machine still needs: they stay readable
	// when the rest is released. It must not be changed any more. A KindRecovery has none.
	Live Seq
	// State writes the state. It is called once, on a goroutine of the snapshot pool, beside
	// later work of the owner: what it writes must not change meanwhile. An error or a panic of it
	// ends the capture, and nothing is published.
	State func(io.Writer) error
	// Done hears once how it ended, on another goroutine than the owner's; nil when
	// nobody wants to know. Of a KindSnapshot it comes when the record of its publication is
	// durable and the log is released; of the others when the file is there, not synced.
	// Errors: those of State, ErrSnapshotState for its panic, ErrDeleted, ErrClosed, ErrFailed,
	// and those of the device.
	Done func(Snapshot, error)
}

// Capture begins to write a snapshot or checkpoint and returns without waiting (Raft thesis §5;
// RA.md 4.7 for the kinds). One runs at a time for each log, Options.SnapshotWorkers for
// the engine. Errors, and then Done is not called: ErrSnapshotRunning, ErrSnapshotOld, ErrNotDurable
// (At is not durable yet), ErrOutOfRange, ErrGap (At is not in the log), ErrCompacted (Live names an
// entry that is released already), ErrTooLarge (Context), ErrBusy (too many captures wait),
// ErrFailed, ErrClosed, ErrDeleted, ErrQuarantined, and those of reading a segment.
func (l *Log) Capture(c Capture) error {
	if err := c.validate(); err != nil {
		return err
	}
	term, err := l.lockKnowing(c.At.Index)
	if errors.Is(err, ErrCompacted) {
		return fmt.Errorf("%w: %s at %v: %w", ErrSnapshotOld, c.Kind, c.At, err)
	} else if err != nil {
		return err
	}
	defer l.mu.Unlock()
	if term != c.At.Term {
		return fmt.Errorf("%w: capture at %v, the entry has term %d in log %s", ErrGap, c.At, term, l.uid)
	}
	if err := l.usable(); err != nil {
		return err
	}
	if err := l.acceptCaptureLocked(&c); err != nil {
		return err
	}
	meta := snapshot.Meta{Kind: c.Kind, UID: l.uid, Log: l.id, ID: c.At, Context: c.Context, Live: c.Live, Salt: c.Origin}
	job := snapshotwriter.Job{Meta: meta, State: func(w io.Writer) error { return c.State(&livingWriter{l, w}) }}
	if err := l.enqueue(job, func(r snapshotwriter.Result) { l.captured(&c, r) }); err != nil {
		return err
	}
	l.capturing, l.capturingLive = true, !c.Live.Empty()
	return nil
}

func (c *Capture) validate() error {
	switch {
	case !c.Kind.Valid():
		return fmt.Errorf("%w: capture of kind %d", ErrOptions, c.Kind)
	case c.State == nil:
		return fmt.Errorf("%w: capture without State", ErrOptions)
	case c.At.Index == 0 || c.Live.Last() > c.At.Index:
		return fmt.Errorf("%w: capture at %v with live entries up to %d", ErrOutOfRange, c.At, c.Live.Last())
	case c.Kind == KindRecovery && !c.Live.Empty():
		return fmt.Errorf("%w: a recovery checkpoint has no live entries", ErrOptions)
	case len(c.Context) > snapshot.MaxContextBytes:
		return fmt.Errorf("%w: context of %d bytes, at most %d", ErrTooLarge, len(c.Context), snapshot.MaxContextBytes)
	}
	return nil
}

func (l *Log) acceptCaptureLocked(c *Capture) error {
	if l.capturing {
		return fmt.Errorf("%w: log %s", ErrSnapshotRunning, l.uid)
	}
	if w := l.writtenLocked(); c.At.Index > w.Index {
		return fmt.Errorf("%w: capture at %v, log %s is durable up to %v", ErrNotDurable, c.At, l.uid, w)
	}
	for _, s := range l.durable.seldom().snapshots {
		if s.ID.Index >= c.At.Index && (s.Kind == KindSnapshot || c.Kind != KindSnapshot) {
			return fmt.Errorf("%w: %s at %v, log %s has a %s at %v", ErrSnapshotOld, c.Kind, c.At, l.uid, s.Kind, s.ID)
		}
	}
	return l.checkLiveLocked(c.Live)
}

// checkLiveLocked refuses live entries that an earlier snapshot let go.
func (l *Log) checkLiveLocked(live Seq) error {
	v := l.view.Load()
	for i := range live.Limit(v.released.Index).All() {
		if ok, err := v.live.has(i); !ok {
			if err == nil {
				err = fmt.Errorf("%w: live entry %d, log %s begins at %d", ErrCompacted, i, l.uid, v.released.Index+1)
			}
			return err
		}
	}
	return nil
}

// livingWriter ends the capture of a log that has gone.
type livingWriter struct {
	l *Log
	w io.Writer
}

func (w *livingWriter) Write(b []byte) (int, error) {
	if err := w.l.usable(); err != nil {
		return 0, err
	}
	return w.w.Write(b)
}

// enqueue has a job done; done hears how it ended. A finished file in its way that nothing refers to is removed, once.
func (l *Log) enqueue(job snapshotwriter.Job, done func(snapshotwriter.Result)) error {
	again := job
	again.Done = done
	job.Done = func(r snapshotwriter.Result) {
		if errors.Is(r.Err, snapshotwriter.ErrExists) && l.makeRoom(&job) {
			if r.Err = l.e.snapshots.Enqueue(again); r.Err == nil {
				return
			}
		}
		done(r)
	}
	return snapshotError(l.e.snapshots.Enqueue(job))
}

// dropLeftover removes a finished file that nothing refers to: a crash came before the record of
// its publication. It reports whether there was one.
func (l *Log) dropLeftover(kind SnapshotKind, at EntryID) bool {
	l.mu.Lock()
	listed := slices.ContainsFunc(l.durable.seldom().snapshots, func(s Snapshot) bool { return s.Kind == kind && s.ID == at })
	l.mu.Unlock()
	return !listed && l.e.device.fs.Remove(l.snapshotPath(Snapshot{Kind: kind, ID: at})) == nil
}

// forgetCaptureLocked takes a captured state off the list.
func (l *Log) forgetCaptureLocked(s Snapshot) {
	l.durable.change().snapshots = slices.DeleteFunc(slices.Clone(l.durable.seldom().snapshots), func(have Snapshot) bool {
		return have.Kind == s.Kind && have.ID == s.ID
	})
}

// captured goes on when the file is there, or the attempt failed.
func (l *Log) captured(c *Capture, r snapshotwriter.Result) {
	l.concluded(r, newLiveSet(c.Live), c.Done)
}

// concluded publishes the file, or tells done why there is none.
func (l *Log) concluded(r snapshotwriter.Result, live *liveSet, done func(Snapshot, error)) {
	err := snapshotError(r.Err)
	l.mu.Lock()
	if err == nil {
		if err = l.usable(); err == nil {
			err = l.publishLocked(r.Snapshot, live, true, done)
		}
		if err != nil {
			l.e.captures.retire(l.snapshotPath(r.Snapshot))
		}
	}
	if err != nil {
		l.capturing, l.capturingLive = false, false
	}
	l.mu.Unlock()
	l.e.flusher.signal() // a deletion may wait for the end of the capture
	if err != nil && done != nil {
		done(Snapshot{}, err)
	}
}

func (l *Log) isCapturing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.capturing
}

// snapshotError gives an error of package snapshotwriter the engine's name for it.
func snapshotError(err error) error {
	var state *snapshotwriter.StateError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, snapshotwriter.ErrClosed):
		return ErrClosed
	case errors.Is(err, snapshotwriter.ErrQueueFull):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case errors.As(err, &state):
		return fmt.Errorf("%w: %w", ErrSnapshotState, err)
	}
	return fmt.Errorf("engine: %w", err)
}

// publishLocked queues the record that makes a captured state count. done hears when it does. A lazy
// record rides with the next batch.
func (l *Log) publishLocked(s Snapshot, live *liveSet, lazy bool, done func(Snapshot, error)) error {
	return l.controlLocked(
		pendingFact{kind: factSnapshot, id: s.ID, more: &pendingMore{snap: s, live: live, done: done}},
		wal.Control{Kind: wal.KindSnapshot, Index: s.ID.Index, Term: s.ID.Term, Payload: appendSnapshot(nil, s), Lazy: lazy})
}

// settleSnapshotLocked makes a published state count: its record is durable.
func (l *Log) settleSnapshotLocked(f *pendingFact, batch raftlog.Batch) {
	kept, gone := publishSnapshot(l.durable.seldom().snapshots, f.more.snap, l.e.opts.MaxCheckpoints)
	rare := l.durable.change()
	rare.snapshots = kept
	for _, s := range gone {
		l.e.captures.retire(l.snapshotPath(s))
	}
	l.capturing, l.capturingLive = false, false
	if f.more.snap.Kind != KindSnapshot {
		l.e.flusher.signal() // a sweep may wait for the end of the capture
		l.happened(happenedSnapshot)
		return
	}
	v := l.view.Load()
	if f.id.Index > l.durable.released.Index {
		l.durable.releasedSince = batch
	}
	l.durable.released = later(l.durable.released, f.id)
	rare.live, rare.liveSince = f.more.live, batch
	released := later(v.released, f.id)
	l.cuts++
	l.setView(v.release(released, l.durable.floor(released.Index), f.more.live))
	l.dropReleasedLocked()
	l.e.flusher.tidy(l)
	l.happened(happenedSnapshot | happenedRelease)
}

func later(a, b EntryID) EntryID {
	if b.Index > a.Index {
		return b
	}
	return a
}

// Snapshots returns the captured states that are published, ascending by index. The caller owns
// the slice.
func (l *Log) Snapshots() []Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Snapshot(nil), l.durable.seldom().snapshots...)
}

// publishSnapshot adds s to the list of captured states and returns the list and what leaves it. A
// snapshot makes all below it superfluous, a recovery checkpoint its predecessor; beyond
// most checkpoints the one goes whose neighbours are closest to each other, never the oldest nor
// the newest.
func publishSnapshot(list []Snapshot, s Snapshot, most int) (kept, gone []Snapshot) {
	for _, old := range list {
		switch {
		case old.Kind == s.Kind && old.ID == s.ID:
		case s.Kind == KindSnapshot && old.ID.Index <= s.ID.Index, s.Kind == KindRecovery && old.Kind == KindRecovery:
			gone = append(gone, old)
		default:
			kept = append(kept, old)
		}
	}
	at := len(kept)
	for at > 0 && kept[at-1].ID.Index > s.ID.Index {
		at--
	}
	kept = append(kept[:at], append([]Snapshot{s}, kept[at:]...)...)
	if k := thinnest(kept, most); k >= 0 {
		gone = append(gone, kept[k])
		kept = append(kept[:k], kept[k+1:]...)
	}
	return kept, gone
}

// thinnest returns the checkpoint that goes, -1 when there are not more than most.
func thinnest(list []Snapshot, most int) int {
	var at []int // of checkpoints
	for k, s := range list {
		if s.Kind == KindCheckpoint {
			at = append(at, k)
		}
	}
	if len(at) <= most {
		return -1
	}
	best := 0
	for k := 1; k < len(at)-1; k++ {
		if best == 0 || gap(list, at, k) < gap(list, at, best) {
			best = k
		}
	}
	return at[best]
}

// gap is the distance between the neighbours of the k-th checkpoint.
func gap(list []Snapshot, at []int, k int) Index {
	return list[at[k+1]].ID.Index - list[at[k-1]].ID.Index
}
