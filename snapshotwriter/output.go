package snapshotwriter

import (
	"io"
	"slices"

	"github.com/rawl-db/rawl/internal/snapshot"
	"github.com/rawl-db/rawl/internal/vfs"
)

// output is an unfinished file that is written from front to back. Nothing is done with it after
// a failure but to remove it.
type output struct {
	w        *Writer
	f        vfs.File
	off      int64
	every    int64 // how much is written between two syncs, 0 for all
	unsynced int64
	stopped  func() error // whether to go on
}

// write appends b at the Writer's rate, in portions of one chunk at most.
func (o *output) write(b []byte) error {
	for portion := range slices.Chunk(b, o.w.o.ChunkBytes+snapshot.ChunkHeaderBytes) {
		if err := o.w.pace(len(portion), o.stopped); err != nil {
			return err
		}
		if err := o.put(portion); err != nil {
			return err
		}
	}
	return nil
}

// put appends b at once.
func (o *output) put(b []byte) error {
	if _, err := o.f.WriteAt(b, o.off); err != nil {
		return err
	}
	o.off += int64(len(b))
	o.unsynced += int64(len(b))
	if o.every == 0 || o.unsynced < o.every {
		return nil
	}
	o.unsynced = 0
	return o.f.Datasync()
}

// chunker cuts what is written to it into chunks. One goroutine owns it.
type chunker struct {
	out  *output
	enc  *snapshot.Encoder
	buf  []byte // a chunk with its header
	fill int    // of buf, the header included
	err  error  // sticky
}

func newChunker(out *output, enc *snapshot.Encoder, buf []byte) *chunker {
	return &chunker{out: out, enc: enc, buf: buf, fill: snapshot.ChunkHeaderBytes}
}

// Write never keeps p. Errors: those of writing the file, or why the job ended.
func (c *chunker) Write(p []byte) (written int, err error) {
	if c.err != nil {
		return 0, c.err
	}
	for len(p) > 0 {
		n := copy(c.buf[c.fill:], p)
		p, c.fill, written = p[n:], c.fill+n, written+n
		if c.fill == len(c.buf) {
			if c.flush(); c.err != nil {
				return written, c.err
			}
		}
	}
	return written, nil
}

// flush writes the chunk that is there, if any.
func (c *chunker) flush() {
	if c.err != nil || c.fill == snapshot.ChunkHeaderBytes {
		return
	}
	b := c.buf[:c.fill]
	if c.err = c.enc.SealChunk(b); c.err == nil {
		c.err = c.out.write(b)
	}
	c.fill = snapshot.ChunkHeaderBytes
}

// counter counts what passes through, until it is ended.
type counter struct {
	to    io.Writer
	n     int64
	ended bool
}

func (c *counter) Write(p []byte) (int, error) {
	if c.ended {
		return 0, ErrClosed
	}
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}
