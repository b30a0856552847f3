package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/segwriter"
	"github.com/rawl-db/rawl/wal"
)

// flusher moves what sealed WAL files hold to segments and the manifest, one file after the
// other, and removes the files of deleted logs. One goroutine calls Step; it is the only one
// that makes or removes segment files. The order within a file is the engine's durability:
// segments synced, directories synced, manifest edit synced, views published, file pooled.
type flusher struct {
	e       *Engine
	writer  *segwriter.Writer
	wake    chan struct{} // capacity 1
	pooling func(number uint64)

	// Owned by the goroutine that calls Step.
	job      *flushJob
	retry    time.Duration // pause after a failure, doubling
	batches  uint64        // commits seen when the pace was last set
	sweeper  *sweeper
	sweeping bool // the last step did nothing else
	merger   *compactor
	turn     int // steps of flushes since the last one of a compaction

	mu struct {
		sync.Mutex
		sealed  []wal.Sealed // oldest first
		deleted []*Log
		untidy  map[*Log]struct{} // logs whose segments wait to be looked through
		compact []compactRequest  // oldest first
		err     error             // why the flush of the oldest file fails, nil when it does not
		waiting []flushWaiter
		retired []retiredFile // nobody needs them any more
		closed  bool
	}
}

type flushWaiter struct {
	upTo uint64
	done chan error // capacity 1
}

// flushJob is the flush of one sealed file.
type flushJob struct {
	file    wal.Sealed
	began   int64       // by the engine's clock
	tasks   []flushTask // those that write segments first, in the order of the writer's tasks
	results []segwriter.Result
	writing bool
	edit    *manifest.Edit // once all segments are written
	err     error          // why some logs could not be, nil when all were
}

func newFlusher(e *Engine, w *segwriter.Writer) *flusher {
	f := &flusher{e: e, writer: w, wake: make(chan struct{}, 1), sweeper: &sweeper{e: e}, pooling: func(uint64) {}}
	f.merger = newCompactor(f)
	return f
}

func (f *flusher) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// enqueue takes a sealed file; called by the committer and by recovery.
func (f *flusher) enqueue(s wal.Sealed) {
	f.e.budget.sealed.Add(s.Bytes)
	f.mu.Lock()
	f.mu.sealed = append(f.mu.sealed, s)
	f.mu.Unlock()
	f.signal()
}

// dropLog takes a log whose deletion is durable.
func (f *flusher) dropLog(l *Log) {
	f.mu.Lock()
	f.mu.deleted = append(f.mu.deleted, l)
	f.mu.Unlock()
	f.signal()
}

// backlog returns the number of sealed files that wait, the one being flushed included.
func (f *flusher) backlog() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.mu.sealed)
}

// await returns a channel that receives nil when every file up to number has been flushed, or
// ErrClosed.
func (f *flusher) await(number uint64) <-chan error {
	done := make(chan error, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.closed {
		done <- ErrClosed
		return done
	}
	f.mu.waiting = append(f.mu.waiting, flushWaiter{upTo: number, done: done})
	f.answerLocked()
	return done
}

func (f *flusher) answerLocked() {
	f.mu.waiting = slices.DeleteFunc(f.mu.waiting, func(w flushWaiter) bool {
		done := len(f.mu.sealed) == 0 || f.mu.sealed[0].Number > w.upTo
		if done {
			w.done <- nil
		}
		return done
	})
}

// close answers those who wait for what will not be flushed any more, and frees the writer.
func (f *flusher) close() error {
	f.mu.Lock()
	for _, w := range f.mu.waiting {
		w.done <- ErrClosed
	}
	f.mu.waiting, f.mu.closed = nil, true
	f.mu.Unlock()
	f.merger.close()
	return f.writer.Close()
}

// Step does one bounded piece of work. It reports whether there may be more, and how long the
// caller should pause first so that commits are not disturbed.
func (f *flusher) Step() (more bool, pause time.Duration) {
	f.sweeping = false
	f.sweeper.list() // before a flush makes more directories
	f.removeRetired()
	if f.job != nil {
		if f.turn++; f.turn < mergerTurn || f.merger.idle() || f.merger.edit != nil {
			return f.stepJob()
		}
		f.turn = 0
		f.merger.step()
		return true, 0
	}
	if gone := f.takeDeleted(); len(gone) > 0 {
		if err := f.remove(gone); err != nil {
			f.mu.Lock()
			f.mu.deleted = append(gone, f.mu.deleted...)
			f.mu.Unlock()
			return true, f.failed("remove deleted logs", err)
		}
		return true, 0
	}
	if logs := f.takeUntidy(); len(logs) > 0 {
		if err := f.tidyUp(logs); err != nil {
			for _, l := range logs {
				f.tidy(l)
			}
			return true, f.failed("drop segments", err)
		}
		return true, 0
	}
	f.mu.Lock()
	n := len(f.mu.sealed)
	var next wal.Sealed
	if n > 0 {
		next = f.mu.sealed[0]
	}
	f.mu.Unlock()
	if n == 0 {
		if more, pause := f.merger.step(); more {
			return true, pause
		}
		return f.rest()
	}
	if f.merger.edit != nil {
		return f.merger.step() // a flush that begins would make its edit wait
	}
	f.begin(next)
	return true, 0
}

// mergerTurn is how many steps of flushes a compaction lets pass for one of its own.
const mergerTurn = 4

// rest does what is left for when no file waits.
func (f *flusher) rest() (more bool, pause time.Duration) {
	if f.sweeping = f.sweeper.step(); f.sweeping {
		return true, sweepPause
	}
	if err := f.e.manifest.Mark(); err != nil {
		f.e.opts.Logger.Warn("manifest's last edit stays unproven", "err", err)
	}
	return false, 0
}

// takeDeleted takes the deleted logs whose files may be removed. A capture that still runs ends at
// its next write, and signals then.
func (f *flusher) takeDeleted() (gone []*Log) {
	f.mu.Lock()
	all := f.mu.deleted
	f.mu.deleted = nil
	f.mu.Unlock()
	var busy []*Log
	for _, l := range all {
		if l.isCapturing() {
			busy = append(busy, l)
		} else {
			gone = append(gone, l)
		}
	}
	f.mu.Lock()
	f.mu.deleted = append(busy, f.mu.deleted...)
	f.mu.Unlock()
	return gone
}

// failed reports a failure that is tried again after the returned pause.
func (f *flusher) failed(what string, err error) time.Duration {
	f.retry = min(max(2*f.retry, 10*time.Millisecond), time.Second)
	f.mu.Lock()
	again := f.mu.err != nil && f.mu.err.Error() == err.Error()
	f.mu.err = err
	f.mu.Unlock()
	if !again {
		f.e.opts.Logger.Error("flush failed, will be tried again", "step", what, "err", err)
	}
	return f.retry
}

// failing is why the flush makes no progress, nil when it does.
func (f *flusher) failing() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.err
}

func (f *flusher) recovered() {
	f.retry = 0
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.err = nil
}

// begin plans the flush of a sealed file.
func (f *flusher) begin(s wal.Sealed) {
	j := &flushJob{file: s, began: f.e.now()}
	j.tasks = make([]flushTask, 0, len(s.Logs)) // never grown: the writer's tasks point to them
	spans := make([]segwriter.Span, 0, spansOf(s.Logs))
	var tasks []segwriter.Task
	var idle []flushTask
	for i := range s.Logs {
		t, needed := f.plan(&s.Logs[i], s.Last)
		if !needed {
			continue
		}
		if len(t.sealed.Spans) == 0 || t.skip {
			idle = append(idle, t)
			continue
		}
		j.tasks = append(j.tasks, t)
		var task segwriter.Task
		task, spans = j.tasks[len(j.tasks)-1].task(spans)
		tasks = append(tasks, task)
	}
	j.tasks = append(j.tasks, idle...)
	if len(tasks) > 0 {
		f.writer.Begin(tasks)
		j.writing = true
	}
	f.job = j
}

// spansOf counts the spans of all logs.
func spansOf(logs []wal.SealedLog) (n int) {
	for i := range logs {
		n += len(logs[i].Spans)
	}
	return n
}

// plan works out what the manifest will say of the log, the new segments aside. needed is false
// when it says so already: an earlier try of this file succeeded for this log.
func (f *flusher) plan(s *wal.SealedLog, last raftlog.Batch) (t flushTask, needed bool) {
	l := s.Log.Sink().(*Log)
	t = flushTask{log: l, sealed: s, asOf: last}
	base := f.e.manifestLog(l)
	l.mu.Lock()
	facts := l.durable
	l.mu.Unlock()
	if len(s.Spans) > 0 {
		t.last = s.Last
	}
	if facts.deleted {
		t.skip = true
		return t, true
	}
	if base.AsOf >= last && (base.Quarantine != nil || l.quarantineNote() == nil) {
		return t, false
	}
	t.before = base.Segments
	base.HardState = manifest.MergeHardState(base.HardState, facts.hard)
	base.Applied = max(base.Applied, facts.applied)
	base.Quarantine = l.quarantineNote()
	if s.Reset {
		facts.rebase(&base, last)
		t.wrote(base.Segments) // a newer snapshot may need some of them no longer
	}
	cut(s, &base)
	t.base = base
	t.settle(&facts, last)
	return t, true
}

// stepJob goes on with the running flush.
func (f *flusher) stepJob() (more bool, pause time.Duration) {
	j := f.job
	if j.writing {
		limit, pause := f.pace()
		began := f.e.now()
		done, wrote, err := f.writer.Step(limit)
		if err != nil {
			f.job = nil
			return true, f.failed("write segments", errors.Join(err, f.renew()))
		}
		f.e.stats.flushedBytes.Add(wrote)
		if !done {
			return true, pause * f.e.since(began)
		}
		j.writing = false
		j.results = f.writer.Results()
	}
	if j.edit == nil {
		j.conclude()
	}
	// An edit that failed may be on the device all the same: what it names must stay as it is,
	// so the same edit is tried again.
	if err := f.e.manifest.Apply(*j.edit); err != nil {
		return true, f.failed("manifest", err)
	}
	f.publish(j)
	f.job = nil
	if j.err != nil { // the file stays for the logs that could not be written
		return true, f.failed("write segments", j.err)
	}
	f.recovered()
	f.done(j)
	return true, 0
}

// renew replaces a queue that failed, and the writer that used it.
func (f *flusher) renew() error {
	d := &f.e.device
	err := d.deep.Close()
	q, e := d.deepFS.NewQueue(deepDepth)
	if e != nil {
		return errors.Join(err, e) // the closed queue refuses what comes, and renew is called again
	}
	d.deep = q
	w, e := f.e.newSegmentWriter()
	if e != nil {
		return errors.Join(err, e)
	}
	w.Avoid(f.writer)
	err = errors.Join(err, f.writer.Close())
	f.writer = w
	return err
}

// pace returns how many writes to have in flight, and how many times their duration to pause
// afterwards: gentle while commits run, unless sealed files pile up: background writes that are
// not paced keep the commits' writes and syncs waiting in the device's queue.
func (f *flusher) pace() (limit int, pause time.Duration) {
	n := f.e.commits()
	idle := n == f.batches
	f.batches = n
	if idle {
		return 0, 0
	}
	if f.backlog() > 4 {
		return 8, 1
	}
	return 2, 3
}

// conclude makes the edit by which the flush counts. A log whose segments could not be written
// is left out, and then the file stays in service.
func (j *flushJob) conclude() {
	var errs []error
	edit := &manifest.Edit{}
	for i := range j.tasks {
		t := &j.tasks[i]
		if i < len(j.results) {
			r := &j.results[i]
			if r.Err != nil {
				errs = append(errs, fmt.Errorf("log %s: %w", t.log.uid, r.Err))
				t.skip = true
				continue
			}
			t.skip = t.skip || r.Gone
			t.base.Segments, t.base.NextSegment = r.Segments, r.NextSegment
			t.wrote(r.Segments)
			t.settleAgain(j.file.Last)
		}
		if t.skip = t.skip || t.log.isDeleted(); t.skip {
			edit.Delete = append(edit.Delete, t.log.id) // the file that leaves may hold the only record of it
			continue
		}
		t.conclude(j.file.Last)
		edit.Put = append(edit.Put, t.put)
	}
	if j.err = errors.Join(errs...); j.err == nil {
		edit.DropWAL, edit.Flushed = []uint64{j.file.Number}, j.file.Last
	}
	j.edit = edit
}

// publish follows the manifest: views, memory, files.
func (f *flusher) publish(j *flushJob) {
	for i := range j.tasks {
		if t := &j.tasks[i]; !t.skip {
			gone := t.publish()
			f.removeSegments(t.log.id, t.before, t.put.Segments)
			f.removeSegments(t.log.id, gone, slices.Concat(t.before, t.put.Segments))
		}
	}
}

// manifestLog is what the manifest knows of a log, the last sound value when its record was damaged.
func (e *Engine) manifestLog(l *Log) manifest.Log {
	if m, ok := e.manifest.Log(l.id); ok {
		return m
	}
	if l.quarantineNote() != nil {
		for _, d := range e.manifest.Damaged() {
			if d.ID == l.id && d.Known {
				return d.Last
			}
		}
	}
	return manifest.Log{ID: l.id, UID: l.uid, NextSegment: 1}
}

// done takes the file out of service.
func (f *flusher) done(j *flushJob) {
	f.mu.Lock()
	f.mu.sealed = slices.Delete(f.mu.sealed, 0, 1) // and lets go of what the file had of each log
	f.answerLocked()
	f.mu.Unlock()
	f.e.budget.sealed.Add(-j.file.Bytes)
	f.e.budget.relieve()
	f.pooling(j.file.Number)
	f.e.stats.flushes.Add(1)
	took := f.e.since(j.began)
	f.e.opts.Logger.Debug("flushed WAL file", "file", j.file.Number, "logs", len(j.file.Logs), "took", took)
	f.e.event(Event{Kind: EventFlushed, File: j.file.Number, Took: took})
}

// remove takes deleted logs out of the manifest, and then their files off the disk.
func (f *flusher) remove(gone []*Log) error {
	edit := manifest.Edit{}
	for _, l := range gone {
		edit.Delete = append(edit.Delete, l.id)
	}
	if err := f.e.manifest.Apply(edit); err != nil {
		return err
	}
	for _, l := range gone {
		l.forget()
		f.merger.forget(l)
		f.removeDir(l.id)
	}
	if f.e.logs.count() == 0 {
		if err := f.e.executor.Rest(); err != nil {
			f.e.opts.Logger.Warn("queues of plans do not close", "err", err)
		}
	}
	f.recovered()
	return nil
}

// removeSegments removes the files of before that after no longer lists.
func (f *flusher) removeSegments(id raftlog.LogID, before, after []raftlog.Segment) {
	for _, s := range before {
		kept := slices.ContainsFunc(after, func(k raftlog.Segment) bool { return k.Number == s.Number })
		if !kept {
			f.retire(id, s.Number, nil)
		}
	}
}
