package wal

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/vfs"
)

// writeAt writes buf to the current file and waits for it.
func (w *WAL) writeAt(buf []byte, off int64, dsync bool) error {
	return w.submit(vfs.Op{Kind: vfs.OpWrite, File: w.cur.file, Buf: buf, Off: off, DSync: dsync})
}

// submit runs one operation on the current file and waits for it.
func (w *WAL) submit(op vfs.Op) error {
	w.op = op
	w.count.inFlight.Store(max(w.o.Now(), 1))
	n, err := 0, w.o.Queue.Submit(&w.op)
	if err == nil {
		n, err = w.o.Queue.Reap(1, w.done[:])
	}
	w.count.inFlight.Store(0)
	w.count.lastDone.Store(w.o.Now())
	if err == nil && n != 1 {
		err = errors.New("reaped nothing")
	}
	if err != nil {
		return &queueError{err}
	}
	w.count.written.Add(uint64(max(w.op.N, 0)))
	if w.op.Err != nil {
		return fmt.Errorf("wal: file %d at %d: %w", w.cur.number, op.Off, w.op.Err)
	}
	if w.op.N != len(op.Buf) {
		return fmt.Errorf("wal: file %d at %d: %w: %d of %d bytes", w.cur.number, op.Off, vfs.ErrShortWrite, w.op.N, len(op.Buf))
	}
	return nil
}

// queueError is a failure of the queue itself: the outcome of the operation is unknown and
// no further one can follow.
type queueError struct{ err error }

func (e *queueError) Error() string { return "queue: " + e.err.Error() }
func (e *queueError) Unwrap() error { return e.err }

func isQueueError(err error) bool {
	var e *queueError
	return errors.As(err, &e)
}
