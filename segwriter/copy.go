package segwriter

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

const (
	windowBytes = 1 << 20  // the most that one read covers, unless an entry is longer
	windowGap   = 32 << 10 // the most bytes between two entries that are read rather than skipped
)

// errPromise says that a reader does not cover the segment it was opened for.
var errPromise = errors.New("the reader is of another segment or of another state of it")

// source is an open segment of the group.
type source struct {
	ref    SegmentRef
	file   vfs.File // of ref, to read payloads from: past the page cache when files are written so
	seg    raftlog.Segment
	cursor cursor
	uses   int // the walk and the windows not read yet
}

// item is an entry to copy: where it lies, and where it goes in its chunk's buffer.
type item struct {
	src   *source
	index raftlog.Index
	loc   segment.Location
	to    int
}

// chunk is a chunk of the new file. Its payloads go from windows straight to their places.
type chunk struct {
	items   []item
	place   segment.Place
	head    int // bytes of the file's header block in front
	size    int // of head and chunk
	alone   bool
	buf     []byte
	windows []window
	sent    int // windows submitted
	left    int // windows not read yet
}

// window is one read: whole blocks of a segment that hold the items [first, last).
type window struct {
	src         *source
	off         int64
	size        int
	end         int64 // of the last payload
	first, last int
}

// plan makes the next chunk ready to be read. ok is false when memory is short. The error ends
// the compaction.
func (c *Compaction) plan() (ok bool, err error) {
	if c.waiting == nil {
		ch, err := c.collect()
		if err != nil {
			return false, err
		}
		if c.planned = len(ch.items) == 0; !c.planned {
			if err := c.locate(ch); err != nil {
				return false, err
			}
			c.waiting = ch
		}
		for _, s := range c.walked {
			c.drop(s)
		}
		if c.walked = nil; c.planned {
			return true, nil
		}
	}
	ch := c.waiting
	if ch.buf, err = c.chunkPool.get(ch.size); err != nil || ch.buf == nil {
		return false, c.failure(err)
	}
	c.waiting = nil
	c.chunks++
	if ch.head > 0 {
		segment.Header{ID: c.task.ID, Number: c.made.Number, UID: c.task.UID}.Encode(ch.buf)
	}
	if ch.left = len(ch.windows); ch.left == 0 {
		return true, c.encode(ch)
	}
	c.reading = append(c.reading, ch)
	return true, nil
}

// newChunk returns an empty chunk, with the memory of one that was written if there is any.
func (c *Compaction) newChunk() *chunk {
	n := len(c.spare)
	if n == 0 {
		return &chunk{}
	}
	ch := c.spare[n-1]
	c.spare = c.spare[:n-1]
	clear(ch.items)
	clear(ch.windows)
	*ch = chunk{items: ch.items[:0], windows: ch.windows[:0]}
	return ch
}

// collect takes entries until the chunk is full or nothing is left.
func (c *Compaction) collect() (*chunk, error) {
	ch := c.newChunk()
	payload := 0
	for {
		it, ok, err := c.peek()
		if err != nil {
			return nil, err
		}
		if !ok || len(ch.items) > 0 &&
			segment.ChunkSize(len(ch.items)+1, payload+it.loc.Length) > c.w.o.ChunkBytes {
			return ch, nil
		}
		if it.loc.Length > segment.MaxEntryBytes {
			return nil, it.damaged("payload too long")
		}
		ch.items = append(ch.items, *it)
		payload += it.loc.Length
		c.have = false
	}
}

// peek returns the next entry of the group that is kept, valid until it is taken.
func (c *Compaction) peek() (it *item, ok bool, err error) {
	for !c.have {
		if c.src == nil {
			if len(c.group) == 0 {
				return nil, false, nil
			}
			seg := c.group[0]
			c.group = c.group[1:]
			if !c.keep.any(seg.Range) {
				continue
			}
			if err := c.open(seg); err != nil {
				return nil, false, err
			}
		}
		i, loc, ok, err := c.src.cursor.next()
		if err != nil {
			var damage *segment.CorruptError
			errors.As(err, &damage)
			return nil, false, &CompactError{Segment: c.src.seg.Number, Range: damage.Range, Err: err}
		}
		if !ok {
			c.walked = append(c.walked, c.src)
			c.src = nil
			continue
		}
		c.peeked, c.have = item{src: c.src, index: i, loc: loc}, true
	}
	return &c.peeked, true, nil
}

func (c *Compaction) open(seg raftlog.Segment) error {
	ref, err := c.task.Open(seg)
	if err != nil {
		return &CompactError{Segment: seg.Number, Range: seg.Range, Err: err}
	}
	file := ref.Reader().File()
	if c.w.o.Direct {
		file = ref.Reader().DirectFile()
	}
	c.src = &source{ref: ref, file: file, seg: seg, uses: 1,
		cursor: cursor{r: ref.Reader(), at: seg.Range.First, last: seg.Range.Last, keep: c.keep}}
	c.sources = append(c.sources, c.src)
	if p := ref.Reader().Segment(); p.Number != seg.Number || p.Bytes != seg.Bytes ||
		p.Range.First > seg.Range.First || p.Range.Last < seg.Range.Last {
		return &CompactError{Segment: seg.Number, Range: seg.Range, Err: fmt.Errorf("%w: %+v", errPromise, p)}
	}
	return nil
}

// drop ends one use of a segment.
func (c *Compaction) drop(s *source) {
	if s.uses--; s.uses > 0 {
		return
	}
	for i := range c.sources {
		if c.sources[i] == s {
			c.sources = append(c.sources[:i], c.sources[i+1:]...)
			break
		}
	}
	s.ref.Release()
}

// locate gives the chunk its place in the new file, and makes the file before its first chunk.
func (c *Compaction) locate(ch *chunk) error {
	if c.out == nil {
		var err error
		if c.out, err = c.w.createFile(c.path); err != nil {
			return c.failure(err)
		}
		ch.head = segment.BlockSize
		c.made.Bytes = segment.BlockSize
		_, more, err := c.peek()
		if err != nil {
			return err
		}
		ch.alone = !more
	}
	n, payload := len(ch.items), 0
	for i := range ch.items {
		ch.items[i].to = ch.head + segment.PayloadOffset(n) + payload
		payload += ch.items[i].loc.Length
	}
	size := segment.ChunkSize(n, payload)
	ch.size = ch.head + size
	ch.place = segment.Place{ID: c.task.ID, Number: c.made.Number, Offset: c.made.Bytes,
		Before: c.made.Entries, PrevLast: c.made.Range.Last}
	if uint64(n)+uint64(c.made.Entries) > math.MaxUint32 || (c.made.Bytes+int64(size))/segment.BlockSize >= math.MaxUint32 {
		return c.failure(errors.New("the segment would be too long"))
	}
	c.made.Bytes += int64(size)
	c.made.Entries += uint32(n)
	if c.made.Range.Empty() {
		c.made.Range.First = ch.items[0].index
	}
	c.made.Range.Last = ch.items[n-1].index
	return ch.cover()
}

// cover lays windows over the chunk's entries. An entry without a payload needs none.
func (ch *chunk) cover() error {
	for i := range ch.items {
		it := &ch.items[i]
		if it.loc.Length == 0 {
			if !it.loc.Sound(nil) {
				return it.damaged("payload checksum")
			}
			continue
		}
		from := it.loc.Offset &^ (segment.BlockSize - 1)
		end := it.loc.Offset + int64(it.loc.Length)
		to := (end + segment.BlockSize - 1) &^ (segment.BlockSize - 1)
		if n := len(ch.windows); n > 0 {
			w := &ch.windows[n-1]
			if w.src == it.src && it.loc.Offset >= w.end && from-w.end <= windowGap && to-w.off <= windowBytes {
				w.end, w.last, w.size = end, i+1, int(to-w.off)
				continue
			}
		}
		it.src.uses++
		ch.windows = append(ch.windows, window{src: it.src, off: from, size: int(to - from), end: end, first: i, last: i + 1})
	}
	return nil
}

// readNext submits the next read, unless memory is short.
func (c *Compaction) readNext() (int64, error) {
	ch := c.reading[0]
	w := &ch.windows[ch.sent]
	buf, err := c.readPool.get(w.size)
	if err != nil || buf == nil {
		c.fail(c.failure(err))
		return 0, nil
	}
	if ch.sent++; ch.sent == len(ch.windows) {
		c.reading = c.reading[1:]
	}
	o := c.take()
	o.chunk, o.window, o.Kind, o.File = ch, w, vfs.OpRead, w.src.file
	o.Buf, o.Off = buf, w.off
	return int64(len(buf)), c.send(o)
}

// arrived takes a window that was read, and writes no more of it than what is sound.
func (c *Compaction) arrived(o *op) {
	ch, w := o.chunk, o.window
	if c.err == nil {
		c.fail(ch.fill(w, o))
	}
	c.readPool.put(o.Buf)
	c.drop(w.src)
	if ch.left--; ch.left == 0 && c.err == nil {
		c.fail(c.encode(ch))
	}
}

// fill verifies the payloads of a window and copies them to their places.
func (ch *chunk) fill(w *window, o *op) error {
	if o.Err != nil && !errors.Is(o.Err, io.EOF) {
		return &CompactError{Segment: w.src.seg.Number, Err: o.Err,
			Range: raftlog.Range{First: ch.items[w.first].index, Last: ch.items[w.last-1].index}}
	}
	for i := w.first; i < w.last; i++ {
		it := &ch.items[i]
		at := int(it.loc.Offset - w.off)
		switch {
		case it.loc.Length == 0:
			continue
		case at+it.loc.Length > o.N:
			return it.damaged("the file ends early")
		case !it.loc.Sound(o.Buf[at : at+it.loc.Length]):
			return it.damaged("payload checksum")
		}
		copy(ch.buf[it.to:], o.Buf[at:at+it.loc.Length])
	}
	return nil
}

// encode completes a chunk whose payloads are in place.
func (c *Compaction) encode(ch *chunk) error {
	for i := range ch.items {
		it := &ch.items[i]
		e := raftlog.Entry{Index: it.index, Term: it.loc.Term, Type: it.loc.Type,
			Data: ch.buf[it.to : it.to+it.loc.Length]}
		if err := c.builder.Add(e, it.loc.CRC); err != nil {
			return c.failure(err)
		}
	}
	c.builder.Encode(ch.buf[ch.head:], ch.place)
	c.writing = append(c.writing, ch)
	return nil
}

func (it *item) damaged(reason string) error {
	rng := raftlog.Range{First: it.index, Last: it.index}
	return &CompactError{Segment: it.src.seg.Number, Range: rng, Err: &segment.CorruptError{
		Path: it.src.ref.Reader().Name(), Offset: it.loc.Offset, Range: rng, Reason: reason}}
}

// failure says that the new file could not be made, nil when err is.
func (c *Compaction) failure(err error) error {
	if err == nil {
		return nil
	}
	return &CompactError{Err: fmt.Errorf("%s: %w", c.path, err)}
}
