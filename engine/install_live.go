package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/segwriter"
)

// installedSegments is the lowest number of segment files that installs make. The flush numbers its own
// from below: neither needs to know of the other.
const installedSegments = 1 << 63

const (
	// installSegmentEntries and installSegmentBytes make a segment of live entries full: the
	// record of the install names them all.
	installSegmentEntries = 1 << 18
	installSegmentBytes   = 1 << 30
	// installRun numbers the segments of one install; spoolEntries and spoolBytes bound what is
	// copied at a time.
	installRun   = 1 << 20
	spoolEntries = 4096
	spoolBytes   = 1 << 20
	spoolDepth   = 8
)

func segmentName(number uint64) string { return segment.FileName(number) }

// liveSpool writes the live entries of an install to segments of their own, in the order of the
// snapshot's set: those that are sent, and between them those that the log has. Until the
// install's record names them the segments are nobody's.
type liveSpool struct {
	l        *Log
	queue    vfs.Queue
	writer   *segwriter.Writer
	segments []raftlog.Segment
	first    uint64 // number of the first segment
	next     uint64
	at       EntryID // the last entry that is there
}

// liveBatch is a piece of what the spool writes, a segwriter.Source.
type liveBatch struct {
	entries []Entry
	crcs    []uint32
	bytes   int
}

// Get implements segwriter.Source.
func (b *liveBatch) Get(i raftlog.Index) (Entry, uint32, bool) {
	n, ok := slices.BinarySearchFunc(b.entries, i, func(e Entry, i Index) int {
		switch {
		case e.Index < i:
			return -1
		case e.Index > i:
			return 1
		}
		return 0
	})
	if !ok {
		return Entry{}, 0, false
	}
	return b.entries[n], b.crcs[n], true
}

func (b *liveBatch) add(e Entry, crc uint32) {
	b.entries, b.crcs, b.bytes = append(b.entries, e), append(b.crcs, crc), b.bytes+len(e.Data)
}

func (b *liveBatch) full() bool { return len(b.entries) >= spoolEntries || b.bytes >= spoolBytes }

// spans are the runs of neighbours.
func (b *liveBatch) spans() (spans []segwriter.Span) {
	for _, e := range b.entries {
		if n := len(spans); n > 0 && spans[n-1].Last+1 == e.Index {
			spans[n-1].Last++
			continue
		}
		spans = append(spans, segwriter.Span{Source: b, First: e.Index, Last: e.Index})
	}
	return spans
}

// open makes the writer.
func (s *liveSpool) open() error {
	if s.writer != nil {
		return nil
	}
	names, err := s.l.e.device.fs.List(s.l.e.logDir(s.l.id))
	if err != nil {
		return err
	}
	s.first = installedSegments + s.l.e.installs.Add(1)*installRun
	for _, name := range names { // what a crash left is swept later
		if n, ok := segment.ParseFileName(name); ok {
			s.first = max(s.first, n+1)
		}
	}
	s.next = s.first
	d := &s.l.e.device
	if s.queue, err = d.deepFS.NewQueue(spoolDepth); err != nil {
		return err
	}
	s.writer, err = segwriter.New(segwriter.Options{
		FS: d.fs, Queue: s.queue, Dir: filepath.Join(s.l.e.dir, logsDir), Depth: spoolDepth, Direct: d.direct,
		MaxEntries: installSegmentEntries, MaxBytes: installSegmentBytes})
	return err
}

// put makes a batch durable.
func (s *liveSpool) put(b *liveBatch) error {
	if len(b.entries) == 0 {
		return nil
	}
	if err := s.open(); err != nil {
		return err
	}
	s.writer.Begin([]segwriter.Task{{ID: s.l.id, UID: s.l.uid, Segments: s.segments, NextSegment: s.next, Spans: b.spans()}})
	for {
		done, wrote, err := s.writer.Step(0)
		s.l.e.stats.flushedBytes.Add(wrote)
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	r := s.writer.Results()[0]
	s.next = r.NextSegment
	if r.Err != nil {
		return r.Err
	}
	s.segments, s.at = r.Segments, b.entries[len(b.entries)-1].ID()
	return nil
}

// close frees the writer; the segments stay.
func (s *liveSpool) close() error {
	if s.queue == nil {
		return nil
	}
	err := s.queue.Close()
	if s.writer != nil {
		err = errors.Join(err, s.writer.Close())
	}
	s.queue, s.writer = nil, nil
	return err
}

// discard removes the segments.
func (s *liveSpool) discard() error {
	err := s.close()
	var paths []string
	for n := s.first; n < s.next; n++ {
		paths = append(paths, filepath.Join(s.l.e.logDir(s.l.id), segmentName(n)))
	}
	s.segments, s.first, s.next, s.at = nil, 0, 0, EntryID{}
	return errors.Join(err, segwriter.Remove(s.l.e.device.fs, paths))
}

// trusted is the last index up to which the log's entries are the sender's: what is committed never
// changes. Of a log that holds the snapshot's entry all that precedes it is.
func (l *Log) trusted(id EntryID, holds bool) (v *view, upTo Index) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v = l.view.Load()
	switch {
	case l.broken.Load() != nil:
		return &emptyView, 0
	case holds:
		return v, id.Index
	}
	return v, min(id.Index, l.last.Index, max(v.released.Index, l.Committed(), l.applied))
}

// has reports whether the log itself has live entry i.
func (v *view) keeps(i, trusted Index) bool {
	if i <= v.released.Index {
		live, err := v.live.has(i)
		return live && err == nil
	}
	return i <= trusted
}

// Live returns the live entries of the snapshot that this log lacks: PutLive wants them. It may
// read the index of a segment. It grows when the log is truncated meanwhile. Errors: those of reading a segment.
func (in *Install) Live() (Seq, error) {
	if in.info.Live.Empty() || in.ended != nil {
		return Seq{}, in.ended
	}
	holds, err := in.l.holds(in.info.ID)
	if err != nil {
		return Seq{}, err
	}
	v, upTo := in.l.trusted(in.info.ID, holds)
	var lacks Seq
	for i := range in.info.Live.Floor(in.live.at.Index + 1).All() {
		if !v.keeps(i, upTo) {
			lacks.Add(i)
		}
	}
	return lacks, nil
}

// PayloadChecksum is the CRC-32C of an entry's payload, as Batch.CRCs and PutLive have it.
func PayloadChecksum(data []byte) uint32 { return frame.Checksum(data) }

// PutLive hands live entries over, in the order of their indexes and none of Live left out, over any
// number of calls. sums are the CRC-32C of their payloads as they were sent, see PayloadChecksum. They are durable
// when it returns; nothing is kept. Entries that the log has itself may be among them. Errors after which the Install goes on, with
// nothing taken: ErrOutOfRange (not a live entry), ErrChunkOrder (before one that was put), ErrLiveMissing (one was left out),
// ErrCorrupt (a sum does not match), ErrGap (terms fall, or exceed that of the snapshot), ErrTooLarge. Others end it:
// ErrClosed, ErrDeleted, ErrFailed, ErrInstallEnded, those of the device.
func (in *Install) PutLive(entries []Entry, sums []uint32) error {
	if err := in.standing(); err != nil {
		return err
	}
	if err := in.checkLive(entries, sums); err != nil {
		return err
	}
	if len(entries) == 0 {
		return nil
	}
	return in.spool(entries, sums, entries[len(entries)-1].Index)
}

func (in *Install) checkLive(entries []Entry, sums []uint32) error {
	if len(entries) != len(sums) {
		return fmt.Errorf("%w: %d sums of %d live entries", ErrOptions, len(sums), len(entries))
	}
	last := in.live.at
	for k := range entries {
		e := &entries[k]
		switch {
		case !in.info.Live.Contains(e.Index):
			return fmt.Errorf("%w: %d is no live entry of the snapshot at %v", ErrOutOfRange, e.Index, in.info.ID)
		case e.Index <= last.Index:
			return fmt.Errorf("%w: live entry %d behind %d", ErrChunkOrder, e.Index, last.Index)
		case e.Term < last.Term || e.Term > in.info.ID.Term || e.Index == in.info.ID.Index && e.Term != in.info.ID.Term:
			return fmt.Errorf("%w: live entry %v behind %v, in a snapshot at %v", ErrGap, e.ID(), last, in.info.ID)
		case len(e.Data) > in.l.e.opts.MaxEntryBytes:
			return fmt.Errorf("%w: live entry %v of %d bytes", ErrTooLarge, e.ID(), len(e.Data))
		case frame.Checksum(e.Data) != sums[k]:
			return fmt.Errorf("%w: live entry %v", ErrCorrupt, e.ID())
		}
		last = e.ID()
	}
	return nil
}

// spool writes the live entries up to last: those given, and those that the log has.
func (in *Install) spool(given []Entry, sums []uint32, last Index) error {
	holds, err := in.l.holds(in.info.ID)
	if err != nil {
		return err
	}
	v, upTo := in.l.trusted(in.info.ID, holds)
	want := in.info.Live.Floor(in.live.at.Index + 1).Limit(last)
	if k := in.leftOut(want, given, v, upTo); k != 0 {
		return fmt.Errorf("%w: %d and maybe more, of the snapshot at %v", ErrLiveMissing, k, in.info.ID)
	}
	var b liveBatch
	for i := range want.All() {
		if len(given) > 0 && given[0].Index == i {
			b.add(given[0], sums[0])
			given, sums = given[1:], sums[1:]
		} else {
			e, err := in.l.Read(i)
			if err != nil {
				return fmt.Errorf("engine: install: live entry of the log: %w", err)
			}
			b.add(e, frame.Checksum(e.Data))
		}
		if b.full() || i == last || i == want.Last() {
			if err := in.live.put(&b); err != nil {
				return in.fail(fmt.Errorf("engine: install: live entries: %w", err))
			}
			b = liveBatch{}
		}
	}
	return nil
}

// leftOut returns the first of want that is neither given nor in the log, 0 when there is none.
func (in *Install) leftOut(want Seq, given []Entry, v *view, upTo Index) Index {
	for i := range want.All() {
		if len(given) > 0 && given[0].Index == i {
			given = given[1:]
		} else if !v.keeps(i, upTo) {
			return i
		}
	}
	return 0
}
