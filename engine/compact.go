package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rawl-db/rawl/internal/manifest"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/sched"
	"github.com/rawl-db/rawl/readplan"
	"github.com/rawl-db/rawl/segwriter"
)

// compactor does major compactions, one at a time: adjacent segments of which less than half is
// needed become one (RA.md 4.8). It belongs to the flusher's goroutine. Nothing counts before the
// manifest's edit; the old files go with their last reader, and the new one is an orphan
// for the sweep when the engine ends before the edit.
type compactor struct {
	f *flusher

	log    *Log                     // being worked on, nil when none is
	rest   []raftlog.Segment        // still to be measured
	uses   []segwriter.SegmentUse   // of those that were
	groups [][]raftlog.Segment      // still to be merged
	run    *segwriter.Compaction    // of groups[0], nil before it began
	edit   *manifest.Edit           // publishes what run made
	before []raftlog.Segment        // the list that edit replaces
	made   segwriter.CompactResult  // of run
	began  int64                    // of run, by the engine's clock
	wrote  int64                    // by run
	pinned []uint64                 // segments of groups[0], while run reads them
	next   map[raftlog.LogID]uint64 // numbers that unpublished files took
	hear   map[*Log][]chan<- error  // who waits for the end of a log's compaction
}

func newCompactor(f *flusher) *compactor {
	return &compactor{f: f, next: make(map[raftlog.LogID]uint64), hear: make(map[*Log][]chan<- error)}
}

const (
	// measureStep is how many segments one step measures.
	measureStep = 8
	// maxCompactPause bounds the pause that the rate asks for between two steps: a flush may wait.
	maxCompactPause = 50 * time.Millisecond
)

// Compact merges the log's segments of which less than half is needed, at the rate of
// Options.CompactionBytesPerSecond, and waits for that or for the end of ctx; the work goes on when
// ctx ends. It happens by itself after Options.MinorsPerMajor snapshots. Errors: ErrCorrupt
// (an entry that should be copied is damaged: its segments stay as they are), ErrDeleted,
// ErrQuarantined, ErrFailed, ErrClosed, ctx's cause, and those of the device.
func (l *Log) Compact(ctx context.Context) error {
	if err := l.usable(); err != nil {
		return err
	}
	done := make(chan error, 1)
	if !l.e.flusher.compact(l, done) {
		return ErrClosed
	}
	err, end := sched.Wait(l.e.world, done, ctx.Done(), nil)
	if end == sched.Stopped {
		return l.canceled(ctx, "compaction")
	}
	return err
}

// compact asks for the major compaction of a log; done, nil when nobody waits, hears of its end.
// It returns false when the flusher has ended. Any goroutine.
func (f *flusher) compact(l *Log, done chan<- error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.closed {
		return false
	}
	f.mu.compact = append(f.mu.compact, compactRequest{log: l, done: done})
	f.signal()
	return true
}

type compactRequest struct {
	log  *Log
	done chan<- error
}

// idle reports whether there is nothing to compact.
func (c *compactor) idle() bool {
	if c.log != nil {
		return false
	}
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	return len(c.f.mu.compact) == 0
}

// step does a bounded piece of the running compaction, or begins the next.
func (c *compactor) step() (more bool, pause time.Duration) {
	switch {
	case c.log == nil:
		return c.begin(), 0
	case c.log.broken.Load() != nil:
		c.end(c.log.broken.Load().err)
	case c.edit != nil:
		return true, c.publish()
	case c.run != nil:
		return true, c.copy()
	case len(c.rest) > 0:
		c.measure()
	case len(c.groups) > 0:
		c.start()
	default:
		c.end(nil)
	}
	return true, 0
}

// begin takes the next log.
func (c *compactor) begin() bool {
	f := c.f
	f.mu.Lock()
	if len(f.mu.compact) == 0 {
		f.mu.Unlock()
		return false
	}
	l := f.mu.compact[0].log
	f.mu.compact = slices.DeleteFunc(f.mu.compact, func(r compactRequest) bool {
		if r.log == l && r.done != nil {
			c.hear[l] = append(c.hear[l], r.done)
		}
		return r.log == l
	})
	f.mu.Unlock()
	c.log = l
	if m, ok := f.e.manifest.Log(l.id); ok && m.Quarantine == nil {
		c.rest = m.Segments
	}
	return true
}

// keep is what of the log the manifest still promises.
func (c *compactor) keep() keep {
	t := flushTask{log: c.log}
	m, _ := c.f.e.manifest.Log(c.log.id)
	t.base = m
	t.settleAgain(m.AsOf)
	d := c.log.durableNow()
	return keepAbove(d.floor(t.base.Released.Index), d.seldom().live)
}

// measure finds out what is needed of the next segments, and chooses groups after the last.
func (c *compactor) measure() {
	k := c.keep()
	m, _ := c.f.e.manifest.Log(c.log.id)
	n := min(measureStep, len(c.rest))
	here := make([]raftlog.Segment, 0, measureStep)
	for _, s := range c.rest[:n] {
		if slices.Contains(m.Segments, s) { // else a minor compaction or a truncation came in between
			here = append(here, s)
		}
	}
	uses, err := c.measureAll(here, k)
	if err != nil {
		c.end(err)
		return
	}
	c.uses = append(c.uses, uses...)
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		o := &c.f.e.opts
		c.groups = segwriter.Choose(c.uses, segwriter.Limits{MaxEntries: o.SegmentEntries, MaxBytes: o.SegmentBytes})
	}
}

// measureAll measures segments. It opens them side by side, for an index comes in many short reads;
// one after the other where whoever drives the parts wants no goroutines.
func (c *compactor) measureAll(segments []raftlog.Segment, k keep) ([]segwriter.SegmentUse, error) {
	uses, errs := make([]segwriter.SegmentUse, len(segments)), make([]error, len(segments))
	var wg sync.WaitGroup // of goroutines that end with their segment
	for n, s := range segments {
		measure := func() { uses[n], errs[n] = c.f.measure(c.log.id, s, k) }
		if c.f.e.device.serial {
			measure()
		} else {
			wg.Go(measure)
		}
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return uses, nil
}

// measure finds out what is needed of a segment. Any goroutine.
func (f *flusher) measure(id raftlog.LogID, s raftlog.Segment, k keep) (segwriter.SegmentUse, error) {
	ref, err := f.e.cache.Acquire(id, s)
	if err != nil {
		return segwriter.SegmentUse{}, err
	}
	defer ref.Release()
	return segwriter.Measure(s, ref.Reader(), k.floor+1, k.live)
}

// start begins to copy the first group.
func (c *compactor) start() {
	l, k := c.log, c.keep()
	m, ok := c.f.e.manifest.Log(l.id)
	if !ok {
		c.end(nil)
		return
	}
	for _, s := range c.groups[0] {
		if !slices.Contains(m.Segments, s) {
			c.groups = c.groups[1:]
			return
		}
	}
	next := max(m.NextSegment, c.next[l.id])
	run, err := c.f.writer.Compact(segwriter.CompactTask{
		ID: l.id, UID: l.uid, Group: c.groups[0], NextSegment: next, Floor: k.floor + 1, Live: k.live,
		Open: func(s raftlog.Segment) (segwriter.SegmentRef, error) { return c.f.e.cache.Acquire(l.id, s) },
	})
	if err != nil {
		c.end(err)
		return
	}
	c.run, c.began, c.wrote = run, c.f.e.now(), 0
	c.next[l.id] = next + 1
	for _, s := range c.groups[0] { // files that leave the list meanwhile are still there to be read
		c.f.e.cache.Pin(l.id, s.Number)
		c.pinned = append(c.pinned, s.Number)
	}
}

// unpin lets go of the segments of the group that was being copied.
func (c *compactor) unpin() {
	for _, n := range c.pinned {
		c.f.e.cache.Unpin(c.log.id, n)
	}
	c.pinned = nil
}

// copy goes on with the running group, no faster than the options say.
func (c *compactor) copy() (pause time.Duration) {
	if ahead := c.ahead(); ahead > 0 { // a step that comes between those of a flush waits, too
		return ahead
	}
	done, wrote, err := c.run.Step(0)
	c.wrote += wrote
	c.f.e.stats.compactedBytes.Add(wrote)
	var failed *segwriter.CompactError
	switch {
	case errors.As(err, &failed):
		c.run = nil
		c.end(err)
		return 0
	case err != nil:
		c.run = nil
		c.end(err)
		return c.f.failed("compact", errors.Join(err, c.f.renew()))
	case done:
		c.made = c.run.Result()
		c.edit = &manifest.Edit{}
		return 0
	}
	return c.ahead()
}

// ahead is how long to wait until the rate allows what was written, at most maxCompactPause.
func (c *compactor) ahead() time.Duration {
	rate := c.f.e.opts.CompactionBytesPerSecond
	if rate <= 0 {
		return 0
	}
	due := time.Duration(float64(c.wrote) / float64(rate) * float64(time.Second))
	return min(max(due-c.f.e.since(c.began), 0), maxCompactPause)
}

// publish puts what was made into the manifest, while no flush is under way: its edit would
// bring the old list back. An edit that failed may be on the device all the same, so it is
// tried again as it is.
func (c *compactor) publish() (pause time.Duration) {
	l, f := c.log, c.f
	if f.job != nil {
		return 0
	}
	if len(c.edit.Put) == 0 {
		m, ok := f.e.manifest.Log(l.id)
		if !ok {
			c.end(nil)
			return 0
		}
		c.before = m.Segments
		l.mu.Lock()
		overtaken := l.overtakenLocked(m.AsOf)
		l.mu.Unlock()
		spliced, ok := segwriter.Splice(m.Segments, c.groups[0], c.made.Segment)
		if !ok || overtaken { // the log went on in the meantime
			c.run.Abort()
			c.run, c.edit = nil, nil
			c.unpin()
			c.groups = c.groups[1:]
			return 0
		}
		m.Segments, m.NextSegment = spliced, max(m.NextSegment, c.made.NextSegment)
		c.edit.Put = []manifest.Log{m}
	}
	if err := f.e.manifest.Apply(*c.edit); err != nil {
		return f.failed("publish compaction", err)
	}
	f.recovered()
	after := c.edit.Put[0].Segments
	l.mu.Lock()
	if !l.overtakenLocked(c.edit.Put[0].AsOf) {
		l.setView(l.view.Load().withSegments(after))
	}
	l.mu.Unlock()
	l.happened(happenedSegments)
	c.unpin()
	f.removeSegments(l.id, c.before, after)
	f.e.stats.compactions.Add(1)
	f.e.event(Event{Kind: EventCompacted, UID: l.uid, File: c.made.Segment.Number, Took: f.e.since(c.began)})
	c.run, c.edit, c.before = nil, nil, nil
	c.groups = c.groups[1:]
	return 0
}

// end is done with the log and tells who waits.
func (c *compactor) end(err error) {
	if c.run != nil && (c.edit == nil || len(c.edit.Put) == 0) {
		c.run.Abort()
	}
	if err != nil && c.log.broken.Load() == nil {
		err = fmt.Errorf("engine: compact log %s: %w", c.log.uid, err)
		c.f.e.opts.Logger.Warn("log was not compacted", "uid", string(c.log.uid), "err", err)
	}
	if errors.Is(err, readplan.ErrClosed) {
		err = ErrClosed
	}
	c.unpin()
	for _, done := range c.hear[c.log] {
		done <- err
	}
	delete(c.hear, c.log)
	c.log, c.rest, c.uses, c.groups = nil, nil, nil, nil
	c.run, c.edit, c.before = nil, nil, nil
}

// forget ends the compaction of a deleted log before its files go.
func (c *compactor) forget(l *Log) {
	if c.log == l {
		c.end(l.usable())
	}
	delete(c.next, l.id)
}

// close ends what runs; nobody waits any longer. It is called once, when the flusher ends.
func (c *compactor) close() {
	if c.log != nil {
		c.end(ErrClosed)
	}
	for _, r := range c.f.mu.compact {
		if r.done != nil {
			r.done <- ErrClosed
		}
	}
	c.f.mu.compact = nil
}
