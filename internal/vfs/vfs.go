package vfs

import (
	"errors"
	"io"
)

// BlockSize is the unit of direct transfers, and the alignment of their buffers,
// in bytes.
const BlockSize = 4096

var (
	// ErrUnsupported is wrapped, with the reason, by what this system, kernel or file
	// system refuses to do at all.
	ErrUnsupported = errors.New("unsupported")
	// ErrShortWrite is wrapped by a write that stayed short although it was continued.
	ErrShortWrite = errors.New("short write")
	// ErrAlignment is wrapped by a direct transfer whose buffer, length or offset is
	// not a multiple of BlockSize.
	ErrAlignment = errors.New("unaligned direct transfer")
	// ErrLocked is wrapped by Lock when another holder exists.
	ErrLocked = errors.New("locked by another process")
	// ErrQueueFull is returned by Submit when Depth operations are already submitted
	// and not yet reaped.
	ErrQueueFull = errors.New("queue full")
	// ErrCanceled is the result of an operation that never ran: the one it was linked
	// behind failed or fell short, or its queue was closed.
	ErrCanceled = errors.New("operation canceled")
	// ErrClosed is returned by calls on a closed File or Queue.
	ErrClosed = errors.New("closed")
)

// SyncMode says which sync every write of an open file implies.
type SyncMode uint8

const (
	// SyncNone leaves syncing to the caller.
	SyncNone SyncMode = iota
	// SyncData makes each write as durable as write + Datasync (O_DSYNC).
	SyncData
	// SyncFull makes each write as durable as write + Sync (O_SYNC).
	SyncFull
)

// OpenOptions says how a file is opened.
type OpenOptions struct {
	// Write opens for reading and writing; else the file is read only.
	Write bool
	// Direct bypasses the page cache. Where the system or file system cannot, opening
	// fails with ErrUnsupported: the caller decides what to do without.
	Direct bool
	// Sync is implied by every write. Systems without such a mode emulate it with a
	// sync after each write.
	Sync SyncMode
}

// CreateOptions says how a file is created. It is opened for reading and writing.
type CreateOptions struct {
	Direct bool
	Sync   SyncMode
	// Size reserves that many bytes and makes them the file's size; their content reads as
	// zeros. Where the file system cannot reserve, the file is extended without
	// reserving. 0 creates an empty file.
	Size int64
}

// FS is one machine's file system. All methods may be called by any goroutine.
// Errors wrap io/fs.ErrNotExist and io/fs.ErrExist where they apply, and the
// system's own error (syscall.ENOSPC among them).
type FS interface {
	// Create makes a file that must not exist yet.
	Create(name string, o CreateOptions) (File, error)
	// Open opens a file that must exist and be a regular file.
	Open(name string, o OpenOptions) (File, error)
	// Rename replaces newName by oldName, atomically for observers.
	Rename(oldName, newName string) error
	// Link makes newName a further name of the file oldName; newName must not exist.
	Link(oldName, newName string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// MkdirAll makes a directory and its missing parents, and does nothing when it exists.
	MkdirAll(dir string) error
	// List returns the sorted names of what the directory holds, "." and ".." excluded.
	List(dir string) ([]string, error)
	// Stat describes what the name refers to, without following a symbolic link.
	Stat(name string) (Info, error)
	// SyncDir makes the directory's entries durable.
	SyncDir(dir string) error
	// Lock creates the file if needed and takes an exclusive lock on it that ends with
	// Close or with the process. It does not wait: a held lock is ErrLocked.
	Lock(name string) (io.Closer, error)
	// FreeSpace returns the bytes an ordinary user may still allocate on dir's file system.
	FreeSpace(dir string) (uint64, error)
	// Alloc returns zeroed memory of at least size bytes, aligned to BlockSize and, where
	// the system offers it, backed by huge pages outside the Go heap. free returns it; the
	// memory must not be touched afterwards.
	Alloc(size int) (buf []byte, free func(), err error)
	// NewQueue returns a queue that holds at most depth operations, 1 to 4096.
	NewQueue(depth int) (Queue, error)
}

// Info describes a file or directory.
type Info struct {
	Size int64
	Dir  bool
	// Regular is false for directories, symbolic links, devices and the like.
	Regular bool
}

// File is an open file. ReadAt, WriteAt, Datasync, Sync and Size may be called by any
// goroutine at once; Close only when no other call and no queued operation is running.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Datasync makes all completed writes durable, and the file's size if it changed.
	Datasync() error
	// Sync does that and makes all other metadata durable.
	Sync() error
	// Truncate sets the file's size.
	Truncate(size int64) error
	// Size returns the file's size in bytes.
	Size() (int64, error)
	// Direct reports whether the file bypasses the page cache.
	Direct() bool
	// Name returns the name the file was opened or created with.
	Name() string
	Close() error
}

// OpKind names what an operation does.
type OpKind uint8

const (
	// OpRead fills Buf from Off.
	OpRead OpKind = iota + 1
	// OpWrite writes Buf at Off.
	OpWrite
	// OpDatasync is File.Datasync.
	OpDatasync
	// OpSync is File.Sync.
	OpSync
)

// Op is one queued operation. The queue owns it, and Buf, from Submit until Reap
// hands it back, and keeps both reachable meanwhile; afterwards the caller may
// submit the same Op again.
type Op struct {
	Kind OpKind
	File File
	Buf  []byte
	Off  int64
	// DSync makes an OpWrite as durable as write + Datasync of the written bytes.
	DSync bool
	// Link makes the next submitted operation start only after this one succeeded in
	// full; else that one is canceled.
	Link bool
	// Tag is the caller's, untouched.
	Tag uint64

	// N is the bytes transferred and Err the outcome; both valid once reaped.
	N   int
	Err error
}

// Queue runs operations concurrently. One goroutine owns it and calls all of its
// methods. Operations may begin at any time from Submit until the Reap that returns
// them; unlinked ones run and complete in any order.
type Queue interface {
	// Submit hands an operation to the queue. It may run now, in the background, or
	// within a later Reap. Errors: ErrQueueFull, ErrClosed.
	Submit(op *Op) error
	// Reap starts what was submitted, waits until at least min operations (at most the
	// number outstanding) have completed, stores completed ones in done and returns how
	// many; more than len(done) stay for the next call. An operation's own failure is in
	// its Err. The error is the queue's: after one that is not nil the queue is unusable,
	// and what is outstanding has an unknown outcome.
	Reap(min int, done []*Op) (int, error)
	// Outstanding returns the number of operations submitted and not yet reaped.
	Outstanding() int
	// Close waits for what is running, cancels what has not begun, and releases the queue.
	Close() error
}

// Registrar is implemented by queues that run faster on memory and files that are
// announced to them once. Registration is advice: an error changes nothing, and
// unregistered memory and files keep working. Owner goroutine only.
type Registrar interface {
	// RegisterBuffer announces memory that FS.Alloc returned; it must stay allocated until
	// the queue is closed.
	RegisterBuffer(buf []byte) error
	// RegisterFile announces a file until UnregisterFile or Close.
	RegisterFile(f File) error
	// UnregisterFile must be called before a registered file is closed.
	UnregisterFile(f File)
}
