package wal

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

// WAL is the shared log's writer. See the package documentation for who may call what.
type WAL struct {
	o     Options
	pool  *Pool
	count counters

	state     atomic.Uint32 // Health, plus stateClosed; written by the committer
	failure   atomic.Pointer[FailedError]
	rollAsked atomic.Bool // Roll was called and not carried out yet
	retry     atomic.Bool // Retry was called and no attempt followed yet
	sleep     atomic.Int32
	wake      chan struct{} // capacity 1

	mu struct { // held for a few instructions; no other lock is taken under it
		sync.Mutex
		queue          []queued // in the order of arrival
		urgent         bool     // queue holds operations that make a batch
		entries, bytes uint64   // that were ever queued, lazy records not counted

		rolls []chan uint64 // answered, capacity 1, when the next roll that was asked for is done
	}

	// Owned by the committer.
	arrivals  []queued   // swapped with mu.queue; empty in between
	run       fifo[*Log] // logs with operations that make a batch
	lazyRun   fifo[*Log] // logs with lazy control records; one may be in run too
	enc       encoder
	buf       []byte // the commit buffer
	frame     []byte // the encoded batch, in buf or in large
	items     []item // what the batch holds
	staged    bool   // items must be committed before anything else
	next      raftlog.Batch
	cur       *current
	wantRoll  bool // something did not fit into the current file
	starving  bool
	uncovered bool // the last frame holds records and no watermark covers it
	chains    []chain
	chainNeed int64 // bytes of the current file that open chains will take
	round     round
	op        vfs.Op
	done      [1]*vfs.Op
	zeros     []byte // nil until a file must be filled
	large     []byte // of a batch that exceeds buf; nil else
	freeLarge func()
	frees     []func()
}

const stateClosed = 1 << 8

// New returns a WAL that has done nothing yet: no I/O but the allocation of its buffer, no
// goroutine. The error joins all violations of Options' bounds, or is FS.Alloc's.
func New(o Options) (*WAL, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	w := &WAL{o: o, wake: make(chan struct{}, 1), next: o.NextBatch}
	w.count.durable.Store(uint64(o.NextBatch) - 1)
	buf, err := w.alloc(bufferSize(o))
	if err != nil {
		return nil, err
	}
	w.buf = buf
	w.pool = newPool(&w.o, w.commitsRunning, w.Wake)
	return w, nil
}

// bufferSize lets a batch that is just below its bound take one more record of any size.
func bufferSize(o Options) int {
	record := min(FragmentSize, MaxEntryBytes(o.FileSize)) + fragmentPrefix
	n := o.mostFragments() + record + 16<<10
	return (n + frame.BlockSize - 1) &^ (frame.BlockSize - 1)
}

// alloc returns memory that lives until Close, announced to the queue.
func (w *WAL) alloc(size int) ([]byte, error) {
	buf, free, err := w.o.FS.Alloc(size)
	if err != nil {
		return nil, fmt.Errorf("wal: buffer of %d bytes: %w", size, err)
	}
	w.frees = append(w.frees, free)
	if r, ok := w.o.Queue.(vfs.Registrar); ok {
		_ = r.RegisterBuffer(buf) // advice: an error changes nothing
	}
	return buf, nil
}

// Pool returns the pool of files, to be driven by a goroutine of its own.
func (w *WAL) Pool() *Pool { return w.pool }

// Health returns the present state; any goroutine.
func (w *WAL) Health() Health { return Health(w.state.Load() &^ stateClosed) }

// Err returns nil, ErrReadOnly, or an error that wraps ErrFailed and its cause; any goroutine.
func (w *WAL) Err() error {
	switch w.Health() {
	case ReadOnly:
		return ErrReadOnly
	case Failed:
		return w.failure.Load()
	}
	return nil
}

// ended reports whether nothing will be committed any more.
func (w *WAL) ended() bool { return w.Health() == Failed || w.buf == nil }

// refusal says why nothing is queued.
func (w *WAL) refusal() error {
	if w.state.Load()&stateClosed != 0 {
		return ErrClosed
	}
	return w.Err()
}

// Retry lets a WAL that is ReadOnly try again. It does not wait; any goroutine. Call it
// again as long as the state lasts, at intervals of a second or so.
func (w *WAL) Retry() {
	if w.Health() == ReadOnly {
		w.retry.Store(true)
		w.pool.Wake()
		w.Wake()
	}
}

func (w *WAL) setHealth(h Health, cause error) {
	if w.Health() == h {
		return
	}
	if h == Failed {
		w.failure.Store(&FailedError{Cause: cause})
	}
	w.state.Store(w.state.Load()&stateClosed | uint32(h))
	if h == Failed {
		w.refuseRolls()
	}
	w.o.OnHealth(h, cause)
}

// degrade enters the state that a failure without a way out calls for.
func (w *WAL) degrade(cause error) {
	if noSpace(cause) && !isQueueError(cause) {
		w.setHealth(ReadOnly, cause)
		return
	}
	w.setHealth(Failed, cause)
}

func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
