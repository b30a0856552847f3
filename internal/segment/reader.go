package segment

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

// Reader reads one segment as it was promised when it was opened: the entries within the
// committed length and the counting range given then, whatever is appended later. All
// methods but Close may be called by any goroutine at once.
type Reader struct {
	// Set by Open, read by all.
	f         vfs.File
	name      string
	id        raftlog.LogID
	s         raftlog.Segment
	header    Header
	headerErr error
	chunks    int
	soundEnd  int64  // end of the last chunk whose index verified, in bytes
	written   uint32 // entries in the file up to there, superseded ones included
	index     index

	scratch sync.Pool // of *[]byte, aligned: windows of scans and of direct reads

	fs     vfs.FS
	direct struct { // the file a second time, past the page cache
		sync.Once
		f vfs.File // nil when it cannot be had
	}
}

// ReadOptions says how a segment is read.
type ReadOptions struct {
	// Direct bypasses the page cache, where the file system can.
	Direct bool
}

// Open reads and verifies the index of the segment file name of log id, as far as s says that
// it counts. Damage is no error of Open: it is confined to the indexes it hits, see Damage.
// Errors: those of opening and reading the file; frame.ErrVersion; frame.ErrCorrupt when the
// file is a sound segment of another log or number, or when s cannot be.
func Open(fs vfs.FS, name string, id raftlog.LogID, s raftlog.Segment, o ReadOptions) (*Reader, error) {
	if s.Bytes < BlockSize || s.Bytes%BlockSize != 0 || s.Bytes/BlockSize >= 1<<32 {
		return nil, fmt.Errorf("%s: %w: committed length %d", name, frame.ErrCorrupt, s.Bytes)
	}
	f, err := fs.Open(name, vfs.OpenOptions{Direct: o.Direct})
	if o.Direct && errors.Is(err, vfs.ErrUnsupported) {
		f, err = fs.Open(name, vfs.OpenOptions{})
	}
	if err != nil {
		return nil, err
	}
	r := &Reader{f: f, name: name, id: id, s: s, fs: fs}
	if err := r.load(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

func (r *Reader) load() error {
	size, err := r.f.Size()
	if err != nil {
		return err
	}
	l := loader{
		r:    r,
		id:   newIdentity(r.id, r.s.Number),
		s:    r.s,
		end:  uint32(r.s.Bytes / BlockSize),
		have: uint32(min(r.s.Bytes, size) / BlockSize),
	}
	if err := l.load(); err != nil {
		return err
	}
	r.chunks = l.chunks
	r.index.clip(r.s.Range)
	return nil
}

// Segment returns what the reader promises.
func (r *Reader) Segment() raftlog.Segment { return r.s }

// Name is the file's name.
func (r *Reader) Name() string { return r.name }

// File is the open file, for reads that a caller submits to a queue; see Locate.
func (r *Reader) File() vfs.File { return r.f }

// DirectFile is File past the page cache, whose reads must be aligned; the first call opens it.
// Where the file system cannot, it is File.
func (r *Reader) DirectFile() vfs.File {
	if r.f.Direct() {
		return r.f
	}
	r.direct.Do(func() {
		if f, err := r.fs.Open(r.name, vfs.OpenOptions{Direct: true}); err == nil {
			r.direct.f = f
		}
	})
	if r.direct.f == nil {
		return r.f
	}
	return r.direct.f
}

// Damage returns one error per damaged part of the index, ascending by range. Damage within
// payloads is found when they are read.
func (r *Reader) Damage() []*CorruptError { return r.index.damage }

// HeaderErr is what is wrong with the header block, nil for nothing. It hits no entry.
func (r *Reader) HeaderErr() error { return r.headerErr }

// Location is where an entry's payload is in the file and what it must be.
type Location struct {
	// Offset and Length are in bytes.
	Offset int64
	Length int
	Term   raftlog.Term
	Type   uint8
	// CRC is the payload's CRC-32C.
	CRC uint32
}

// Sound reports whether data is the payload that belongs there.
func (l Location) Sound(data []byte) bool {
	return len(data) == l.Length && frame.Checksum(data) == l.CRC
}

// Locate looks entry i up, in memory. Errors: ErrNotFound, *CorruptError.
func (r *Reader) Locate(i raftlog.Index) (Location, error) {
	if !r.s.Range.Contains(i) {
		return Location{}, ErrNotFound
	}
	l, err := r.index.find(i)
	if err != nil {
		return Location{}, err
	}
	return l.export(), nil
}

// Term returns the term of entry i, from memory. Errors: ErrNotFound, *CorruptError.
func (r *Reader) Term(i raftlog.Index) (raftlog.Term, error) {
	l, err := r.Locate(i)
	return l.Term, err
}

// Get reads entry i and returns it with its payload's verified CRC-32C. Data lies in buf when
// that has the capacity, else in new memory. Errors: ErrNotFound, *CorruptError, those of
// reading.
func (r *Reader) Get(i raftlog.Index, buf []byte) (raftlog.Entry, uint32, error) {
	l, err := r.Locate(i)
	if err != nil {
		return raftlog.Entry{}, 0, err
	}
	if cap(buf) < l.Length {
		buf = make([]byte, l.Length)
	}
	buf = buf[:l.Length]
	if err := r.readPayload(buf, l.Offset); err != nil {
		return raftlog.Entry{}, 0, r.readError(err, l.Offset, raftlog.Range{First: i, Last: i})
	}
	e, err := r.Check(i, l, buf)
	return e, l.CRC, err
}

// Check makes an entry of what was read at the location of entry i, data, which it keeps.
// Errors: *CorruptError when the bytes do not verify.
func (r *Reader) Check(i raftlog.Index, l Location, data []byte) (raftlog.Entry, error) {
	if len(data) != l.Length || frame.Checksum(data) != l.CRC {
		return raftlog.Entry{}, r.corrupt(l.Offset, i, "payload checksum")
	}
	return raftlog.Entry{Index: i, Term: l.Term, Type: l.Type, Data: data}, nil
}

// readPayload fills b from off, through an aligned window where the file demands it.
func (r *Reader) readPayload(b []byte, off int64) error {
	if len(b) == 0 {
		return nil
	}
	if !r.f.Direct() {
		n, err := r.f.ReadAt(b, off)
		if n == len(b) {
			return nil
		}
		return err
	}
	start := off &^ (BlockSize - 1)
	w := r.borrow(alignUp(int(off-start) + len(b)))
	defer r.giveBack(w)
	n, err := r.f.ReadAt(*w, start)
	if n < int(off-start)+len(b) {
		return err
	}
	copy(b, (*w)[off-start:])
	return nil
}

// borrow returns an aligned buffer of n bytes.
func (r *Reader) borrow(n int) *[]byte {
	w, _ := r.scratch.Get().(*[]byte)
	if w == nil {
		w = new([]byte)
	}
	if cap(*w) < n {
		*w = AlignedBuffer(n)
	}
	*w = (*w)[:n]
	return w
}

func (r *Reader) giveBack(w *[]byte) {
	if cap(*w) <= maxWindow {
		r.scratch.Put(w)
	}
}

// readError turns the end of the file into damage and keeps other errors.
func (r *Reader) readError(err error, off int64, rng raftlog.Range) error {
	if err == nil || errors.Is(err, io.EOF) {
		return &CorruptError{Path: r.name, Offset: off, Range: rng, Reason: "the file ends early"}
	}
	return fmt.Errorf("segment: reading %s at %d, indexes %v: %w", r.name, off, rng, err)
}

func (r *Reader) corrupt(off int64, i raftlog.Index, reason string) error {
	return &CorruptError{Path: r.name, Offset: off, Range: raftlog.Range{First: i, Last: i}, Reason: reason}
}

// Close closes the file. No other call may be running.
func (r *Reader) Close() error {
	err := r.f.Close()
	if r.direct.f != nil {
		err = errors.Join(err, r.direct.f.Close())
	}
	return err
}
