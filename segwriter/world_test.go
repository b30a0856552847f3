package segwriter_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/segwriter"
)

const dir = "/logs"

// source is a memtable.
type source map[raftlog.Index]raftlog.Entry

func (s source) Get(i raftlog.Index) (raftlog.Entry, uint32, bool) {
	e, ok := s[i]
	return e, frame.Checksum(e.Data), ok
}

func payload(id raftlog.LogID, i raftlog.Index, term raftlog.Term, n int) []byte {
	b := make([]byte, max(n, 24))
	binary.LittleEndian.PutUint64(b, uint64(id))
	binary.LittleEndian.PutUint64(b[8:], uint64(i))
	binary.LittleEndian.PutUint64(b[16:], uint64(term))
	for at := 24; at < len(b); at++ {
		b[at] = byte(at * int(i))
	}
	return b
}

// entries fills a span [first, last] of the log.
func entries(id raftlog.LogID, first, last raftlog.Index, term raftlog.Term, n int) segwriter.Span {
	s := source{}
	for i := first; i <= last; i++ {
		s[i] = raftlog.Entry{Index: i, Term: term, Type: uint8(term), Data: payload(id, i, term, n)}
	}
	return segwriter.Span{Source: s, First: first, Last: last}
}

// log is what a test knows of one log: its list and what must be in it.
type log struct {
	id   raftlog.LogID
	segs []raftlog.Segment
	next uint64
	want source
}

func newLog(id raftlog.LogID) *log { return &log{id: id, next: 1, want: source{}} }

func (l *log) task(spans ...segwriter.Span) segwriter.Task {
	return segwriter.Task{ID: l.id, UID: "u", Segments: l.segs, NextSegment: l.next, Spans: spans}
}

// clone copies the log, so that a run from here can be repeated.
func (l *log) clone() *log {
	c := &log{id: l.id, segs: l.segs, next: l.next, want: source{}}
	for i, e := range l.want {
		c.want[i] = e
	}
	return c
}

// took tells the log that a flush of the spans succeeded.
func (l *log) took(r segwriter.Result, spans ...segwriter.Span) {
	l.segs, l.next = r.Segments, r.NextSegment
	for _, s := range spans {
		for i := range l.want {
			if i >= s.First {
				delete(l.want, i)
			}
		}
		for i, e := range s.Source.(source) {
			if s.First <= i && i <= s.Last {
				l.want[i] = e
			}
		}
	}
}

// check reads everything that the list promises.
func (l *log) check(t testing.TB, fs vfs.FS) {
	t.Helper()
	got := source{}
	prev := raftlog.Index(0)
	for _, s := range l.segs {
		r, err := segment.Open(fs, segwriter.Path(dir, l.id, s.Number), l.id, s, segment.ReadOptions{})
		if err != nil {
			t.Fatalf("log %d: %v", l.id, err)
		}
		defer r.Close()
		if s.Range.First <= prev || s.Range.Empty() {
			t.Fatalf("log %d: ranges overlap: %v", l.id, l.segs)
		}
		prev = s.Range.Last
		if r.HeaderErr() != nil {
			t.Fatalf("log %d: %v", l.id, r.HeaderErr())
		}
		for e, err := range r.Scan(s.Range) {
			if err != nil {
				t.Fatalf("log %d: %v, list %v", l.id, err, l.segs)
			}
			e.Data = bytes.Clone(e.Data)
			got[e.Index] = e
		}
	}
	for i, w := range l.want {
		if g, ok := got[i]; !ok || g.Term != w.Term || g.Type != w.Type || !bytes.Equal(g.Data, w.Data) {
			t.Fatalf("log %d index %d: got %v %t, want %v; list %v", l.id, i, g.ID(), ok, w.ID(), l.segs)
		}
	}
	if len(got) != len(l.want) {
		t.Fatalf("log %d: %d entries, want %d; list %v", l.id, len(got), len(l.want), l.segs)
	}
}

// newFS returns a file system with the directory of the logs.
func newFS(t testing.TB) *memfs.FS {
	t.Helper()
	fs := memfs.New(1)
	if err := fs.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := fs.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	return fs
}

// writer returns a Writer over fs. Small chunks make many operations.
func writer(t testing.TB, fs vfs.FS, change func(*segwriter.Options)) *segwriter.Writer {
	t.Helper()
	q, err := fs.NewQueue(8)
	if err != nil {
		t.Fatal(err)
	}
	o := segwriter.Options{FS: fs, Queue: q, Dir: dir, MaxEntries: 64, MaxBytes: 64 << 10,
		Direct: true, Depth: 8, ChunkBytes: 8 << 10}
	if change != nil {
		change(&o)
	}
	w, err := segwriter.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(q.Close(), w.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func flush(t testing.TB, w *segwriter.Writer, tasks ...segwriter.Task) []segwriter.Result {
	t.Helper()
	w.Begin(tasks)
	for {
		done, _, err := w.Step(3)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			return w.Results()
		}
	}
}

// mustFlush flushes spans into l and checks the result, also after a power cut.
func mustFlush(t testing.TB, fs *memfs.FS, w *segwriter.Writer, l *log, spans ...segwriter.Span) segwriter.Result {
	t.Helper()
	r := flush(t, w, l.task(spans...))[0]
	if r.Err != nil || r.Gone {
		t.Fatalf("result %+v", r)
	}
	l.took(r, spans...)
	l.check(t, fs)
	l.check(t, fs.Crash(memfs.CrashOptions{}))
	return r
}

// facts are those of a task, as functions; nil is none.
type facts struct {
	floor func() raftlog.Index
	live  func() raftlog.Seq
	gone  func() bool
}

// factsOf gives the task facts to change.
func factsOf(task *segwriter.Task) *facts {
	if task.Facts == nil {
		task.Facts = &facts{}
	}
	return task.Facts.(*facts)
}

func (f *facts) Floor() raftlog.Index {
	if f.floor == nil {
		return 0
	}
	return f.floor()
}

func (f *facts) Live() (live raftlog.Seq) {
	if f.live != nil {
		live = f.live()
	}
	return live
}

func (f *facts) Gone() bool { return f.gone != nil && f.gone() }
