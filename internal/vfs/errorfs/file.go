package errorfs

import (
	"io"

	"github.com/rawl-db/rawl/internal/vfs"
)

// file counts and fails the calls of an open file.
type file struct {
	fs      *FS
	inner   vfs.File
	durable bool // every write implies a sync
}

// syncFailer is implemented by files (memfs.File) that can lose what they were asked to
// make durable.
type syncFailer interface {
	WriteUnsynced(p []byte, off int64) (int, error)
	DropUnsynced()
	RevertUnsynced()
	TearUnsynced(seed uint64)
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	v := f.fs.decide(Op{Kind: OpRead, Name: f.Name(), Off: off, Len: int64(len(p))})
	switch v.fault {
	case 0:
	case Stall:
		f.fs.stall(v)
	default:
		return f.failRead(v, p, off)
	}
	return f.inner.ReadAt(p, off)
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	v := f.fs.decide(Op{Kind: OpWrite, Name: f.Name(), Off: off, Len: int64(len(p)), Durable: f.durable})
	switch v.fault {
	case 0:
	case Stall:
		f.fs.stall(v)
	default:
		return f.failWrite(v, p, off)
	}
	return f.inner.WriteAt(p, off)
}

func (f *file) Datasync() error { return f.sync(OpDatasync, f.inner.Datasync) }

func (f *file) Sync() error { return f.sync(OpSync, f.inner.Sync) }

func (f *file) sync(kind OpKind, call func() error) error {
	v := f.fs.decide(Op{Kind: kind, Name: f.Name()})
	switch v.fault {
	case 0:
	case Stall:
		f.fs.stall(v)
	default:
		return f.failSync(v, call)
	}
	return call()
}

func (f *file) Truncate(size int64) error {
	return f.fs.do(Op{Kind: OpTruncate, Name: f.Name(), Len: size}, func() error { return f.inner.Truncate(size) }, nil)
}

func (f *file) Size() (n int64, err error) {
	err = f.fs.do(Op{Kind: OpSize, Name: f.Name()}, func() error {
		n, err = f.inner.Size()
		return err
	}, func() { n = 0 })
	return n, err
}

func (f *file) Direct() bool { return f.inner.Direct() }

func (f *file) Name() string { return f.inner.Name() }

func (f *file) Close() error {
	v := f.fs.decide(Op{Kind: OpClose, Name: f.Name()})
	if v.fault == Stall {
		f.fs.stall(v)
	}
	if err := f.inner.Close(); err != nil || v.fault == 0 || v.fault == Stall {
		return err
	}
	return v.err()
}

// part returns how much of p a transfer that ends early moves.
func (f *file) part(p []byte) []byte {
	n := len(p) / 2
	if f.Direct() {
		n -= n % vfs.BlockSize
	}
	return p[:n]
}

func (f *file) failRead(v verdict, p []byte, off int64) (int, error) {
	if v.fault == ShortTransfer {
		n, err := f.inner.ReadAt(f.part(p), off)
		if err == nil && len(p) > 0 {
			err = io.EOF
		}
		return n, err
	}
	if v.fault == LateEIO {
		if n, err := f.inner.ReadAt(p, off); err != nil {
			return n, err
		}
	}
	return 0, v.err()
}

func (f *file) failWrite(v verdict, p []byte, off int64) (int, error) {
	switch v.fault {
	case NoSpace, ShortTransfer:
		n, err := f.inner.WriteAt(f.part(p), off)
		if err == nil {
			err = v.err()
		}
		return n, err
	case LateEIO, SyncKept:
		n, err := f.inner.WriteAt(p, off)
		if err == nil && v.op.Durable && !f.durable {
			err = f.inner.Datasync()
		}
		if err != nil {
			return n, err
		}
	case SyncDropped, SyncReverted, SyncTorn:
		if s, ok := f.inner.(syncFailer); ok {
			if n, err := s.WriteUnsynced(p, off); err != nil {
				return n, err
			}
			f.loseUnsynced(v)
		}
	}
	return 0, v.err()
}

func (f *file) failSync(v verdict, call func() error) error {
	if v.fault == LateEIO || v.fault == SyncKept {
		if err := call(); err != nil {
			return err
		}
	} else {
		f.loseUnsynced(v)
	}
	return v.err()
}

// loseUnsynced leaves the file as a failed sync does.
func (f *file) loseUnsynced(v verdict) {
	s, ok := f.inner.(syncFailer)
	if !ok {
		return
	}
	switch v.fault {
	case EIO, SyncDropped:
		s.DropUnsynced()
	case SyncReverted:
		s.RevertUnsynced()
	case SyncTorn:
		s.TearUnsynced(uint64(v.num))
	}
}
