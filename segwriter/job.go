package segwriter

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rawl-db/rawl/internal/raftlog"
)

// errMissing is wrapped by the Result of a log whose Source lacks an entry that it must have.
var errMissing = errors.New("entry missing in memory")

// errGone ends the attempt of a log that was deleted meanwhile.
var errGone = errors.New("log deleted")

// job is one Task on its way through a flush.
type job struct {
	task Task
	res  *Result
	list []raftlog.Segment // the new list as far as it was fed
	next uint64            // number of the next new file
	keep retained          // as last read
	from raftlog.Index     // nothing below is written; what the list holds there stays

	span int           // cursor: the next entry to feed is at or above at, in Spans[span]
	at   raftlog.Index // 0: the span's first

	file     *file   // being fed
	files    []*file // all of this attempt
	open     int     // of them not yet closed
	fed      bool    // nothing more to feed in this attempt
	retrying bool    // second attempt: into new files only
	err      error   // the attempt failed
	final    bool    // and another would too
	newDir   bool    // the log's directory may be new in its parent
	newFile  bool    // the log's directory has a new entry
}

// reset puts the cursor before the first entry.
func (j *job) reset() {
	j.list = slices.Clone(j.task.Segments)
	j.span, j.at = 0, 0
	j.file, j.files, j.open = nil, nil, 0
	j.fed, j.err = false, nil
	j.readReleased()
	if len(j.task.Spans) > 0 {
		j.from = j.lowest()
		j.cut(j.from)
	}
}

// readReleased reads what is released and what of it is live.
func (j *job) readReleased() {
	if f := j.task.Facts; f != nil {
		j.keep.floor = f.Floor()
		j.keep.live = f.Live()
	}
}

// lowest returns where the flush begins: at the first span, or behind the live indexes at the
// start of the spans that are only in the task's segments.
func (j *job) lowest() raftlog.Index {
	low := j.task.Spans[0].First
	for k := range j.task.Spans {
		s := &j.task.Spans[k]
		for i := j.keep.next(s.First); i <= s.Last; i = j.keep.next(i + 1) {
			if _, _, ok := s.Source.Get(i); ok || i >= j.keep.floor || !j.listed(i) {
				return low
			}
			low = i + 1
		}
	}
	return low
}

// listed reports whether a segment of the task may hold i.
func (j *job) listed(i raftlog.Index) bool {
	return slices.ContainsFunc(j.task.Segments, func(s raftlog.Segment) bool { return s.Range.Contains(i) })
}

func (j *job) gone() bool { return j.task.Facts != nil && j.task.Facts.Gone() }

// cut drops what the list holds at or above i: the flush brings something newer.
func (j *job) cut(i raftlog.Index) {
	for n := len(j.list); n > 0; n-- {
		s := &j.list[n-1]
		if s.Range.Last < i {
			return
		}
		if s.Range.First < i {
			s.Range.Last = i - 1
			return
		}
		j.list = j.list[:n-1]
	}
}

// peek returns the next entry to feed; ok is false when there is none. It moves the cursor
// over what need not be written. The error says that an entry is missing.
func (j *job) peek() (e raftlog.Entry, crc uint32, ok bool, err error) {
	for missing := raftlog.Index(0); j.span < len(j.task.Spans); {
		s := &j.task.Spans[j.span]
		j.at = j.keep.next(max(j.at, s.First, j.from))
		if j.at > s.Last {
			j.span, j.at = j.span+1, 0
			continue
		}
		if e, crc, ok = s.Source.Get(j.at); ok {
			return e, crc, true, nil
		}
		if missing == j.at {
			return e, 0, false, fmt.Errorf("%w: index %d of log %d", errMissing, j.at, j.task.ID)
		}
		missing = j.at // it may have been released since
		j.readReleased()
	}
	return e, 0, false, nil
}

// fail ends the attempt.
func (j *job) fail(err error) {
	if j.err == nil {
		j.err = err
	}
	j.fed = true
}
