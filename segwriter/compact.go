package segwriter

import (
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
)

// ErrCompacting is returned by Writer.Compact while another compaction is under way.
var ErrCompacting = errors.New("segwriter: another compaction is under way")

// SegmentRef is an open segment, kept open until Release, which is called once.
type SegmentRef interface {
	Reader() *segment.Reader
	Release()
}

// CompactTask says what a compaction does: copy what is kept of adjacent segments into one
// new segment.
type CompactTask struct {
	ID  raftlog.LogID
	UID raftlog.UID
	// Group is what Choose chose, as the manifest lists it, oldest first. It is read, never
	// changed, and so are the files.
	Group []raftlog.Segment
	// NextSegment numbers the new file; see Task. Later tasks of the log must have at least
	// CompactResult.NextSegment, whether or not the outcome comes to be used. A flush of
	// the log that is under way takes other numbers.
	NextSegment uint64
	// Floor is the first index that is not durably released, Live what is kept below it.
	Floor raftlog.Index
	Live  raftlog.Seq
	// Open opens a segment of the group for reading, through a file system whose files the
	// Writer's Queue takes. The reader may promise more than the segment does. Called within
	// Step, at most once per segment, for one after the other.
	Open func(raftlog.Segment) (SegmentRef, error)
}

func (t *CompactTask) validate() error {
	if len(t.Group) == 0 || t.Open == nil {
		return fmt.Errorf("segwriter: compaction of log %d without segments", t.ID)
	}
	prev := raftlog.Index(0)
	for _, s := range t.Group {
		if s.Range.Empty() || s.Range.First <= prev || s.Number >= t.NextSegment {
			return fmt.Errorf("segwriter: compaction of log %d: segment %d out of order", t.ID, s.Number)
		}
		prev = s.Range.Last
	}
	return nil
}

// CompactResult is the outcome of a CompactTask.
type CompactResult struct {
	ID raftlog.LogID
	// Segment takes the place of the group, see Splice. Its Range, from the first to the
	// last entry copied, is empty when nothing of the group is kept: then no file was made.
	Segment raftlog.Segment
	// NextSegment is the task's, above the number used.
	NextSegment uint64
	// Read and Wrote count the bytes moved so far, padding and gaps between entries included.
	Read, Wrote int64
}

// CompactError is why a compaction failed. Its group is as it was, and its file is removed or an
// orphan. It wraps a *segment.CorruptError when an entry is damaged, else the error of a file.
type CompactError struct {
	ID raftlog.LogID
	// Segment numbers the segment that could not be read; 0 when the new one could not be
	// written.
	Segment uint64
	// Range holds the indexes that could not be copied, empty when none in particular.
	Range raftlog.Range
	Err   error
}

func (e *CompactError) Error() string {
	if e.Segment == 0 {
		return fmt.Sprintf("segwriter: compaction of log %d: %v", e.ID, e.Err)
	}
	return fmt.Sprintf("segwriter: compaction of log %d, segment %d, indexes %v: %v", e.ID, e.Segment, e.Range, e.Err)
}

func (e *CompactError) Unwrap() error { return e.Err }

// Compact begins a compaction; nothing is read or written before Step. A flush may be under
// way, begin and end meanwhile: both use the queue and reap for each other. Errors: ErrCompacting, that of
// a failed queue, or that the task contradicts itself.
func (w *Writer) Compact(task CompactTask) (*Compaction, error) {
	if w.err != nil {
		return nil, w.err
	}
	if w.compaction != nil {
		return nil, ErrCompacting
	}
	if err := task.validate(); err != nil {
		return nil, err
	}
	w.compaction = newCompaction(w, task, w.unused(&task))
	return w.compaction, nil
}

// unused returns the number of the task's new file. The flush under way, or the last one, may have
// used numbers that the task does not know of.
func (w *Writer) unused(task *CompactTask) uint64 {
	n := task.NextSegment
	for i := range w.results {
		if r := &w.results[i]; r.ID == task.ID {
			n = max(n, r.NextSegment)
		}
	}
	for i := range w.jobs {
		if j := &w.jobs[i]; j.task.ID == task.ID {
			n = max(n, j.next)
			j.next = n + 1
		}
	}
	w.taken = fileKey{task.ID, n}
	return n
}

// reserve keeps a job away from the number that the last compaction took.
func (w *Writer) reserve(j *job) {
	if w.taken.id == j.task.ID {
		j.next = max(j.next, w.taken.number+1)
	}
}
