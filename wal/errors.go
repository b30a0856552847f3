package wal

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/raftlog"
)

var (
	// ErrClosed is returned after Close, or after Run was stopped.
	ErrClosed = errors.New("wal: closed")
	// ErrReadOnly means: no space is left to write to. It ends by itself when there is
	// space again and Retry was called.
	ErrReadOnly = errors.New("wal: read only, no space left")
	// ErrFailed means that a batch could be written neither to its file nor to a fresh one.
	// It is final, and wraps the cause where one is known.
	ErrFailed = errors.New("wal: failed")
	// ErrNoSpare means that a file is needed and the pool has none ready.
	ErrNoSpare = errors.New("wal: no spare file ready")
	// ErrTooLarge means a control record above MaxControlPayload, or more queued for CommitAll
	// than MaxCommitAll.
	ErrTooLarge = errors.New("wal: too large")
)

// FailedError is ErrFailed with its cause; errors.Is holds for both.
type FailedError struct{ Cause error }

func (e *FailedError) Error() string { return fmt.Sprintf("%v: %v", ErrFailed, e.Cause) }

// Unwrap returns ErrFailed and the cause.
func (e *FailedError) Unwrap() []error { return []error{ErrFailed, e.Cause} }

// SourceError means that a source did not have an entry that was queued from it. It is a
// broken promise of the caller, and fails the WAL: the log must not go on with a hole.
type SourceError struct {
	ID    raftlog.LogID
	Index raftlog.Index
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("wal: log %d: queued entry %d is not in its source", e.ID, e.Index)
}
