package ring

import (
	"syscall"
	"unsafe"

	"github.com/rawl-db/rawl/internal/vfs"
)

// descriptor is what a file must offer beyond vfs.File: *osfs.File does.
type descriptor interface {
	Fd() uintptr
	Check(op string, p []byte, off int64) error
}

// admit checks what the kernel would not check, or not in the same words, and returns
// the descriptor.
func admit(op *vfs.Op) (int32, error) {
	if op.File == nil {
		return noDescriptor, pathError(op, syscall.EBADF)
	}
	d, ok := op.File.(descriptor)
	if !ok {
		return noDescriptor, pathError(op, vfs.ErrUnsupported)
	}
	switch op.Kind {
	case vfs.OpRead, vfs.OpWrite:
		return int32(d.Fd()), d.Check(kindName(op.Kind), op.Buf, op.Off)
	case vfs.OpDatasync, vfs.OpSync:
		return int32(d.Fd()), d.Check(kindName(op.Kind), nil, 0)
	}
	return noDescriptor, pathError(op, syscall.EINVAL)
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// transfer reports whether the operation moves bytes.
func (s *slot) transfer() bool { return s.op.Kind == vfs.OpRead || s.op.Kind == vfs.OpWrite }

// size returns the bytes to be transferred in all.
func (s *slot) size() int {
	if !s.transfer() {
		return 0
	}
	return len(s.op.Buf)
}

// left returns the bytes that the next flight has to move.
func (s *slot) left() int { return s.size() - s.from }

// rewind sets where a continued transfer begins. Direct files repeat the block that was
// transferred in part.
func (s *slot) rewind() {
	s.from = s.moved
	if s.op.File.Direct() {
		s.from -= s.from % vfs.BlockSize
	}
}

// encode returns the entry for the next flight of a slot's operation, without user data.
func (q *queue) encode(s *slot) sqe {
	e := sqe{fd: s.fd}
	if s.place != none {
		e.fd, e.flags = s.place, sqeFixedFile
	}
	switch s.op.Kind {
	case vfs.OpDatasync:
		e.opcode, e.opFlags = opFsync, fsyncDatasync
		return e
	case vfs.OpSync:
		e.opcode = opFsync
		return e
	}
	buf := s.op.Buf[s.from:]
	buf = buf[:min(len(buf), maxTransfer)]
	e.addr = uint64(address(buf))
	e.len = uint32(len(buf))
	e.off = uint64(s.op.Off) + uint64(s.from)
	e.opcode = opRead
	if s.op.Kind == vfs.OpWrite {
		e.opcode = opWrite
		if s.op.DSync {
			e.opFlags = rwfDSync
		}
	}
	if at := q.buffer(buf); at != none {
		e.bufIndex = uint16(at)
		e.opcode -= opRead - opReadFixed
	}
	return e
}
