package engine

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/snapshotwriter"
)

// Install accepts a snapshot from another member (Raft thesis §5.2, RA.md 4.7): the sender reads
// SnapshotReader.Header, the chunks, and those entries of the live set that the receiver lacks; the
// receiver hands them to an Install. Nothing of it counts before Finish.
//
// One goroutine owns an Install, which must end with Finish, Abort or Close: until then its log captures
// nothing, and the files of the log stay when it is deleted.
type Install struct {
	l        *Log
	info     snapshot.Info
	receiver *snapshotwriter.Receiver
	live     liveSpool
	ended    error // ErrInstallEnded, or why it failed
}

// Install begins to accept a snapshot, or resumes: chunks that an earlier Install with the same header
// accepted, before Close or a crash, need not be sent again; Next says from where to go on. Those of which it is not known that they
// are durable are read and written again. Live entries are put again.
// A quarantined log takes a snapshot too: that is its way out.
//
// Errors: ErrCorrupt and ErrVersion (header), ErrSnapshotKind, ErrSnapshotOld (the log has a snapshot
// which covers as much, has released or applied more), ErrCommitted (the log is committed up to the snapshot's
// entry, and has another there), ErrSnapshotRunning, ErrFailed, ErrClosed, ErrDeleted, and those of the
// device.
func (l *Log) Install(header []byte) (*Install, error) {
	info, err := snapshot.ParseHeader(header)
	if err != nil {
		return nil, fmt.Errorf("engine: install: %w", err)
	}
	if err := l.beginInstall(&info); err != nil {
		return nil, err
	}
	in := &Install{l: l, info: info}
	if in.receiver, err = l.receive(header, &info); err != nil {
		l.endInstall()
		return nil, installError(err)
	}
	in.live.l = l
	return in, nil
}

// beginInstall takes the log's only place for a snapshot that is written.
func (l *Log) beginInstall(info *snapshot.Info) error {
	_, err := l.lockForInstall(info.ID)
	if err != nil {
		return err
	}
	defer l.mu.Unlock()
	if l.capturing {
		return fmt.Errorf("%w: log %s", ErrSnapshotRunning, l.uid)
	}
	l.capturing, l.capturingLive = true, !info.Live.Empty()
	return nil
}

// endInstall gives the place back.
func (l *Log) endInstall() {
	l.mu.Lock()
	l.capturing, l.capturingLive = false, false
	l.mu.Unlock()
	l.e.flusher.signal() // a deletion may wait for it
}

// lockForInstall takes mu once it is known that the snapshot at id may be installed, and
// whether the log holds its entry: then the log stays as it is behind it. After an error mu is free.
func (l *Log) lockForInstall(id EntryID) (holds bool, err error) {
	for {
		l.mu.Lock()
		cuts := l.cuts
		l.mu.Unlock()
		holds, err := l.holds(id)
		if err != nil {
			return false, err
		}
		l.mu.Lock()
		if l.cuts != cuts {
			l.mu.Unlock()
			continue
		}
		if err := l.mayInstallLocked(id, holds); err != nil {
			l.mu.Unlock()
			return false, err
		}
		return holds, nil
	}
}

// holds reports whether the log has that entry, or was released up to it. A quarantined log has nothing.
func (l *Log) holds(id EntryID) (bool, error) {
	term, err := l.Term(id.Index)
	switch {
	case err == nil:
		return term == id.Term, nil
	case errors.Is(err, ErrOutOfRange), errors.Is(err, ErrCompacted), errors.Is(err, ErrQuarantined):
		return false, nil
	}
	return false, err
}

func (l *Log) mayInstallLocked(id EntryID, holds bool) error {
	if err := l.usable(); err != nil && !errors.Is(err, ErrQuarantined) {
		return err
	}
	if err := l.e.usable(); err != nil {
		return err
	}
	for _, s := range l.durable.seldom().snapshots {
		if s.Kind == KindSnapshot && s.ID.Index >= id.Index {
			return fmt.Errorf("%w: install at %v, log %s has a snapshot at %v", ErrSnapshotOld, id, l.uid, s.ID)
		}
	}
	switch r := l.view.Load().released; {
	case id.Index < r.Index:
		return fmt.Errorf("%w: install at %v, log %s is released up to %v", ErrSnapshotOld, id, l.uid, r)
	case holds:
	case id.Index < l.applied:
		return fmt.Errorf("%w: install at %v, log %s is applied up to %d", ErrSnapshotOld, id, l.uid, l.applied)
	case id.Index <= l.knownCommittedLocked() && l.broken.Load() == nil:
		return fmt.Errorf("%w: install at %v, log %s has another entry there, up to %d", ErrCommitted, id, l.uid, l.knownCommittedLocked())
	}
	return nil
}

// receive opens the receiver. Files of transfers that nobody resumes any more are removed; so is one that
// came to its end and was never published.
func (l *Log) receive(header []byte, info *snapshot.Info) (*snapshotwriter.Receiver, error) {
	final := l.snapshotPath(Snapshot{Kind: KindSnapshot, ID: info.ID})
	found, err := snapshotwriter.List(l.e.device.fs, l.e.logDir(l.id))
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		if f.Stage == snapshot.Receiving && f.ID != info.ID || f.Path == final {
			if err := l.e.device.fs.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	return l.e.snapshots.NewReceiver(header, snapshotwriter.Target{Log: l.id, UID: l.uid})
}

// mayResumeLocked reports whether a transfer of that snapshot could go on where it was interrupted.
func (l *Log) mayResumeLocked(id EntryID) bool {
	for _, s := range l.durable.seldom().snapshots {
		if s.Kind == KindSnapshot && s.ID.Index >= id.Index {
			return false
		}
	}
	return id.Index >= l.view.Load().released.Index
}

// Info describes the snapshot.
func (in *Install) Info() Snapshot {
	s := in.info.Snapshot()
	s.Kind = KindSnapshot
	return s
}

// Context is what the sender's Capture.Context was. The caller must not change it.
func (in *Install) Context() []byte { return in.info.Context }

// Chunks is the number of chunks, Next the one that Accept expects: Chunks when it has all.
func (in *Install) Chunks() int { return in.info.Chunks() }

// Next is described at Chunks.
func (in *Install) Next() int { return in.receiver.Next() }

// Accept takes chunk n. One before Next that is equal to what was accepted changes nothing. data is
// not kept. It may write to disk. Errors after which the Install goes on: ErrChunkOrder, ErrCorrupt (the chunk
// does not verify), ErrOtherSnapshot. Others end it: ErrCorrupt (what an earlier Install left has been damaged since), ErrClosed,
// ErrDeleted, ErrFailed, ErrInstallEnded, those of the device.
func (in *Install) Accept(n int, data []byte, sum ChunkSum) error {
	if err := in.standing(); err != nil {
		return err
	}
	err := in.receiver.Accept(n, data, sum)
	switch {
	case err == nil:
		return nil
	case in.receiver.Err() == nil && !errors.Is(err, snapshotwriter.ErrClosed):
		return installError(err)
	}
	return in.fail(installError(err))
}

// standing says why the install does not go on, nil when it does.
func (in *Install) standing() error {
	if in.ended != nil {
		return in.ended
	}
	if err := in.l.usable(); err != nil && !errors.Is(err, ErrQuarantined) {
		return in.fail(err)
	}
	return nil
}

// fail ends the install and returns err. What the receiver has is removed unless it can be resumed.
func (in *Install) fail(err error) error {
	in.end(err, in.receiver.Close())
	return err
}

// end gives back what the install holds; further calls return why. What failed on the way is left to
// the sweep of the next open.
func (in *Install) end(why error, failed error) {
	again := in.ended != nil
	in.ended = why
	in.leaves(errors.Join(failed, in.live.discard()))
	if !again {
		in.l.endInstall()
	}
}

// leaves tells of files that could not be removed.
func (in *Install) leaves(err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		in.l.e.opts.Logger.Warn("install leaves files behind", "uid", string(in.l.uid), "err", err)
	}
}

// Abort gives the transfer up and removes what was received. After the end it does nothing. Errors:
// those of the device.
func (in *Install) Abort() error {
	if in.ended != nil {
		return nil
	}
	err := in.receiver.Abort()
	in.end(ErrInstallEnded, nil)
	return err
}

// Close interrupts the transfer: the chunks stay, durable, for an Install with the same header. After the end it
// does nothing. Errors: those of the device.
func (in *Install) Close() error {
	if in.ended != nil {
		return nil
	}
	err := in.receiver.Close()
	in.end(ErrInstallEnded, nil)
	return err
}

// installError gives an error of package snapshotwriter the engine's name for it.
func installError(err error) error {
	if errors.Is(err, snapshotwriter.ErrBusy) {
		return fmt.Errorf("%w: %w", ErrSnapshotRunning, err)
	}
	return snapshotError(err)
}
