package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/wal"
)

// eagerFiles bounds the WAL files that are opened ahead of their reading.
const eagerFiles = 256

// walFiles shows the WAL files as they were at one moment, although their owner goes on
// writing. A reader that takes its time would otherwise meet a frame whose predecessor it read
// before that was written, and call it lost.
//
// The moment is that of the fence: the end of the last frame that a first look found. All before
// it was written by then, all behind it reads as zeros, and files above hold nothing but their
// header. Handles are taken early, so that a file that is renamed or removed can still be read
// until its bytes are overwritten.
//
// It is the vfs.FS that wal.Recover reads from; only what Recover calls is overridden.
type walFiles struct {
	vfs.FS
	dir    string
	files  map[string]*walFile
	direct bool
	// batch is the last batch before the fence, 0 for none.
	batch raftlog.Batch
}

// walFile is one file, opened. It implements vfs.File for reading.
type walFile struct {
	vfs.File
	number uint64
	header []byte // block 0 as it was when the file was opened
	size   int64
	fence  int64 // bytes from the start; what lies behind reads as zeros
}

// openWALFiles opens the files and sets the fence. Files that are not there are left out.
func openWALFiles(from vfs.FS, dir string, stream uint64, numbers []uint64) (*walFiles, error) {
	w := &walFiles{FS: from, dir: dir, files: make(map[string]*walFile), direct: true}
	for _, n := range numbers[max(0, len(numbers)-eagerFiles):] {
		if _, err := w.file(n); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotFile) {
			w.close()
			return nil, err
		}
	}
	if err := w.setFence(stream, numbers); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *walFiles) close() {
	for _, f := range w.files {
		_ = f.File.Close() // it was only read
	}
	w.files = nil
}

// file returns the opened file. Errors wrap fs.ErrNotExist, or errNotFile when
// something else has its name.
func (w *walFiles) file(number uint64) (*walFile, error) {
	return w.fileNamed(wal.FileName(w.dir, number))
}

var errNotFile = errors.New("engine: not a regular file")

func (w *walFiles) fileNamed(name string) (*walFile, error) {
	if f := w.files[name]; f != nil {
		return f, nil
	}
	if err := checkRegular(w.FS, name); err != nil {
		return nil, err
	}
	f, err := w.FS.Open(name, vfs.OpenOptions{Direct: w.direct})
	if w.direct && errors.Is(err, vfs.ErrUnsupported) {
		w.direct = false
		f, err = w.FS.Open(name, vfs.OpenOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	file := &walFile{File: f, fence: math.MaxInt64}
	file.number, _ = wal.ParseFileName(filepath.Base(name))
	if err := file.begin(w.FS); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	w.files[name] = file
	return file, nil
}

// checkRegular refuses what is not a regular file, symbolic links above all.
func checkRegular(from vfs.FS, name string) error {
	info, err := from.Stat(name)
	if err == nil && !info.Regular {
		err = fmt.Errorf("%w: %s", errNotFile, name)
	}
	return err
}

// begin reads the size and the header block. A block that cannot be read is left to who reads it.
func (f *walFile) begin(from vfs.FS) (err error) {
	if f.size, err = f.File.Size(); err != nil {
		return err
	}
	block, free, err := from.Alloc(frame.BlockSize)
	if err != nil {
		return err
	}
	defer free()
	n, err := f.File.ReadAt(block, 0)
	if err == nil || errors.Is(err, io.EOF) {
		f.header = append([]byte(nil), block[:n]...)
	}
	return nil
}

// setFence finds the newest file with frames, and the last of them.
func (w *walFiles) setFence(stream uint64, numbers []uint64) error {
	for i := len(numbers) - 1; i >= 0; i-- {
		f, err := w.file(numbers[i])
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotFile) {
			continue
		}
		if err != nil {
			return err
		}
		content, err := f.load(w.FS)
		if err != nil {
			return nil // some of it cannot be read: what there is, Recover finds out
		}
		frames := frame.Scan(content.bytes, frame.NewIdentity(stream, f.number))
		f.fence = frame.BlockSize
		n := len(frames)
		if n > 0 {
			f.fence = (int64(frames[n-1].Block) + int64(frames[n-1].Blocks)) * frame.BlockSize
			w.batch = raftlog.Batch(frames[n-1].Batch)
		}
		content.free()
		if n > 0 {
			return nil
		}
	}
	return nil
}

// loadedFile is a file's content, until free is called.
type loadedFile struct {
	bytes []byte
	free  func()
}

// load reads the file up to its fence; zeros follow.
func (f *walFile) load(from vfs.FS) (loadedFile, error) {
	size := int(f.size+vfs.BlockSize-1) &^ (vfs.BlockSize - 1)
	if size == 0 {
		return loadedFile{free: func() {}}, nil
	}
	buf, free, err := from.Alloc(size)
	if err != nil {
		return loadedFile{}, err
	}
	for off := 0; off < size; off += readPiece {
		part := buf[off:min(off+readPiece, size)]
		if n, err := f.ReadAt(part, int64(off)); err != nil && !errors.Is(err, io.EOF) {
			free()
			return loadedFile{}, err
		} else {
			clear(part[n:])
		}
	}
	return loadedFile{bytes: buf[:f.size], free: free}, nil
}

const readPiece = 1 << 20

// ReadAt implements vfs.File: the header as it was, then the file, zeros behind the fence.
func (f *walFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= f.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), f.size-off)
	read := min(max(f.fence-off, 0), int64(len(p)))
	if read > 0 {
		got, err := f.File.ReadAt(p[:read], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return got, err
		}
		clear(p[got:read])
	}
	clear(p[read:])
	if off == 0 {
		copy(p, f.header)
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// Size implements vfs.File: as it was.
func (f *walFile) Size() (int64, error) { return f.size, nil }

// Close implements vfs.File. The handle stays open until walFiles is closed.
func (f *walFile) Close() error { return nil }

// Open implements vfs.FS.
func (w *walFiles) Open(name string, _ vfs.OpenOptions) (vfs.File, error) {
	f, err := w.fileNamed(name)
	if errors.Is(err, errNotFile) {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err) // for Recover it is not there
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// NewQueue implements vfs.FS.
func (w *walFiles) NewQueue(int) (vfs.Queue, error) { return &readQueue{}, nil }

// readQueue reads at once, one operation after the other.
type readQueue struct{ done []*vfs.Op }

// Submit implements vfs.Queue.
func (q *readQueue) Submit(op *vfs.Op) error {
	op.N, op.Err = op.File.ReadAt(op.Buf, op.Off)
	q.done = append(q.done, op)
	return nil
}

// Reap implements vfs.Queue.
func (q *readQueue) Reap(_ int, done []*vfs.Op) (int, error) {
	n := copy(done, q.done)
	q.done = q.done[:copy(q.done, q.done[n:])]
	return n, nil
}

// Outstanding implements vfs.Queue.
func (q *readQueue) Outstanding() int { return len(q.done) }

// Close implements vfs.Queue.
func (q *readQueue) Close() error { return nil }
