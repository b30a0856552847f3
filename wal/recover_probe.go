package wal

import (
	"errors"
	"fmt"
	"math"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/vfs"
)

// recFile is a file as the probe saw it, before its content counts.
type recFile struct {
	number uint64
	id     frame.Identity
	size   int64
	// empty: no frame of this incarnation is in it. Else first is the batch of its first frame.
	empty bool
	first uint64
	// cut is the lowest first batch of the files behind it: frames from there on were committed again.
	cut uint64
	// short: the file is smaller than its header says, or part of an empty file cannot be read.
	short  bool
	report FileReport
}

// recProbeSize is how much of a file that seems to be prepared is read, in bytes: a frame that was
// wiped from its place behind the header is followed by its trailer or by the next frame
// within this, unless it was of CommitAll.
const recProbeSize = 4 << 20

// probe looks at a file's header and first frame. Where no frame stands behind the header,
// a prepared file is told by what its first block held before, with a look at what follows; in
// any other case all of it is read.
func (l *recLoader) probe(number, stream uint64, buf *recBuffer) (*recFile, error) {
	f, err := l.open(number)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("wal: size of %s: %w", f.Name(), err)
	}
	file := &recFile{number: number, size: size, id: frame.NewIdentity(stream, number), cut: math.MaxUint64}
	data, err := buf.sized(min(size, 2*vfs.BlockSize))
	if err != nil {
		return nil, err
	}
	unreadable, err := l.read(f, data)
	if err != nil {
		return nil, err
	}
	file.report = FileReport{Number: number, Bytes: size}
	if err := file.header(data, stream, f.Name()); err != nil {
		return nil, err
	}
	frames := frame.Scan(data, file.id)
	if len(frames) == 0 && (size > 2*vfs.BlockSize || len(unreadable) > 0) {
		n := size
		if len(unreadable) == 0 && frame.Untouched(data[vfs.BlockSize:], stream, number) {
			n = min(size, recProbeSize)
		}
		if frames, unreadable, err = l.scan(f, file.id, buf, n); err != nil {
			return nil, err
		}
		if len(unreadable) > 0 && n < size {
			frames, unreadable, err = l.scan(f, file.id, buf, size)
		}
		if err != nil {
			return nil, err
		}
	}
	file.empty = len(frames) == 0
	if !file.empty {
		file.first = frames[0].FirstBatch
		return file, nil
	}
	file.short = file.short || len(unreadable) > 0
	file.report.Unreadable = len(unreadable)
	return file, nil
}

// scan reads the first n bytes of a file and finds the frames in them.
func (l *recLoader) scan(f vfs.File, id frame.Identity, buf *recBuffer, n int64) (frames []frame.Frame, unreadable []uint32, err error) {
	data, err := buf.sized(n)
	if err != nil {
		return nil, nil, err
	}
	if unreadable, err = l.readAll(f, data); err != nil {
		return nil, nil, err
	}
	return frame.Scan(data, id), unreadable, nil
}

// header judges the file's header block. One that does not verify is noted only: the frames
// verify by themselves.
func (f *recFile) header(data []byte, stream uint64, path string) error {
	h, err := frame.DecodeFileHeader(data)
	switch {
	case errors.Is(err, frame.ErrVersion):
		return fmt.Errorf("wal: %s: %w", path, err)
	case err != nil:
		f.report.HeaderErr = err
		f.short = f.size < frame.BlockSize // what is named has had a header
	case h.Kind != frame.WALFile || h.Stream != stream || h.Number != f.number:
		return &MissingError{Number: f.number, Path: path, Foreign: true}
	default:
		f.report.Size = h.Size
		f.short = f.size < h.Size
	}
	return nil
}

// setCuts gives every file that holds frames its cut and returns those files; behind reports
// whether a file after the last of them is short.
func setCuts(files []*recFile) (full []*recFile, behind bool) {
	cut := uint64(math.MaxUint64)
	for i := len(files) - 1; i >= 0; i-- {
		f := files[i]
		if f.empty {
			behind = behind || len(full) == 0 && f.short
			continue
		}
		f.cut = cut
		cut = min(cut, f.first)
		full = append(full, f)
	}
	for i, j := 0, len(full)-1; i < j; i, j = i+1, j-1 {
		full[i], full[j] = full[j], full[i]
	}
	return full, behind
}
