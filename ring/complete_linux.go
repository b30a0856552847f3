package ring

import (
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/rawl-db/rawl/internal/vfs"
)

// maxTries is how often an operation that ended in a passing condition is started again
// before an ordinary system call executes it.
const maxTries = 8

// harvest takes all completions out of the ring.
func (q *queue) harvest() {
	for {
		c, ok := q.k.next()
		if !ok {
			return
		}
		if c.userData == discard {
			q.discards--
			continue
		}
		i := uint32(c.userData)
		if i >= uint32(len(q.slots)) || q.slots[i].state != flying || q.slots[i].gen != uint32(c.userData>>32) {
			q.err = errUnknown
			return
		}
		q.flying--
		q.slots[i].state = landed
		if c.res < 0 {
			q.failed(int32(i), errno(c.res))
		} else {
			q.advance(int32(i), int(c.res))
		}
	}
}

// advance accounts for n bytes of a transfer and continues one that fell short. A
// transfer that no longer moves has met the end of the file or, writing, failed.
func (q *queue) advance(i int32, n int) {
	s := &q.slots[i]
	if !s.transfer() {
		q.finish(i, nil)
		return
	}
	to := s.from + n
	if to > s.size() {
		q.err = errUnknown
		return
	}
	progress := to > s.moved
	s.moved = max(to, s.moved)
	switch {
	case s.moved == s.size():
		q.finish(i, nil)
	case progress:
		s.rewind()
		q.again(i)
	case s.op.Kind == vfs.OpRead:
		q.finish(i, io.EOF)
	default:
		q.finish(i, transferError(s, vfs.ErrShortWrite))
	}
}

// failed judges a completion that is an error. Conditions of the machinery pass: they
// say nothing about the device and are never taken for its failure. Everything else is
// final.
func (q *queue) failed(i int32, e syscall.Errno) {
	s := &q.slots[i]
	switch e {
	case syscall.EAGAIN, syscall.EINTR:
	case syscall.EFAULT:
		// Either the buffer is bad, and will be again, or the thread that submitted has ended.
	case syscall.ECANCELED:
		if s.before != none {
			// The operation before fell short or has to be repeated; it is not decided yet.
			s.state = held
			return
		}
	default:
		q.finish(i, transferError(s, e))
		return
	}
	switch {
	case s.doomed, q.closing && s.moved == 0:
		s.moved = 0
		q.finish(i, vfs.ErrCanceled)
	case s.tries >= maxTries:
		q.execute(i)
	default:
		s.tries++
		q.again(i)
	}
}

// again starts an operation once more. A closing queue starts nothing: it brings to an
// end at once what had begun to move.
func (q *queue) again(i int32) {
	if q.closing {
		q.execute(i)
		return
	}
	q.release(i)
}

// execute carries out an operation, or the rest of it, by ordinary system calls.
func (q *queue) execute(i int32) {
	s := &q.slots[i]
	var err error
	switch s.op.Kind {
	case vfs.OpRead:
		var n int
		n, err = s.op.File.ReadAt(s.op.Buf[s.from:], s.op.Off+int64(s.from))
		s.moved = max(s.moved, s.from+n)
	case vfs.OpWrite:
		var n int
		n, err = s.op.File.WriteAt(s.op.Buf[s.from:], s.op.Off+int64(s.from))
		s.moved = max(s.moved, s.from+n)
		if err == nil && s.op.DSync {
			err = s.op.File.Datasync()
		}
	case vfs.OpDatasync:
		err = s.op.File.Datasync()
	case vfs.OpSync:
		err = s.op.File.Sync()
	}
	q.finish(i, err)
}

// kindName is how errors name an operation, the same as in those of osfs.
func kindName(k vfs.OpKind) string {
	switch k {
	case vfs.OpRead:
		return "read"
	case vfs.OpWrite:
		return "write"
	case vfs.OpDatasync:
		return "datasync"
	case vfs.OpSync:
		return "sync"
	}
	return "operation"
}

// pathError names operation and file.
func pathError(op *vfs.Op, err error) error {
	var path string
	if op.File != nil {
		path = op.File.Name()
	}
	return &fs.PathError{Op: kindName(op.Kind), Path: path, Err: err}
}

// transferError is the error of an operation that ended with e after it moved s.moved
// bytes; a write that had begun is short too, and counts whole blocks on a direct file:
// the last one may be half new.
func transferError(s *slot, e error) error {
	if s.op.Kind != vfs.OpWrite {
		return pathError(s.op, e)
	}
	if s.op.File.Direct() {
		s.moved -= s.moved % vfs.BlockSize
	}
	if s.moved > 0 && e != vfs.ErrShortWrite {
		e = fmt.Errorf("%w: %d of %d bytes: %w", vfs.ErrShortWrite, s.moved, s.size(), e)
	}
	return pathError(s.op, e)
}
