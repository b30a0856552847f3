package segwriter

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

const (
	stepBytes  = 1 << 20 // what one Step submits, about, in bytes
	readMemory = 4 << 20 // of windows being read
	copyChunks = 4       // chunks that are read and written at once
)

// errAborted is why a compaction ended that its caller aborted.
var errAborted = errors.New("aborted")

// Compaction copies a group of segments into a new one. Its Writer's goroutine calls all of its
// methods. Chunks are planned from the indexes in memory, so their places in the new file are
// known at once; several are read and written at the same time, in any order.
type Compaction struct {
	w     *Writer
	task  CompactTask
	made  raftlog.Segment // as far as it was planned
	path  string
	out   vfs.File // nil until the first chunk is planned
	read  int64
	wrote int64
	step  int64 // bytes written since the last Step returned

	// The walk through the group.
	keep    retained
	group   []raftlog.Segment // to be opened yet
	src     *source           // being walked
	walked  []*source         // to the end; the chunk being planned has entries of them
	sources []*source         // all that are open
	peeked  item              // the next entry to plan, when have
	have    bool
	planned bool // nothing is left to plan

	// Chunks, in this order of their lives.
	waiting *chunk   // waits for memory
	reading []*chunk // have windows to submit
	writing []*chunk // complete, to be written
	chunks  int      // not done, the waiting one aside
	spare   []*chunk // written

	readPool  pool
	chunkPool pool
	builder   segment.Builder // empty between chunks
	inflight  int             // operations of this compaction
	syncing   bool            // the datasync is submitted
	synced    bool            // nothing is left to sync
	ended     bool
	err       error // always a *CompactError
}

func newCompaction(w *Writer, task CompactTask, number uint64) *Compaction {
	total := int64(0)
	for _, s := range task.Group {
		total += min(max(s.Bytes, segment.BlockSize), 1<<40) // no more memory than a small group needs
	}
	sized := func(most int) pool { return pool{fs: w.o.FS, size: int(min(total, int64(most)))} }
	return &Compaction{
		w: w, task: task, path: Path(w.o.Dir, task.ID, number), made: raftlog.Segment{Number: number},
		keep: retained{task.Floor, task.Live}, group: task.Group,
		readPool: sized(readMemory), chunkPool: sized(copyChunks * (w.o.ChunkBytes + segment.BlockSize)),
	}
}

// Step does a bounded piece: it submits about 1 MiB of reads and writes, unless limit
// operations (0 means half of Options.Depth) are in flight, and reaps what has completed,
// waiting for one completion when there was nothing to submit. It returns whether the compaction has ended
// and the bytes written since the last call, so that the caller can pace itself between calls.
// When it ends without an error everything that Result names is durable, the directory's entry
// included. A *CompactError means that it failed, and everything is tidied up; any other error is
// the queue's and final: the Writer is unusable.
func (c *Compaction) Step(limit int) (done bool, wrote int64, err error) {
	if c.ended {
		return true, 0, c.err
	}
	if c.w.err != nil {
		return false, 0, c.w.err
	}
	if most := max(c.w.o.Depth/2, 1); limit <= 0 || limit > most {
		limit = most
	}
	if c.w.err = c.work(limit); c.w.err != nil {
		return false, 0, c.w.err
	}
	wrote, c.step = c.step, 0
	if c.ended {
		err = c.err
	}
	return c.ended, wrote, err
}

// work submits, and then reaps or ends. The error is fatal to the Writer.
func (c *Compaction) work(limit int) error {
	q := c.w.o.Queue
	var submitted int64
	for c.err == nil && c.inflight < limit && q.Outstanding() < c.w.o.Depth && submitted < stepBytes {
		n, err := c.submit()
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		submitted += n
	}
	if c.inflight == 0 && (c.err != nil || c.copied()) {
		c.end()
		return nil
	}
	if submitted > 0 && c.err == nil {
		return c.w.reap(0)
	}
	return c.w.reap(1)
}

// copied reports whether there is nothing left to submit.
func (c *Compaction) copied() bool {
	return c.planned && c.waiting == nil && c.chunks == 0 && (c.out == nil || c.synced)
}

// submit hands an operation to the queue, the one that frees most memory first, and returns its
// bytes, 0 when there is none now. The error is fatal; what fails only the compaction is in
// c.err.
func (c *Compaction) submit() (int64, error) {
	for {
		switch {
		case len(c.writing) > 0:
			ch := c.writing[0]
			c.writing = c.writing[1:]
			o := c.take()
			o.chunk, o.Kind, o.File, o.Buf = ch, vfs.OpWrite, c.out, ch.buf
			o.Off, o.DSync = ch.place.Offset-int64(ch.head), ch.alone
			return int64(len(o.Buf)), c.send(o)
		case len(c.reading) > 0:
			return c.readNext()
		case c.waiting != nil || c.chunks < copyChunks && !c.planned:
			ok, err := c.plan()
			c.fail(err)
			if !ok || err != nil {
				return 0, nil
			}
		case c.chunks == 0 && c.out != nil && !c.syncing && !c.synced:
			c.syncing = true
			o := c.take()
			o.Kind, o.File = vfs.OpDatasync, c.out
			return 1, c.send(o)
		default:
			return 0, nil
		}
	}
}

// complete takes the outcome of an operation.
func (c *Compaction) complete(o *op) {
	c.inflight--
	switch o.Kind {
	case vfs.OpRead:
		c.read += int64(o.N)
		c.arrived(o)
	case vfs.OpWrite:
		c.wrote += int64(o.N)
		c.step += int64(o.N)
		c.chunkPool.put(o.chunk.buf)
		c.chunks--
		c.spare = append(c.spare, o.chunk)
		c.synced = o.chunk.alone
		c.fail(c.failure(o.Err))
	default:
		c.synced = true
		c.fail(c.failure(o.Err))
	}
	c.w.giveBack(o)
}

func (c *Compaction) take() *op {
	o := c.w.take()
	o.compaction = c
	return o
}

func (c *Compaction) send(o *op) error {
	if err := c.w.o.Queue.Submit(&o.Op); err != nil {
		c.w.giveBack(o)
		return fmt.Errorf("segwriter: submit: %w", err)
	}
	c.inflight++
	return nil
}

// fail ends the compaction once nothing of it is in flight; nil changes nothing.
func (c *Compaction) fail(err error) {
	if err == nil || c.err != nil {
		return
	}
	var known *CompactError
	if !errors.As(err, &known) {
		known = &CompactError{Err: err}
	}
	known.ID = c.task.ID
	c.err = known
}

// end makes the new file count, or takes it away. Nothing of the compaction is in flight.
func (c *Compaction) end() {
	if c.err == nil && c.out != nil {
		_ = c.out.Close() // nothing depends on it: the data is synced
		c.out = nil
		if err := c.w.o.FS.SyncDir(LogDir(c.w.o.Dir, c.task.ID)); err != nil {
			c.fail(c.failure(err))
			c.remove()
		}
	}
	c.free()
}

// free gives back all that the compaction holds. What it has written of a file that does not
// count is removed.
func (c *Compaction) free() {
	if c.out != nil {
		_ = c.out.Close()
		c.out = nil
		c.remove()
	}
	for _, s := range c.sources {
		s.ref.Release()
	}
	c.sources, c.src, c.walked, c.waiting, c.reading, c.writing, c.spare = nil, nil, nil, nil, nil, nil, nil
	c.readPool.free()
	c.chunkPool.free()
	c.builder.Reset()
	c.ended = true
	c.w.compaction = nil
}

// remove removes the new file; what stays is an orphan.
func (c *Compaction) remove() { _ = c.w.o.FS.Remove(c.path) }

// Abort ends the compaction and removes its file, also when it has ended well: nothing may name
// the file then. It waits for the operations in flight, reaping for the flush meanwhile. After a
// failure of the queue the file is left to Writer.Close.
func (c *Compaction) Abort() {
	if c.ended && c.err == nil && !c.made.Range.Empty() {
		c.remove()
	}
	c.fail(errAborted)
	for !c.ended && c.inflight > 0 && c.w.err == nil {
		c.w.err = c.w.reap(1)
	}
	if !c.ended && c.w.err == nil {
		c.free()
	}
}

// Result is the outcome once Step has reported the end without an error. Before, only Read and Wrote
// mean anything.
func (c *Compaction) Result() CompactResult {
	r := CompactResult{ID: c.task.ID, Segment: c.made, NextSegment: c.made.Number + 1, Read: c.read, Wrote: c.wrote}
	if c.made.Range.Empty() {
		r.Segment = raftlog.Segment{}
	}
	return r
}
