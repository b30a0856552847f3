package ring

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/rawl-db/rawl/internal/vfs"
)

// Sizes of the kernel's tables. They are searched from the front for each operation, so
// they are short.
const (
	maxFiles   = 16
	maxBuffers = 16
)

var errTableFull = errors.New("no place left among the registered")

// RegisterFile implements vfs.Registrar. At most maxFiles files are registered at a
// time.
func (q *queue) RegisterFile(f vfs.File) error {
	if q.closed {
		return vfs.ErrClosed
	}
	d, ok := f.(descriptor)
	if !ok {
		return fmt.Errorf("ring: registering %s: %w", f.Name(), vfs.ErrUnsupported)
	}
	if q.place(f) != none {
		return nil
	}
	if !q.fileTable {
		if e := q.k.fileTable(maxFiles); e != 0 {
			return &fs.PathError{Op: "register", Path: f.Name(), Err: e}
		}
		q.fileTable = true
	}
	for i, g := range q.files {
		if g != nil {
			continue
		}
		if e := q.k.setFile(uint32(i), int32(d.Fd())); e != 0 {
			return &fs.PathError{Op: "register", Path: f.Name(), Err: e}
		}
		q.files[i] = f
		return nil
	}
	return &fs.PathError{Op: "register", Path: f.Name(), Err: errTableFull}
}

// UnregisterFile implements vfs.Registrar.
func (q *queue) UnregisterFile(f vfs.File) {
	at := q.place(f)
	if at == none || q.closed {
		return
	}
	q.files[at] = nil
	_ = q.k.setFile(uint32(at), noDescriptor)
	for i := range q.slots { // what is not pushed yet goes by descriptor
		if s := &q.slots[i]; s.place == at {
			s.place = none
		}
	}
}

// place returns where f is registered. Files are told apart as values: a descriptor's
// number may by now name another file.
func (q *queue) place(f vfs.File) int32 {
	if !q.fileTable || f == nil {
		return none
	}
	for i, g := range q.files {
		if g == f {
			return int32(i)
		}
	}
	return none
}

// RegisterBuffer implements vfs.Registrar. The memory counts against RLIMIT_MEMLOCK;
// ENOMEM says that it does not fit. Kernels before 5.19 answer EINVAL.
func (q *queue) RegisterBuffer(buf []byte) error {
	if q.closed {
		return vfs.ErrClosed
	}
	if len(buf) == 0 {
		return fmt.Errorf("ring: registering a buffer: %w", syscall.EINVAL)
	}
	if len(q.buffers) == maxBuffers {
		return fmt.Errorf("ring: registering a buffer: %w", errTableFull)
	}
	if !q.bufferTable {
		if e := q.k.bufferTable(maxBuffers); e != 0 {
			return fmt.Errorf("ring: registering a buffer: %w", e)
		}
		q.bufferTable = true
	}
	if e := q.k.setBuffer(uint32(len(q.buffers)), buf); e != 0 {
		return fmt.Errorf("ring: registering a buffer of %d bytes: %w", len(buf), e)
	}
	q.buffers = append(q.buffers, buf)
	return nil
}

// buffer returns the place of the registered buffer that holds all of b.
func (q *queue) buffer(b []byte) int32 {
	from := address(b)
	for i, r := range q.buffers {
		if base := address(r); from >= base && from+uintptr(len(b)) <= base+uintptr(len(r)) {
			return int32(i)
		}
	}
	return none
}
