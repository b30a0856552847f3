package segment

import (
	"errors"
	"fmt"
	"io"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
)

// probe is how much is read at the start of a chunk: enough for the index of a small one.
const probe = 32 << 10

// loader walks the chunks of a file and builds the index.
type loader struct {
	r    *Reader
	id   identity
	s    raftlog.Segment
	end  uint32 // blocks of the committed part
	have uint32 // blocks of it that are there

	written  uint32        // entries written before the next chunk, as the chunks say
	prevLast raftlog.Index // last index of the latest chunk known
	chunks   int
	window   []byte // a read of the file, starting at block from
	from     uint32
}

// load reads the header block and the chunks.
func (l *loader) load() error {
	l.r.soundEnd = BlockSize
	if err := l.header(); err != nil {
		return err
	}
	for b := uint32(1); b < l.end; {
		c, ok, err := l.next(b)
		if err != nil {
			return err
		}
		if !ok {
			l.lost(b, l.end, l.s.Entries, l.s.Range.Last, l.s.Range.Last)
			break
		}
		if c.block > b {
			l.lost(b, c.block, c.before, c.prevLast, c.first-1)
		}
		if err := l.chunk(&c); err != nil {
			return err
		}
		b = c.end()
	}
	return nil
}

// header checks whose file it is. A damaged header block costs nothing: the chunks name the
// file by their seed.
func (l *loader) header() error {
	b, err := l.read(0)
	if err != nil {
		return err
	}
	h, err := DecodeHeader(b[:min(len(b), BlockSize)])
	if errors.Is(err, frame.ErrVersion) {
		return err
	}
	l.r.header, l.r.headerErr = h, err
	if err == nil && (h.ID != l.r.id || h.Number != l.s.Number) {
		return fmt.Errorf("%w: segment %d of log %d where %d of log %d is expected",
			frame.ErrCorrupt, h.Number, h.ID, l.s.Number, l.r.id)
	}
	return nil
}

// read returns the file's content from block b on, at least one block unless the file ends
// there; valid until the next call.
func (l *loader) read(b uint32) ([]byte, error) {
	if b >= l.have {
		return nil, nil
	}
	if b < l.from || int(b-l.from)*BlockSize+BlockSize > len(l.window) {
		n := min(probe, int(l.have-b)*BlockSize)
		w, err := l.r.readAligned(l.window[:cap(l.window)], int64(b)*BlockSize, n)
		if err != nil {
			return nil, err
		}
		l.window, l.from = w, b
	}
	return l.window[int(b-l.from)*BlockSize:], nil
}

// next finds the first chunk at or behind block b by its header or its footer.
func (l *loader) next(b uint32) (chunk, bool, error) {
	for at := b; at < l.have; at++ {
		w, err := l.read(at)
		if err != nil || len(w) < BlockSize {
			return chunk{}, false, err
		}
		if c, ok := decodeChunk(w, chunkMagic, l.id); ok && c.block == at && c.end() <= l.end {
			return c, true, nil
		}
		c, ok := decodeChunk(w[BlockSize-chunkFooterSize:BlockSize], footerMagic, l.id)
		if ok && c.end() == at+1 && c.block >= b {
			return c, true, nil
		}
	}
	return chunk{}, false, nil
}

// lost refuses what the blocks [from, to) may have held or superseded. written counts the
// entries of the file before block to, and last is a lower bound of the last index
// there; hi is the highest index that they can hit.
func (l *loader) lost(from, to, written uint32, last, hi raftlog.Index) {
	lo := l.s.Range.First
	// One block is one chunk. Had it superseded anything it would have no holes, and more
	// entries than the indexes it added.
	addedOnly := to == from+1 && written >= l.written &&
		last > l.prevLast && uint64(written-l.written) <= uint64(last-l.prevLast)
	if addedOnly {
		lo = max(lo, l.prevLast+1)
	}
	l.refuse(int64(from)*BlockSize, raftlog.Range{First: lo, Last: hi}, "chunk lost")
}

func (l *loader) refuse(off int64, rng raftlog.Range, reason string) {
	l.r.index.refuse(&CorruptError{Path: l.r.name, Offset: off, Range: rng, Reason: reason})
}

// chunk adds the entries of a chunk whose header or footer verified.
func (l *loader) chunk(c *chunk) error {
	l.r.index.supersede(c.first)
	l.written, l.prevLast = c.before+c.count, c.last
	l.chunks++
	b, err := l.indexBytes(c)
	if err != nil {
		return err
	}
	if len(b) == 0 || checksum(l.id, b) != c.indexSum || !soundIndex(b, c) {
		l.refuse(c.indexOffset(), raftlog.Range{First: c.first, Last: c.last}, "index array")
		return nil
	}
	l.r.soundEnd, l.r.written = int64(c.end())*BlockSize, c.before+c.count
	base := c.payloadOffset()
	for ; len(b) > 0; b = b[indexEntrySize:] {
		l.r.index.add(decodeIndexEntry(b), base)
	}
	return nil
}

// indexBytes reads a chunk's index array; nil when the file ends before its end.
func (l *loader) indexBytes(c *chunk) ([]byte, error) {
	n := int(c.count) * indexEntrySize
	b, err := l.read(c.block)
	if err != nil {
		return nil, err
	}
	if len(b) < chunkHeaderSize+n {
		size := alignUp(chunkHeaderSize + n)
		if int64(l.have)*BlockSize < c.offset()+int64(size) {
			return nil, nil
		}
		b, err = l.r.readAligned(l.window[:cap(l.window)], c.offset(), size)
		if err != nil {
			return nil, err
		}
		l.window, l.from = b, c.block
	}
	return b[chunkHeaderSize : chunkHeaderSize+n], nil
}

// soundIndex reports whether an index array agrees with its chunk: ascending indexes from
// first to last, payloads one behind the other.
func soundIndex(b []byte, c *chunk) bool {
	var prev raftlog.Index
	var at uint64
	for n := 0; len(b) > 0; n++ {
		e := decodeIndexEntry(b)
		b = b[indexEntrySize:]
		if e.index <= prev || n == 0 && e.index != c.first || uint64(e.offset) != at {
			return false
		}
		at += uint64(e.length)
		prev = e.index
	}
	return prev == c.last && at == uint64(c.payload)
}

// readAligned reads n bytes, a multiple of BlockSize, at off into buf or new memory. The file's size
// says that they are there: a read that stays short is an error, not damage.
func (r *Reader) readAligned(buf []byte, off int64, n int) ([]byte, error) {
	if cap(buf) < n {
		buf = AlignedBuffer(n)
	}
	buf = buf[:n]
	got, err := r.f.ReadAt(buf, off)
	if got == n {
		return buf, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return nil, fmt.Errorf("segment: reading %s at %d: %w", r.name, off, err)
}
