package engine

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/snapshotwriter"
	"github.com/rawl-db/rawl/wal"
)

// Errors that callers branch on, with errors.Is. What each call may return is said at the call.
var (
	// ErrClosed means the engine was closed, or is closing.
	ErrClosed = errors.New("engine: closed")
	// ErrInUse means that another process, or another Engine of this one, owns the directory.
	ErrInUse = errors.New("engine: directory is in use")
	// ErrVersion means that the directory, or a file in it, is of a format version this
	// program does not know. Nothing was changed.
	ErrVersion = frame.ErrVersion
	// ErrCorrupt means that bytes on disk do not verify.
	ErrCorrupt = frame.ErrCorrupt
	// ErrUnsupported means that the chosen backend cannot work here; the text says why.
	ErrUnsupported = vfs.ErrUnsupported
	// ErrMissingWAL means that a WAL file which the manifest names is not there, or belongs to
	// another engine: an unmounted WALDir, as a rule. Nothing was changed.
	ErrMissingWAL = wal.ErrMissingWAL
	// ErrOptions is wrapped by Open when an option is out of its bounds.
	ErrOptions = errors.New("engine: bad options")

	// ErrBadUID means that a UID is empty, too long, or holds other than base64url characters.
	ErrBadUID = raftlog.ErrBadUID
	// ErrNotFound means that no log of that UID exists.
	ErrNotFound = errors.New("engine: no such log")
	// ErrExists means that a log of that UID exists already.
	ErrExists = errors.New("engine: log exists")
	// ErrDeleted means that the log was deleted after the handle was taken.
	ErrDeleted = errors.New("engine: log was deleted")

	// ErrGap means that prev is not in the log, or that entries do not follow it by one each
	// with terms that never fall.
	ErrGap = errors.New("engine: entries do not follow the log")
	// ErrTooLarge means that an entry exceeds Options.MaxEntryBytes, the entries of one call take
	// more than half of Options.LogMemoryBytes, or a vote exceeds its bound.
	ErrTooLarge = errors.New("engine: too large")
	// ErrHardState means that a hard state would lower the term, or change the vote of a term.
	ErrHardState = errors.New("engine: hard state may not go back")
	// ErrCompacted means that the index was released.
	ErrCompacted = errors.New("engine: index was released")
	// ErrOutOfRange means that the index is above the last entry, or is 0.
	ErrOutOfRange = errors.New("engine: index is beyond the log")
	// ErrTruncated means that an entry was cut from the log before it became durable.
	ErrTruncated = errors.New("engine: entry was truncated")

	// ErrNotDurable means that an entry is not durable yet.
	ErrNotDurable = errors.New("engine: entry is not durable yet")
	// ErrSnapshotRunning means that a state of the log is being captured or installed already.
	ErrSnapshotRunning = errors.New("engine: a snapshot of the log is being written")
	// ErrSnapshotOld means that there is a snapshot which covers as much.
	ErrSnapshotOld = errors.New("engine: snapshot is not newer")
	// ErrSnapshotState means that Capture.State failed or panicked; the text holds what it said.
	ErrSnapshotState = errors.New("engine: state could not be captured")
	// ErrSnapshotCodec means that a state is encoded by a codec that Options.SnapshotCodecs lacks, or
	// that a codec failed.
	ErrSnapshotCodec = snapshot.ErrCodec
	// ErrSnapshotKind means a recovery checkpoint where a snapshot is installed: it has no live entries.
	ErrSnapshotKind = snapshotwriter.ErrKind
	// ErrOtherSnapshot means a chunk of another snapshot than the one that is installed, or another
	// chunk than the one that was accepted before.
	ErrOtherSnapshot = snapshotwriter.ErrOtherSnapshot
	// ErrChunkOrder means a chunk, or a live entry, that is not the next one.
	ErrChunkOrder = snapshotwriter.ErrOutOfOrder
	// ErrChunkMissing means that an install ends before all chunks are there.
	ErrChunkMissing = snapshotwriter.ErrIncomplete
	// ErrLiveMissing means that an install lacks live entries; see Install.Live.
	ErrLiveMissing = errors.New("engine: live entries of the snapshot are missing")
	// ErrInstallEnded means a call on an Install after its end.
	ErrInstallEnded = errors.New("engine: install has ended")
	// ErrNoSnapshot means that the log has no captured state from which it goes on without a gap.
	ErrNoSnapshot = errors.New("engine: no snapshot")

	// ErrBusy means that the memory budget is used up. Nothing was appended; a Ready event follows.
	ErrBusy = errors.New("engine: over the memory budget")
	// ErrReadOnly means that the disk is full: entries are refused, hard state and deletion
	// are not while the reserve lasts. It heals by itself when space returns.
	ErrReadOnly = errors.New("engine: read only, disk is full")
	// ErrFailed means that the device failed; the text holds the cause. Only a reopen helps.
	ErrFailed = errors.New("engine: failed")
	// ErrStalled means that the device did not answer in time.
	ErrStalled = errors.New("engine: device stalled")
	// ErrQuarantined means that acknowledged bytes of this log were damaged: it serves nothing
	// until it is deleted or repaired. See QuarantineError.
	ErrQuarantined = errors.New("engine: log is quarantined")
)

// QuarantineError says why a log serves nothing. errors.Is(err, ErrQuarantined) holds.
type QuarantineError struct {
	UID UID
	// Lost is the range of indexes that can not be trusted; Last is 0 when its end is unknown.
	Lost Range
	// Reason says what was found, and in which file.
	Reason string
}

func (e *QuarantineError) Error() string {
	return fmt.Sprintf("%v: %s: lost [%d,%d]: %s", ErrQuarantined, e.UID, e.Lost.First, e.Lost.Last, e.Reason)
}

// Is reports whether target is ErrQuarantined.
func (e *QuarantineError) Is(target error) bool { return target == ErrQuarantined }
