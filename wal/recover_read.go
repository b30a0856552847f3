package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/vfs"
)

const (
	recReadSize  = 1 << 20 // bytes of one read
	recReadDepth = 16      // reads in flight
)

// recBuffer holds the content of one file at a time.
type recBuffer struct {
	fs   vfs.FS
	mem  []byte
	free func()
}

// sized returns size bytes of the buffer, whose content is undefined; the memory behind them
// reaches to the next block boundary.
func (b *recBuffer) sized(size int64) ([]byte, error) {
	need := int(size+vfs.BlockSize-1) &^ (vfs.BlockSize - 1)
	if need > len(b.mem) {
		b.release()
		mem, free, err := b.fs.Alloc(need)
		if err != nil {
			return nil, fmt.Errorf("memory for a file of %d bytes: %w", size, err)
		}
		b.mem, b.free = mem, free
	}
	return b.mem[:size:need], nil
}

func (b *recBuffer) release() {
	if b.free != nil {
		b.free()
	}
	b.mem, b.free = nil, nil
}

// recLoader reads files. One goroutine at a time.
type recLoader struct {
	fs     vfs.FS
	dir    string
	direct bool
	queue  vfs.Queue
	cause  error // of the last block that could not be read
	ops    [recReadDepth]vfs.Op
	done   [recReadDepth]*vfs.Op
}

// open opens file number. A file that does not exist is MissingError.
func (l *recLoader) open(number uint64) (vfs.File, error) {
	path := FileName(l.dir, number)
	f, err := l.fs.Open(path, vfs.OpenOptions{Direct: l.direct})
	if l.direct && errors.Is(err, vfs.ErrUnsupported) {
		f, err = l.fs.Open(path, vfs.OpenOptions{})
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &MissingError{Number: number, Path: path}
	}
	if err != nil {
		return nil, fmt.Errorf("wal: open for recovery: %w", err)
	}
	return f, nil
}

// read fills buf, which sized returned, from the start of f. Blocks that cannot be read are
// zeroed and returned; the error is the queue's own.
func (l *recLoader) read(f vfs.File, buf []byte) (unreadable []uint32, err error) {
	free := recReadDepth
	for i := range l.ops {
		l.done[i] = &l.ops[i]
	}
	var failed []recFailure
	for off := 0; off < len(buf) || free < recReadDepth; {
		for ; free > 0 && off < len(buf); free-- {
			op := l.done[free-1]
			*op = vfs.Op{Kind: vfs.OpRead, File: f, Buf: recPart(buf, off, recReadSize), Off: int64(off)}
			if err := l.queue.Submit(op); err != nil {
				return nil, l.abandon(err)
			}
			off += len(op.Buf)
		}
		n, err := l.queue.Reap(1, l.done[free:])
		if err != nil {
			return nil, fmt.Errorf("wal: recovery reads: %w", err)
		}
		for _, op := range l.done[free : free+n] {
			short := op.Off+int64(op.N) < int64(len(buf)) // the file is longer, as its size says
			if op.Err != nil && (short || !errors.Is(op.Err, io.EOF)) {
				failed = append(failed, recFailure{op.Off, op.Buf})
				continue
			}
			clear(op.Buf[op.N:])
		}
		free += n
	}
	return l.retry(f, failed), nil
}

// abandon waits for what is in flight, so that the buffer is free again, and returns err.
func (l *recLoader) abandon(err error) error {
	for n := l.queue.Outstanding(); n > 0; n = l.queue.Outstanding() {
		if _, e := l.queue.Reap(n, l.done[:]); e != nil {
			return errors.Join(err, e)
		}
	}
	return fmt.Errorf("wal: recovery reads: %w", err)
}

// recPart is the part of buf that starts at off: size bytes, or up to the block boundary behind its end.
func recPart(buf []byte, off, size int) []byte {
	return buf[off:min(off+size, cap(buf)):min(off+size, cap(buf))]
}

type recFailure struct {
	off int64
	buf []byte
}

// retry reads what failed block by block, so that one bad sector costs one block.
func (l *recLoader) retry(f vfs.File, failed []recFailure) (unreadable []uint32) {
	for _, part := range failed {
		for i := 0; i < len(part.buf); i += vfs.BlockSize {
			b := recPart(part.buf, i, vfs.BlockSize)
			n, err := f.ReadAt(b, part.off+int64(i))
			if err == nil || errors.Is(err, io.EOF) {
				clear(b[n:])
				continue
			}
			clear(b)
			l.cause = err
			unreadable = append(unreadable, uint32((part.off+int64(i))/vfs.BlockSize))
		}
	}
	return unreadable
}

// readAll is read of a whole file, of which at least one block must be readable: else it is
// the device that is gone, not the file that is damaged.
func (l *recLoader) readAll(f vfs.File, buf []byte) (unreadable []uint32, err error) {
	unreadable, err = l.read(f, buf)
	if err == nil && len(unreadable) > 0 && len(unreadable)*vfs.BlockSize >= len(buf) {
		return nil, fmt.Errorf("wal: %s: no block can be read: %w", f.Name(), l.cause)
	}
	return unreadable, err
}

// recLoaded is one file in memory.
type recLoaded struct {
	file       *recFile
	buf        *recBuffer
	data       []byte
	frames     []frame.Frame
	unreadable []uint32
	err        error
}

// load reads a file into buf and finds its frames.
func (l *recLoader) load(file *recFile, buf *recBuffer) recLoaded {
	got := recLoaded{file: file, buf: buf}
	f, err := l.open(file.number)
	if err != nil {
		got.err = err
		return got
	}
	defer f.Close()
	if got.data, err = buf.sized(file.size); err == nil {
		got.unreadable, err = l.readAll(f, got.data)
	}
	got.frames, got.err = frame.Scan(got.data, file.id), err
	return got
}
