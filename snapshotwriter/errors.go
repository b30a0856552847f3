package snapshotwriter

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
)

var (
	// ErrQueueFull means that QueueDepth jobs wait already.
	ErrQueueFull = errors.New("snapshotwriter: queue full")
	// ErrClosed means a call on a closed Writer or Receiver, or a job that Close ended.
	ErrClosed = errors.New("snapshotwriter: closed")
	// ErrBusy means that another job or receiver works on the same file.
	ErrBusy = errors.New("snapshotwriter: file is being worked on")
	// ErrExists means that the file is there, finished. errors.Is(err, fs.ErrExist) holds too.
	ErrExists = fmt.Errorf("snapshotwriter: finished file: %w", fs.ErrExist)
	// ErrOutOfOrder means a chunk that is not the next one, nor one of those before it.
	ErrOutOfOrder = errors.New("snapshotwriter: chunk out of order")
	// ErrIncomplete means that chunks are missing.
	ErrIncomplete = errors.New("snapshotwriter: chunks are missing")
	// ErrKind means a recovery checkpoint where a snapshot is needed: it holds no live indexes.
	ErrKind = errors.New("snapshotwriter: wrong kind")
	// ErrPoisoned means a checkpoint whose sync failed, now or before: it must not be synced again.
	ErrPoisoned = errors.New("snapshotwriter: a sync of the file failed")
)

// Errors of the format, under the names that packages above may use.
var (
	ErrCorrupt       = snapshot.ErrCorrupt
	ErrVersion       = snapshot.ErrVersion
	ErrUnfinished    = snapshot.ErrUnfinished
	ErrOtherSnapshot = snapshot.ErrOtherSnapshot
	ErrCodec         = snapshot.ErrCodec
	ErrMeta          = snapshot.ErrMeta
)

// StateError means that the function that writes the state failed, by an error or a panic.
type StateError struct {
	Log raftlog.LogID
	ID  raftlog.EntryID
	// Err is what it returned, or a *PanicError.
	Err error
}

func (e *StateError) Error() string {
	return fmt.Sprintf("snapshotwriter: state of log %d at %v: %v", e.Log, e.ID, e.Err)
}

// Unwrap returns Err.
func (e *StateError) Unwrap() error { return e.Err }

// PanicError is a panic that was recovered.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
