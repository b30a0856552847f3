package snapshotwriter

import (
	"context"
	"io"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/snapshot"
)

// Names of the format that callers write.
type (
	// Meta is what a file says about its state.
	Meta = snapshot.Meta
	// Info is all that is known of a file without its chunks.
	Info = snapshot.Info
	// Sum is the checksum of a chunk as it travels.
	Sum = snapshot.Sum
	// Codec encodes and decodes states.
	Codec = snapshot.Codec
	// CorruptError says which bytes did not verify.
	CorruptError = snapshot.CorruptError
)

// Job is one file to be written, or one checkpoint to be promoted.
type Job struct {
	// Meta describes the state. Codec, and Salt and ChunkBytes when they are 0, are filled in by the
	// Writer. Context and Live belong to the Writer until Done.
	Meta Meta
	// State writes the state. It runs once, on the worker's goroutine; the io.Writer is valid until
	// it returns. It must end when a Write fails. A panic in it is a *StateError.
	State func(io.Writer) error
	// Promote makes the job promote the checkpoint at Meta.ID of Meta.Log; nothing else of Meta
	// counts, and State is not called.
	Promote bool
	// Context ends the job between two chunks. nil never does.
	Context context.Context
	// Done is called once, on the worker's goroutine, or by Close for a job that has not begun.
	Done func(Result)
}

// Result is how a job ended.
type Result struct {
	// Snapshot describes the file; zero when Err is not nil.
	Snapshot raftlog.Snapshot
	// Live are the live entries of a promoted checkpoint.
	Live raftlog.Seq
	// Err is nil, or why nothing was published: *StateError, ErrCodec, ErrMeta, ErrClosed, ErrBusy,
	// ErrExists, ErrPoisoned, *CorruptError, the error of the context, or that of the file system.
	Err error
}

// ended returns why the job must not go on.
func (j *Job) ended() error {
	if j.Context == nil {
		return nil
	}
	return context.Cause(j.Context)
}
