package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/wal"
)

// Finish syncs what was received, all of it verified, publishes it, and waits until that is durable or
// ctx ends. When the log holds the snapshot's entry it is released up to there and what follows stays.
// Else the log is replaced: it is empty and goes on behind the snapshot's entry, nothing older
// can be read but the live entries, who waits for older entries gets ErrTruncated, and slots that had not acknowledged
// all below are given up, with EventSlotInvalid. A crash leaves the
// log as it was or as the snapshot has it. The commit index rises to the snapshot's; the applied one is
// the machine's, see SetApplied. A quarantine ends; what the log had acknowledged behind the snapshot is lost then,
// and its term and vote may be older than they were: set them before the log's member answers anybody.
//
// When ctx ends while it waits, the cause is returned and the snapshot may be published later. Errors after
// which the Install goes on: ErrChunkMissing, ErrLiveMissing, the cause of ctx when it has
// ended before. Others end it: ErrCorrupt, ErrSnapshotOld and ErrCommitted (the log went on meanwhile), ErrCompacted
// (the log holds the snapshot's entry and more, and lacks live entries that it once released), ErrTooLarge (live
// entries for more segments than a record names), ErrClosed, ErrDeleted, ErrFailed, ErrInstallEnded, those of the device.
func (in *Install) Finish(ctx context.Context) (Snapshot, error) {
	if err := in.standing(); err != nil {
		return Snapshot{}, err
	}
	if ctx.Err() != nil {
		return Snapshot{}, in.l.canceled(ctx, "install")
	}
	if next := in.receiver.Next(); next < in.Chunks() {
		return Snapshot{}, fmt.Errorf("%w: %d of %d are there", ErrChunkMissing, next, in.Chunks())
	}
	if lacks, err := in.Live(); err != nil || !lacks.Empty() {
		if err == nil {
			err = fmt.Errorf("%w: %d, from %d on, of the snapshot at %v", ErrLiveMissing, lacks.Len(), lacks.First(), in.info.ID)
		}
		return Snapshot{}, err
	}
	s, err := in.receiver.Finish()
	if err != nil {
		return Snapshot{}, in.fail(installError(err))
	}
	w, unneeded, err := in.publish()
	if err != nil {
		in.end(err, in.l.e.device.fs.Remove(in.l.snapshotPath(s)))
		return Snapshot{}, err
	}
	in.ended = ErrInstallEnded
	if unneeded {
		in.leaves(in.live.discard())
	} else {
		in.leaves(in.live.close())
	}
	return s, in.l.await(ctx, w)
}

// publish queues the record, and returns who waits for it and whether the spool is not part of it.
func (in *Install) publish() (w *waiter, unneeded bool, err error) {
	l := in.l
	for {
		holds, err := l.lockForInstall(in.info.ID)
		if err != nil {
			return nil, false, err
		}
		v := l.view.Load()
		if holds && in.leftOut(in.info.Live, nil, v, in.info.ID.Index) == 0 {
			w, err := in.publishedLocked(l.publishLocked(in.Info(), newLiveSet(in.info.Live), false, nil))
			return w, true, err
		}
		if holds && l.last != in.info.ID {
			l.mu.Unlock()
			return nil, false, fmt.Errorf("%w: live entries of the snapshot at %v", ErrCompacted, in.info.ID)
		}
		if in.live.at.Index == in.info.Live.Last() {
			w, err := in.publishedLocked(in.replaceLocked())
			return w, false, err
		}
		l.mu.Unlock()
		if err := in.spool(nil, nil, in.info.Live.Last()); err != nil {
			return nil, false, err
		}
	}
}

// publishedLocked goes on when the record is queued, or could not be, and frees mu.
func (in *Install) publishedLocked(err error) (*waiter, error) {
	l := in.l
	defer l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if c := uint64(in.info.ID.Index); l.committed.Load() < c {
		l.committed.Store(c)
		l.happened(happenedCommit)
	}
	return l.addWaiterLocked(nil, 0, l.controls[len(l.controls)-1].seq), nil
}

// replaceLocked queues the record that replaces the log.
func (in *Install) replaceLocked() error {
	l := in.l
	record := installation{snap: in.Info(), segments: in.live.segments}
	more := &pendingMore{snap: record.snap, live: newLiveSet(in.info.Live), segments: record.segments}
	f := pendingFact{kind: factInstall, id: in.info.ID, more: more}
	if b := l.broken.Load(); b != nil {
		if !errors.Is(b.err, ErrQuarantined) {
			return b.err
		}
		more.heals, record.heals = b, true
	}
	payload, err := appendInstall(nil, &record)
	if err != nil {
		return err
	}
	err = l.controlLocked(f, wal.Control{Kind: wal.KindInstall, Index: f.id.Index, Term: f.id.Term, Payload: payload})
	if err != nil {
		return err
	}
	held := l.resetLocked(f.id, more.live, more.segments)
	l.controls[len(l.controls)-1].held = held
	l.resets++
	for _, lost := range l.passOverLocked(f.id) {
		l.e.slotGivenUp(lost)
	}
	return nil
}
