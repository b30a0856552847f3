package segwriter_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/segwriter"
)

// opener opens segments and counts the references out.
type opener struct {
	fs   vfs.FS
	id   raftlog.LogID
	root string
	out  int
}

type ref struct {
	o *opener
	r *segment.Reader
}

func (r *ref) Reader() *segment.Reader { return r.r }

func (r *ref) Release() {
	r.o.out--
	r.r.Close()
}

func (o *opener) open(s raftlog.Segment) (segwriter.SegmentRef, error) {
	r, err := segment.Open(o.fs, segwriter.Path(o.root, o.id, s.Number), o.id, s, segment.ReadOptions{Direct: true})
	if err != nil {
		return nil, err
	}
	o.out++
	return &ref{o, r}, nil
}

// shrink is a compaction of part of a log in a test.
type shrink struct {
	l     *log
	group []raftlog.Segment
	floor raftlog.Index
	live  raftlog.Seq
	o     *opener
}

// compacting prepares the compaction of the segments [from, to) of the log.
func (l *log) compacting(fsys vfs.FS, from, to int, floor raftlog.Index, live raftlog.Seq) *shrink {
	return &shrink{l: l, group: slices.Clone(l.segs[from:to]), floor: floor, live: live, o: &opener{fs: fsys, id: l.id, root: dir}}
}

func (s *shrink) task() segwriter.CompactTask {
	return segwriter.CompactTask{ID: s.l.id, UID: "u", Group: s.group, NextSegment: s.l.next,
		Floor: s.floor, Live: s.live, Open: s.o.open}
}

func (s *shrink) begin(t testing.TB, w *segwriter.Writer) *segwriter.Compaction {
	t.Helper()
	c, err := w.Compact(s.task())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run carries the compaction out.
func (s *shrink) run(t testing.TB, w *segwriter.Writer, limit int) (*segwriter.Compaction, error) {
	t.Helper()
	c := s.begin(t, w)
	for {
		done, _, err := c.Step(limit)
		var known *segwriter.CompactError
		if err != nil && (!errors.As(err, &known) || !done || known.ID != s.l.id) {
			t.Fatalf("error %v, done %t", err, done)
		}
		if done {
			if s.o.out != 0 {
				t.Fatalf("%d segments stay open", s.o.out)
			}
			return c, err
		}
	}
}

// kept is what the new segment must hold.
func (s *shrink) kept() source {
	want := source{}
	for _, g := range s.group {
		for i, e := range s.l.want {
			if g.Range.Contains(i) && (i >= s.floor || s.live.Contains(i)) {
				want[i] = e
			}
		}
	}
	return want
}

// check reads the new segment.
func (s *shrink) check(t testing.TB, fsys vfs.FS, r segwriter.CompactResult) {
	t.Helper()
	want := s.kept()
	if len(want) == 0 {
		if r.Segment != (raftlog.Segment{}) {
			t.Fatalf("made %+v of nothing", r.Segment)
		}
		return
	}
	first, last := ^raftlog.Index(0), raftlog.Index(0)
	for i := range want {
		first, last = min(first, i), max(last, i)
	}
	if m := r.Segment; m.Range != (raftlog.Range{First: first, Last: last}) || int(m.Entries) != len(want) {
		t.Fatalf("made %+v of %d entries [%d,%d]", m, len(want), first, last)
	}
	rd, err := segment.Open(fsys, segwriter.Path(dir, s.l.id, r.Segment.Number), s.l.id, r.Segment, segment.ReadOptions{})
	if err != nil || rd.HeaderErr() != nil {
		t.Fatalf("%v, %v", err, rd.HeaderErr())
	}
	defer rd.Close()
	n := 0
	for e, err := range rd.Scan(r.Segment.Range) {
		if w := want[e.Index]; err != nil || e.Term != w.Term || e.Type != w.Type || !bytes.Equal(e.Data, w.Data) {
			t.Fatalf("read %v, %v, want %v", e.ID(), err, w.ID())
		}
		n++
	}
	if n != len(want) {
		t.Fatalf("%d entries, want %d", n, len(want))
	}
}

// publish puts the outcome into the list.
func (s *shrink) publish(t testing.TB, r segwriter.CompactResult) {
	t.Helper()
	list, ok := segwriter.Splice(s.l.segs, s.group, r.Segment)
	if !ok {
		t.Fatalf("%+v does not fit into %v", r.Segment, s.l.segs)
	}
	s.l.segs, s.l.next = list, r.NextSegment
}

func exists(t testing.TB, fsys vfs.FS, id raftlog.LogID, number uint64) bool {
	t.Helper()
	_, err := fsys.Stat(segwriter.Path(dir, id, number))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// grown returns a log of several segments with overwrites, of which some are released.
func grown(t testing.TB, fsys *memfs.FS, w *segwriter.Writer, rng *rand.Rand) (l *log, floor raftlog.Index, live raftlog.Seq) {
	l = newLog(5)
	last := raftlog.Index(0)
	floor = 1
	for term := raftlog.Term(1); term < 10; term++ {
		first := last + 1 - min(last+1-floor, raftlog.Index(rng.IntN(30)))
		last = first + raftlog.Index(rng.IntN(90))
		span := entries(l.id, first, last, term, rng.IntN(600))
		if rng.IntN(3) == 0 {
			span.Source.(source)[last] = raftlog.Entry{Index: last, Term: term, Data: payload(l.id, last, term, 30<<10)}
		}
		if rng.IntN(4) == 0 {
			span.Source.(source)[first] = raftlog.Entry{Index: first, Term: term, Type: 3}
		}
		if rng.IntN(2) == 0 {
			floor, live = l.randomRelease(rng, floor, last, live)
		}
		r := flush(t, w, releasing(l.task(span), floor, live))[0]
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		l.took(r, span)
		l.release(floor, live)
	}
	return l, floor, live
}

// Any group of any log is copied right, whatever the floor and the live set.
func TestCompactionCopiesWhatIsKept(t *testing.T) {
	rounds := uint64(150)
	if testing.Short() {
		rounds = 30
	}
	for seed := range rounds {
		rng := rand.New(rand.NewPCG(seed, 3))
		fsys := newFS(t)
		w := writer(t, fsys, func(o *segwriter.Options) { o.Depth = 1 + rng.IntN(8) })
		l, floor, live := grown(t, fsys, w, rng)
		for len(l.segs) > 1 {
			from := rng.IntN(len(l.segs) - 1)
			to := from + 1 + rng.IntN(len(l.segs)-1-from)
			floor, live = l.randomRelease(rng, floor, l.segs[len(l.segs)-1].Range.Last, live)
			s := l.compacting(fsys, from, to, floor, live)
			c, err := s.run(t, w, rng.IntN(4))
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			image := fsys.Crash(crashLost)
			s.check(t, image, c.Result())
			s.publish(t, c.Result())
			l.release(floor, live)
			l.checkWanted(t, image)
			if rng.IntN(3) == 0 {
				break
			}
		}
		last := max(l.segs[len(l.segs)-1].Range.Last, floor-1)
		r := flush(t, w, l.task(entries(l.id, last+1, last+20, 99, 50)))[0]
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// Everything is cut off behind a compacted segment, and it is appended to.
func TestCompactedSegmentIsAppendedTo(t *testing.T) {
	fsys := newFS(t)
	w, l := writer(t, fsys, nil), newLog(5)
	mustFlush(t, fsys, w, l, entries(l.id, 1, 300, 1, 100))
	live := seqOf(1, 8, 30, 31, 66, 66, 100, 120)
	s := l.compacting(fsys, 0, 3, 110, live)
	c, err := s.run(t, w, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.publish(t, c.Result())
	l.release(110, live)
	mustFlush(t, fsys, w, l, entries(l.id, 125, 130, 2, 100))
	if len(l.segs) != 2 && len(l.segs) != 1 {
		t.Fatalf("list %v", l.segs)
	}
	l.check(t, fsys.Crash(crashLost))
}

func TestCompactionOfNothing(t *testing.T) {
	fsys := newFS(t)
	w, l := writer(t, fsys, nil), newLog(5)
	mustFlush(t, fsys, w, l, entries(l.id, 1, 200, 1, 100))
	s := l.compacting(fsys, 0, 2, 150, seqOf(140, 145))
	made := 0
	fsys.OnOp(func(op memfs.Op) {
		if op.Kind == memfs.OpCreate {
			made++
		}
	})
	c, err := s.run(t, w, 0)
	if err != nil || made > 0 || c.Result().Segment != (raftlog.Segment{}) || c.Result().Read != 0 {
		t.Fatalf("%+v, %v, %d files", c.Result(), err, made)
	}
	s.publish(t, c.Result())
	if len(l.segs) != 2 || l.segs[0].Range.First != 129 {
		t.Fatalf("list %v", l.segs)
	}
	c.Abort()
}

// Entries longer than windows, chunks and all memory of a compaction.
func TestCompactionOfHugeEntries(t *testing.T) {
	fsys := newFS(t)
	w, l := writer(t, fsys, nil), newLog(5)
	mustFlush(t, fsys, w, l, entries(l.id, 1, 6, 1, 1500<<10))
	mustFlush(t, fsys, w, l, entries(l.id, 7, 8, 1, 6<<20), entries(l.id, 9, 80, 1, 10))
	for _, live := range []raftlog.Seq{seqOf(1, 80), seqOf(2, 2, 5, 7)} {
		s := l.compacting(fsys, 0, len(l.segs)-1, 90, live)
		c, err := s.run(t, w, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.check(t, fsys.Crash(crashLost), c.Result())
		c.Abort()
		if exists(t, fsys, l.id, c.Result().Segment.Number) {
			t.Fatal("the file is still there")
		}
	}
}

// Entries without payloads are copied without a read.
func TestCompactionOfEmptyEntries(t *testing.T) {
	fsys := newFS(t)
	w, l := writer(t, fsys, nil), newLog(5)
	span := entries(l.id, 1, 150, 1, 0)
	for i := range span.Source.(source) {
		span.Source.(source)[i] = raftlog.Entry{Index: i, Term: 1, Type: uint8(i)}
	}
	mustFlush(t, fsys, w, l, span)
	s := l.compacting(fsys, 0, 2, 150, seqOf(1, 10, 60, 70, 100, 100))
	c, err := s.run(t, w, 0)
	if err != nil || c.Result().Read != 0 {
		t.Fatalf("%+v, %v", c.Result(), err)
	}
	s.check(t, fsys.Crash(crashLost), c.Result())
}

func TestCompactionRefusals(t *testing.T) {
	fsys := newFS(t)
	w, l := writer(t, fsys, nil), newLog(5)
	mustFlush(t, fsys, w, l, entries(l.id, 1, 200, 1, 100))
	s := l.compacting(fsys, 0, 2, 150, seqOf(1, 10))
	for name, change := range map[string]func(*segwriter.CompactTask){
		"no group":   func(c *segwriter.CompactTask) { c.Group = nil },
		"no opener":  func(c *segwriter.CompactTask) { c.Open = nil },
		"order":      func(c *segwriter.CompactTask) { c.Group = []raftlog.Segment{l.segs[1], l.segs[0]} },
		"same twice": func(c *segwriter.CompactTask) { c.Group = []raftlog.Segment{l.segs[0], l.segs[0]} },
		"number":     func(c *segwriter.CompactTask) { c.NextSegment = 2 },
		"empty":      func(c *segwriter.CompactTask) { c.Group = []raftlog.Segment{{Number: 1}} },
	} {
		task := s.task()
		change(&task)
		if _, err := w.Compact(task); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	c := s.begin(t, w)
	if _, err := w.Compact(s.task()); !errors.Is(err, segwriter.ErrCompacting) {
		t.Errorf("second compaction: %v", err)
	}
	c.Abort()
	if done, _, err := c.Step(0); !done || err == nil {
		t.Errorf("after Abort: %t, %v", done, err)
	}

	// A reader that promises less than the segment would lose entries in silence.
	for _, less := range []raftlog.Segment{
		{Number: 1, Bytes: l.segs[0].Bytes, Entries: 64, Range: raftlog.Range{First: 1, Last: 63}},
		{Number: 1, Bytes: l.segs[0].Bytes, Entries: 64, Range: raftlog.Range{First: 2, Last: 64}},
		{Number: 1, Bytes: l.segs[0].Bytes - segment.BlockSize, Entries: 64, Range: l.segs[0].Range},
		l.segs[1],
	} {
		task := s.task()
		task.Open = func(raftlog.Segment) (segwriter.SegmentRef, error) { return s.o.open(less) }
		c, err := w.Compact(task)
		if err != nil {
			t.Fatal(err)
		}
		if done, _, err := c.Step(0); !done || err == nil || s.o.out != 0 {
			t.Errorf("%+v in the place of %+v: %t, %v", less, l.segs[0], done, err)
		}
	}
}

// A compaction is aborted after any number of steps: its file goes, and nothing stays open.
func TestAbort(t *testing.T) {
	for steps, running := 0, true; running; steps++ {
		fsys := newFS(t)
		w, l := writer(t, fsys, nil), newLog(5)
		mustFlush(t, fsys, w, l, entries(l.id, 1, 200, 1, 700))
		s := l.compacting(fsys, 0, 2, 150, seqOf(1, 20, 40, 100))
		c := s.begin(t, w)
		for range steps {
			done, _, err := c.Step(2)
			if err != nil {
				t.Fatal(err)
			}
			running = !done
		}
		c.Abort()
		c.Abort()
		if s.o.out != 0 || exists(t, fsys, l.id, c.Result().NextSegment-1) {
			t.Fatalf("after %d steps: %d open", steps, s.o.out)
		}
		mustFlush(t, fsys, w, l, entries(l.id, 201, 220, 1, 700))
	}
}

// The Writer is closed in the middle, its queue before it.
func TestCloseWhileCompacting(t *testing.T) {
	for steps := range 8 {
		fsys := newFS(t)
		l := newLog(5)
		mustFlush(t, fsys, writer(t, fsys, nil), l, entries(l.id, 1, 200, 1, 700))
		q, err := fsys.NewQueue(8)
		if err != nil {
			t.Fatal(err)
		}
		w, err := segwriter.New(segwriter.Options{FS: fsys, Queue: q, Dir: dir, Depth: 8, ChunkBytes: 8 << 10})
		if err != nil {
			t.Fatal(err)
		}
		s := l.compacting(fsys, 0, 2, 150, seqOf(1, 20, 40, 100))
		c := s.begin(t, w)
		for range steps {
			if _, _, err := c.Step(2); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(q.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
		if s.o.out != 0 {
			t.Fatalf("after %d steps: %d open", steps, s.o.out)
		}
		l.check(t, fsys.Crash(crashLost))
	}
}

// What a list promises beyond reason costs neither time nor memory.
func TestCompactionOfHostileCounts(t *testing.T) {
	fsys := newFS(t)
	w, l := writer(t, fsys, nil), newLog(5)
	mustFlush(t, fsys, w, l, entries(l.id, 1, 150, 1, 100))
	s := l.compacting(fsys, 0, 1, 1, raftlog.Seq{})
	s.group[0].Entries = 1<<32 - 1
	s.group[0].Range.Last = ^raftlog.Index(0)
	for _, keep := range []struct {
		floor raftlog.Index
		live  raftlog.Seq
	}{
		{1, raftlog.Seq{}},
		{^raftlog.Index(0), seqOf(1, ^raftlog.Index(0))},
		{^raftlog.Index(0), seqOf(30, 1<<62)},
	} {
		s.floor, s.live = keep.floor, keep.live
		c, err := s.run(t, w, 0)
		if err != nil {
			t.Fatal(err)
		}
		if m := c.Result().Segment; m.Range.Last != 64 {
			t.Fatalf("made %+v", m)
		}
		c.Abort()
	}
	s.group[0].Bytes = 1 << 43
	if _, err := s.run(t, w, 0); err == nil {
		t.Fatal("the file ends early and nobody says so")
	}
	s.group[0].Bytes = -1
	if _, err := s.run(t, w, 0); err == nil {
		t.Fatal("a negative length was taken")
	}
}
