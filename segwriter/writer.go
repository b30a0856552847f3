package segwriter

import (
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

// Writer flushes tasks to segment files and compacts them. It has no goroutine of its own: one goroutine owns
// it and calls all of its methods.
type Writer struct {
	o        Options
	arena    *arena
	noDirect bool // the file system refused

	builder segment.Builder // the next chunk of the job that is fed; empty between jobs
	big     bool            // a buffer outside the arena is in use

	jobs    []job
	results []Result
	started int    // jobs that were fed, or are
	feeding *job   // the job that is fed
	retries []*job // failed once; fed again when all others were
	syncs   []*file
	left    int // jobs not settled
	dirs    int // jobs whose directory was synced or needs none

	ops    []*op // all ever made
	idle   []*op
	done   []*vfs.Op
	flying int // operations of the flush submitted and not reaped

	compaction *Compaction // the one under way, nil for none
	taken      fileKey     // the file of the last one

	// poisoned holds listed segments that had a failed write or sync: they take no more.
	poisoned map[fileKey]struct{}
	wrote    int64 // by the flush since its last Step returned
	err      error
}

// op is one operation in flight, of the flush or of a compaction.
type op struct {
	vfs.Op
	file *file
	buf  []byte // of the arena
	free func() // of memory outside it

	compaction *Compaction // nil for the flush
	chunk      *chunk
	window     *window
}

// New returns a Writer. It does no I/O. The error joins all violations of the options.
func New(o Options) (*Writer, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Writer{o: o, done: make([]*vfs.Op, o.Depth), poisoned: map[fileKey]struct{}{}}, nil
}

// Begin starts a flush. The tasks belong to the Writer until Step reports done. A flush
// that is not done must not be followed by another Begin.
func (w *Writer) Begin(tasks []Task) {
	w.jobs = make([]job, len(tasks))
	w.results = make([]Result, len(tasks))
	for i := range tasks {
		w.jobs[i] = job{task: tasks[i], res: &w.results[i], next: tasks[i].NextSegment}
		w.reserve(&w.jobs[i])
		w.results[i] = Result{ID: tasks[i].ID, Segments: tasks[i].Segments, NextSegment: tasks[i].NextSegment}
	}
	w.started, w.feeding, w.retries, w.syncs = 0, nil, nil, nil
	w.left, w.dirs = len(tasks), 0
}

// Step submits writes and syncs until limit of them are in flight (0 means Depth), and reaps
// what has completed, waiting for at least one completion when any is outstanding. It returns
// whether the flush is done and the bytes written by this call, so that the caller can pace
// itself between calls; directories are synced at the end, limit of them per call. Once it is
// done everything that Results lists is durable, directory entries included. The
// error is the queue's, or that of allocating buffers, and final: the flush did not happen,
// and the Writer is unusable.
func (w *Writer) Step(limit int) (done bool, wrote int64, err error) {
	if w.err != nil {
		return false, 0, w.err
	}
	if limit <= 0 || limit > w.o.Depth {
		limit = w.o.Depth
	}
	if w.left > 0 {
		w.err = w.work(limit)
	} else if done = w.syncDirs(limit); done {
		w.jobs, w.retries, w.syncs = nil, nil, nil // and with them the references to sources
	}
	wrote, w.wrote = w.wrote, 0
	return done, wrote, w.err
}

// work submits up to limit operations and reaps.
func (w *Writer) work(limit int) error {
	if w.arena == nil {
		a, err := newArena(w.o.FS, w.o.Queue, arenaChunks*(w.o.ChunkBytes+segment.BlockSize))
		if err != nil {
			return err
		}
		w.arena = a
	}
	q := w.o.Queue
	for n := 0; n < limit && w.flying < limit && q.Outstanding() < w.o.Depth; n++ {
		more, err := w.submit()
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if w.flying == 0 && q.Outstanding() < w.o.Depth {
		return nil
	}
	return w.reap(1)
}

// reap takes what has completed, waiting for least operations, and hands each to the
// flush or the compaction that submitted it.
func (w *Writer) reap(least int) error {
	n, err := w.o.Queue.Reap(least, w.done)
	if err != nil {
		return fmt.Errorf("segwriter: queue: %w", err)
	}
	for _, op := range w.done[:n] {
		o := w.ops[op.Tag]
		if o.compaction != nil {
			o.compaction.complete(o)
		} else {
			w.flying--
			w.complete(o)
		}
	}
	clear(w.done[:n])
	return nil
}

// arenaChunks is the size of the arena in chunks of the target length.
const arenaChunks = 8

// Results returns one Result per Task, in the order of the tasks, valid until the next Begin.
func (w *Writer) Results() []Result { return w.results }

// Avoid makes w append to no segment that old must not touch any more, and to none that old had
// open: the outcome of what its queue did last is not known. It is called before old is closed.
func (w *Writer) Avoid(old *Writer) {
	for k := range old.poisoned {
		w.poisoned[k] = struct{}{}
	}
	for i := range old.jobs {
		j := &old.jobs[i]
		for _, f := range j.files {
			w.poisoned[fileKey{j.task.ID, f.seg.Number}] = struct{}{}
		}
	}
}

// Close frees the buffers and closes files that a flush left open because its queue failed. A
// compaction that has not ended is aborted.
// Close the Queue first: its registered memory is freed here.
func (w *Writer) Close() error {
	for i := range w.jobs {
		for _, f := range w.jobs[i].files {
			if f.f != nil {
				_ = f.f.Close()
				f.f = nil
			}
		}
	}
	w.jobs = nil
	if w.compaction != nil {
		w.compaction.fail(errAborted)
		w.compaction.free()
	}
	if w.arena != nil {
		w.arena.free()
		w.arena = nil
	}
	return nil
}

// settle ends a job's attempt when all its files are closed.
func (w *Writer) settle(j *job) {
	if j.err != nil {
		j.res.Gone = j.gone() // then its directory may be gone, too
		w.discard(j)
		if !j.res.Gone && !j.retrying && !j.final {
			j.retrying = true
			w.retries = append(w.retries, j)
			return
		}
		if !j.res.Gone {
			j.res.Err = fmt.Errorf("segwriter: log %d: %w", j.task.ID, j.err)
		}
		j.newDir, j.newFile = false, false
	} else {
		j.res.Segments = j.list
		j.res.Entries = j.entries()
	}
	if len(w.poisoned) > 0 {
		w.forget(j)
	}
	j.res.NextSegment = j.next
	w.left--
}

// entries counts what the job's files took.
func (j *job) entries() int {
	n := 0
	for _, f := range j.files {
		n += f.entries
	}
	return n
}

// forget drops the job's poisoned segments that its list does not have any more. One that the
// list still has may become the last again.
func (w *Writer) forget(j *job) {
	for k := range w.poisoned {
		listed := func(s raftlog.Segment) bool { return s.Number == k.number }
		if k.id == j.task.ID && (j.res.Gone || !slices.ContainsFunc(j.res.Segments, listed)) {
			delete(w.poisoned, k)
		}
	}
}

// take returns an unused operation.
func (w *Writer) take() *op {
	if n := len(w.idle); n > 0 {
		o := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return o
	}
	o := &op{}
	o.Tag = uint64(len(w.ops))
	w.ops = append(w.ops, o)
	return o
}

func (w *Writer) giveBack(o *op) {
	if o.free != nil {
		o.free()
		w.big = false
	} else if o.buf != nil {
		w.arena.put(o.buf)
	}
	tag := o.Tag
	*o = op{}
	o.Tag = tag
	w.idle = append(w.idle, o)
}
