package segwriter

import (
	"fmt"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
)

// submit hands one operation to the queue. more is false when there is none now. The error is
// fatal to the Writer.
func (w *Writer) submit() (more bool, err error) {
	if len(w.syncs) > 0 {
		f := w.syncs[len(w.syncs)-1]
		w.syncs = w.syncs[:len(w.syncs)-1]
		if f.f == nil {
			return true, nil // its job failed after it was queued
		}
		o := w.take()
		o.Kind = vfs.OpDatasync
		return true, w.send(o, f)
	}
	j := w.feeding
	if j == nil {
		if j = w.nextJob(); j == nil {
			return false, nil
		}
		w.feeding = j
	}
	if j.err == nil {
		return w.feed(j)
	}
	w.stopFeeding(j)
	return true, nil
}

// nextJob starts the next job, first all for the first time, then those that failed.
func (w *Writer) nextJob() *job {
	if w.started < len(w.jobs) {
		j := &w.jobs[w.started]
		w.started++
		j.reset()
		return j
	}
	if n := len(w.retries); n > 0 {
		j := w.retries[n-1]
		w.retries = w.retries[:n-1]
		j.reset()
		return j
	}
	return nil
}

// feed builds the job's next chunk, unless it is built and waits for memory, and submits it.
func (w *Writer) feed(j *job) (more bool, err error) {
	if w.builder.Count() == 0 {
		if err := w.build(j); err != nil {
			j.fail(err)
		}
		if j.err != nil || j.fed {
			w.stopFeeding(j)
			return true, nil
		}
	}
	f := j.file
	head := 0
	if f.seg.Bytes == 0 {
		head = segment.BlockSize
	}
	o := w.take()
	ok, err := w.buffer(o, head+w.builder.Size())
	if !ok || err != nil {
		w.giveBack(o)
		return false, err
	}
	if head > 0 {
		segment.Header{ID: j.task.ID, Number: f.seg.Number, UID: j.task.UID}.Encode(o.buf)
	}
	w.encode(j, f, o, head)
	_, _, another, perr := j.peek()
	last := !another && perr == nil || w.full(&f.seg)
	o.DSync = last && f.chunks == 1
	f.synced = o.DSync
	if err := w.send(o, f); err != nil {
		return false, err
	}
	if last {
		f.fed, j.file = true, nil
		j.readReleased()
	}
	return true, nil
}

// encode writes the built chunk behind head into the operation's buffer and accounts for it.
func (w *Writer) encode(j *job, f *file, o *op, head int) {
	count, first, last := w.builder.Count(), w.builder.First(), w.builder.Last()
	at := f.seg.Bytes
	if head > 0 {
		at = segment.BlockSize
	}
	chunk := w.builder.Encode(o.buf[head:], segment.Place{ID: j.task.ID, Number: f.seg.Number,
		Offset: at, Before: f.seg.Entries, PrevLast: f.seg.Range.Last})
	o.Kind, o.Off, o.Buf = vfs.OpWrite, at-int64(head), o.buf[:head+len(chunk)]
	f.seg.Bytes = at + int64(len(chunk))
	f.seg.Entries += uint32(count)
	f.entries += count
	f.chunks++
	if f.seg.Range.Empty() {
		f.seg.Range.First = first
	}
	f.seg.Range = raftlog.Range{First: min(f.seg.Range.First, first), Last: last}
	j.list[len(j.list)-1] = f.seg
}

// build collects the entries of the job's next chunk and opens the file it goes to. When
// nothing is left it marks the job as fed.
func (w *Writer) build(j *job) error {
	if j.gone() {
		j.res.Gone = true
		j.fail(errGone)
		return nil
	}
	e, crc, ok, err := j.peek()
	if err != nil || !ok {
		j.fed = err == nil
		return err
	}
	s := w.target(j, e.Index)
	if j.file == nil {
		if err := w.openFile(j, s); err != nil {
			return err
		}
	}
	f := j.file
	dense := !f.created && f.chunks == 0
	room := int(w.o.MaxEntries - f.seg.Entries)
	size := int(min(int64(w.o.ChunkBytes), max(w.o.MaxBytes-f.seg.Bytes, segment.BlockSize)))
	// The first entry is the one peeked at before the file was opened: a release may have
	// taken it from its source meanwhile, and the chunk must not be empty.
	for {
		if err := w.builder.Add(e, crc); err != nil {
			j.final = true
			return err
		}
		j.at = e.Index + 1
		if w.builder.Count() >= room {
			return nil
		}
		if e, crc, ok, err = j.peek(); err != nil {
			return err
		}
		if !ok || w.builder.SizeWith(len(e.Data)) > size || dense && e.Index != w.builder.Last()+1 {
			return nil
		}
	}
}

// buffer gives the operation n bytes; ok is false when it must wait for them.
func (w *Writer) buffer(o *op, n int) (ok bool, err error) {
	if n <= len(w.arena.buf)/2 {
		o.buf = w.arena.get(n)
		return o.buf != nil, nil
	}
	if w.big {
		return false, nil
	}
	buf, free, err := w.o.FS.Alloc(n)
	if err != nil {
		return false, err
	}
	o.buf, o.free, w.big = buf, free, true
	return true, nil
}

func (w *Writer) send(o *op, f *file) error {
	o.file, o.File = f, f.f
	if err := w.o.Queue.Submit(&o.Op); err != nil {
		w.giveBack(o)
		return fmt.Errorf("segwriter: submit: %w", err)
	}
	f.inflight++
	w.flying++
	return nil
}

// complete takes the outcome of an operation.
func (w *Writer) complete(o *op) {
	f := o.file
	f.inflight--
	if o.Kind == vfs.OpWrite {
		w.wrote += int64(o.N)
		f.job.res.Bytes += int64(o.N)
	} else {
		f.synced = true
	}
	if o.Err != nil {
		f.failed = true
		f.job.fail(fmt.Errorf("%s: %w", f.path, o.Err))
	}
	w.giveBack(o)
	if f.job.err != nil {
		w.abandon(f.job)
		return
	}
	w.advance(f)
}

// stopFeeding turns from a job that is fed or failed to the next.
func (w *Writer) stopFeeding(j *job) {
	w.feeding = nil
	w.builder.Reset()
	if j.file != nil {
		j.file.fed, j.file = true, nil
	}
	w.abandon(j)
}

// abandon advances all files of a job, and settles it when it has none open.
func (w *Writer) abandon(j *job) {
	if w.feeding == j {
		return // submit comes by
	}
	if j.open == 0 {
		w.settle(j)
		return
	}
	for _, f := range j.files {
		w.advance(f)
	}
}
