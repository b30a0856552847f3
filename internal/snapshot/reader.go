package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

// Reader reads a finished file. All methods but Close may be called by any goroutine at once.
type Reader struct {
	f    vfs.File
	name string
	info Info
}

// Open opens a finished file and checks header, meta section and trailer; chunks are checked
// when they are read. want is the log that the file must belong to, 0 for any. Errors:
// those of opening and reading; ErrUnfinished; ErrVersion; *CorruptError, also for a sound file of
// another log, or whose base name is that of another position or kind.
func Open(fs vfs.FS, name string, want raftlog.LogID) (*Reader, error) {
	f, err := fs.Open(name, vfs.OpenOptions{})
	if err != nil {
		return nil, err
	}
	r := &Reader{f: f, name: name}
	if err := r.load(want); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) load(want raftlog.LogID) error {
	size, err := r.f.Size()
	if err != nil {
		return err
	}
	head, err := r.read(make([]byte, min(size, BlockSize)), 0)
	if err != nil {
		return err
	}
	m, metaBytes, err := parseHeader(head)
	if errors.Is(err, frame.ErrMagic) {
		err = corrupt(0, "no snapshot file")
	}
	if err != nil {
		return at(r.name, err)
	}
	r.info = Info{Meta: m, metaBytes: metaBytes}
	if size < int64(BlockSize+metaBytes+TrailerBytes) {
		return r.unfinished(size)
	}
	meta, err := r.read(make([]byte, metaBytes), BlockSize)
	if err != nil {
		return err
	}
	if err := r.info.parseMeta(meta); err != nil {
		return at(r.name, err)
	}
	trailer, err := r.read(make([]byte, TrailerBytes), size-TrailerBytes)
	if err != nil {
		return err
	}
	if !r.info.parseTrailer(trailer) || r.info.FileBytes() != size {
		return r.unfinished(size)
	}
	return r.place(want)
}

// place checks that the file belongs where it was found, and takes the kind from its name.
func (r *Reader) place(want raftlog.LogID) error {
	i := &r.info
	if want != 0 && i.Log != want {
		return at(r.name, corrupt(0, "of log %d where log %d is expected", i.Log, want))
	}
	kind, id, stage, ok := ParseName(filepath.Base(r.name))
	if !ok {
		return nil
	}
	promoted := kind == raftlog.KindSnapshot && i.Kind == raftlog.KindCheckpoint
	if id != i.ID || stage == Finished && kind != i.Kind && !promoted {
		return at(r.name, corrupt(0, "%v at %v under another name", i.Kind, i.ID))
	}
	if stage == Finished {
		i.Kind = kind
	}
	return nil
}

func (r *Reader) unfinished(size int64) error {
	return fmt.Errorf("%s: %w: %d bytes without a sound trailer", r.name, ErrUnfinished, size)
}

// read fills b from off, or less when the file ends there. Errors: those of reading.
func (r *Reader) read(b []byte, off int64) ([]byte, error) {
	n, err := r.f.ReadAt(b, off)
	if n == len(b) || errors.Is(err, io.EOF) {
		return b[:n], nil
	}
	return nil, fmt.Errorf("snapshot: reading %s at %d: %w", r.name, off, err)
}

// Info returns all that is known without reading chunks.
func (r *Reader) Info() Info { return r.info }

// Meta returns what the file says about its state; Kind is that of the file's name.
func (r *Reader) Meta() Meta { return r.info.Meta }

// Snapshot describes the file as the manifest lists it.
func (r *Reader) Snapshot() raftlog.Snapshot { return r.info.Snapshot() }

// Name is the file's name.
func (r *Reader) Name() string { return r.name }

// Chunks is the number of chunks.
func (r *Reader) Chunks() int { return r.info.Chunks() }

// DataBytes is the length of the stored state; StateBytes that before the codec.
func (r *Reader) DataBytes() int64 { return r.info.DataBytes }

// StateBytes is the length of the state before the codec.
func (r *Reader) StateBytes() int64 { return r.info.StateBytes }

// FileBytes is the length of the file.
func (r *Reader) FileBytes() int64 { return r.info.FileBytes() }

// Header returns what a sender sends first: header block, meta section and trailer; see ParseHeader.
func (r *Reader) Header() []byte { return r.info.appendTransfer(nil) }

// Chunk reads and checks chunk n, from 0 to Chunks()-1. The data lies in buf when that has a
// capacity of ChunkHeaderBytes + ChunkBytes, else in new memory. Errors: *CorruptError, those
// of reading, or a plain error for a chunk that does not exist.
func (r *Reader) Chunk(n int, buf []byte) ([]byte, Sum, error) {
	if n < 0 || n >= r.Chunks() {
		return nil, Sum{}, fmt.Errorf("%s: no chunk %d among %d", r.name, n, r.Chunks())
	}
	size := ChunkHeaderBytes + r.info.ChunkLen(n)
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	b, err := r.read(buf[:size], r.info.Offset(n))
	if err != nil {
		return nil, Sum{}, err
	}
	data, sum, err := r.info.ParseChunk(n, b)
	if err != nil {
		return nil, Sum{}, at(r.name, err)
	}
	return data, sum, nil
}

// Verify reads the whole file and checks everything but the codec. Errors: *CorruptError, those
// of reading, ctx's.
func (r *Reader) Verify(ctx context.Context) error {
	return r.VerifyPaced(ctx, func(int) error { return nil })
}

// VerifyPaced is Verify that calls pace before each chunk with the bytes it is about to read, and ends
// with pace's error.
func (r *Reader) VerifyPaced(ctx context.Context, pace func(bytes int) error) error {
	total := r.info.NewTotal()
	buf := make([]byte, r.window())
	for n := range r.Chunks() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("snapshot: verifying %s: %w", r.name, err)
		}
		if err := pace(r.info.ChunkLen(n)); err != nil {
			return err
		}
		data, _, err := r.Chunk(n, buf)
		if err != nil {
			return err
		}
		total.Add(data)
	}
	return r.checkTotal(&total)
}

// window is the length of the longest chunk with its header.
func (r *Reader) window() int {
	return ChunkHeaderBytes + int(min(int64(r.info.ChunkBytes), r.info.DataBytes))
}

func (r *Reader) checkTotal(t *Total) error {
	if t.Sum() != r.info.Total {
		return at(r.name, corrupt(r.info.Offset(r.Chunks()), "checksum of all chunks"))
	}
	return nil
}

// Close closes the file. No other call may be running.
func (r *Reader) Close() error { return r.f.Close() }
