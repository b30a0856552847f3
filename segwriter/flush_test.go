package segwriter_test

import (
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/segwriter"
)

func TestAppendAndRollByCount(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	for first := raftlog.Index(1); first < 300; first += 25 {
		mustFlush(t, fs, w, l, entries(l.id, first, first+24, 1, 100))
	}
	if n := len(l.segs); n != 5 {
		t.Fatalf("%d segments of at most 64 entries for 300", n)
	}
	for _, s := range l.segs[:4] {
		if s.Entries != 64 {
			t.Errorf("a segment that is not the last holds %d entries", s.Entries)
		}
	}
}

func TestRollByBytes(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	mustFlush(t, fs, w, l, entries(l.id, 1, 60, 1, 3000))
	mustFlush(t, fs, w, l, entries(l.id, 61, 90, 1, 3000))
	if n := len(l.segs); n < 4 || n > 7 {
		t.Fatalf("%d segments of 64 KiB for 270 KB", n)
	}
}

func TestHugeEntries(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	mustFlush(t, fs, w, l, entries(l.id, 1, 4, 1, 900<<10))
	mustFlush(t, fs, w, l, entries(l.id, 5, 9, 1, 40<<10))
	if n := len(l.segs); n < 5 {
		t.Fatalf("%d segments: none takes anything behind its bound", n)
	}
}

func TestTooLong(t *testing.T) {
	fs := newFS(t)
	w, l, other := writer(t, fs, nil), newLog(5), newLog(6)
	s := source{1: {Index: 1, Data: make([]byte, segment.MaxEntryBytes+1)}}
	good := entries(other.id, 1, 9, 1, 50)
	res := flush(t, w, l.task(segwriter.Span{Source: s, First: 1, Last: 1}), other.task(good))
	if res[0].Err == nil || res[1].Err != nil {
		t.Fatalf("results %+v", res)
	}
	other.took(res[1], good)
	other.check(t, fs)
}

func TestOverwrite(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	mustFlush(t, fs, w, l, entries(l.id, 1, 30, 1, 100))
	mustFlush(t, fs, w, l, entries(l.id, 20, 25, 2, 100)) // within the last segment
	if len(l.segs) != 1 || l.segs[0].Range.Last != 25 || l.segs[0].Entries != 36 {
		t.Fatalf("list %v", l.segs)
	}
	mustFlush(t, fs, w, l, entries(l.id, 26, 100, 2, 100))
	mustFlush(t, fs, w, l, entries(l.id, 10, 12, 3, 100)) // below the last segment's first
	mustFlush(t, fs, w, l, entries(l.id, 1, 3, 4, 100))   // everything
	if len(l.segs) != 1 {
		t.Fatalf("list %v", l.segs)
	}
}

// The list was cut by a truncation: what the file holds above must not come back.
func TestAppendAfterTruncation(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	mustFlush(t, fs, w, l, entries(l.id, 1, 30, 1, 100))
	cut := func(last raftlog.Index) {
		l.segs[len(l.segs)-1].Range.Last = last
		for i := range l.want {
			if i > last {
				delete(l.want, i)
			}
		}
	}
	cut(10)
	mustFlush(t, fs, w, l, entries(l.id, 11, 12, 2, 100))
	cut(11)
	// A gap: the entries between are released, and the old ones must stay away.
	mustFlush(t, fs, w, l, entries(l.id, 20, 22, 3, 100))
}

func TestSeveralSpans(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	mustFlush(t, fs, w, l, entries(l.id, 1, 9, 1, 100), entries(l.id, 10, 40, 2, 10), entries(l.id, 50, 52, 2, 10))
	mustFlush(t, fs, w, l, entries(l.id, 53, 53, 2, 100), entries(l.id, 60, 90, 2, 10))
}

func TestFloor(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	s := entries(l.id, 1, 200, 1, 100)
	for i := raftlog.Index(1); i < 50; i++ {
		delete(s.Source.(source), i) // released from memory, too
	}
	floor := raftlog.Index(60)
	task := l.task(s)
	factsOf(&task).floor = func() raftlog.Index { return floor }
	r := flush(t, w, task)[0]
	if r.Err != nil || r.Segments[0].Range.First != 60 || r.Entries != 141 {
		t.Fatalf("result %+v", r)
	}

	delete(s.Source.(source), 150)
	r = flush(t, w, task)[0]
	if r.Err == nil || len(r.Segments) != 0 {
		t.Fatalf("a missing entry went unnoticed: %+v", r)
	}

	// The floor moves when the segment rolls: what is missing is below it by then.
	calls := 0
	factsOf(&task).floor = func() raftlog.Index {
		if calls++; calls > 1 {
			return 160
		}
		return 60
	}
	r = flush(t, w, task)[0]
	if r.Err != nil || len(r.Segments) != 2 || r.Segments[1].Range != (raftlog.Range{First: 160, Last: 200}) {
		t.Fatalf("result %+v", r)
	}

	factsOf(&task).floor = func() raftlog.Index { return 1000 }
	r = flush(t, w, task)[0]
	if r.Err != nil || len(r.Segments) != 0 || r.Entries != 0 {
		t.Fatalf("result %+v", r)
	}
}

// All of an overwrite is released, what it overwrote must not count any more.
func TestReleasedOverwrite(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	mustFlush(t, fs, w, l, entries(l.id, 1, 30, 1, 100))
	task := l.task(entries(l.id, 10, 12, 2, 100))
	factsOf(&task).floor = func() raftlog.Index { return 13 }
	r := flush(t, w, task)[0]
	if r.Err != nil || r.Segments[0].Range.Last != 9 {
		t.Fatalf("result %+v", r)
	}
	if l.segs[0].Range.Last != 30 {
		t.Fatal("the task's own list was changed")
	}
}

func TestGone(t *testing.T) {
	fs := newFS(t)
	w, l, other := writer(t, fs, nil), newLog(5), newLog(6)
	calls, dies := 0, 1
	task := l.task(entries(l.id, 1, 300, 1, 1000))
	factsOf(&task).gone = func() bool { calls++; return calls >= dies }
	for dies = 1; dies < 40; dies += 6 {
		calls = 0
		s := entries(other.id, 1, 10, raftlog.Term(dies), 100)
		res := flush(t, w, task, other.task(s))
		if !res[0].Gone || res[0].Err != nil || len(res[0].Segments) != 0 {
			t.Fatalf("result %+v", res[0])
		}
		if res[1].Err != nil {
			t.Fatal(res[1].Err)
		}
		other.took(res[1], s)
		other.check(t, fs)
	}
}

// A deletion takes the directory away while the log is flushed.
func TestGoneWithDirectory(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	mustFlush(t, fs, w, l, entries(l.id, 1, 10, 1, 100))
	gone := false
	task := l.task(entries(l.id, 11, 20, 1, 100))
	factsOf(&task).floor = func() raftlog.Index { // between the first look at Gone and the open
		if !gone {
			if err := segwriter.Remove(fs, []string{segwriter.Path(dir, l.id, 1), segwriter.LogDir(dir, l.id)}); err != nil {
				t.Fatal(err)
			}
		}
		return 0
	}
	asked := 0
	factsOf(&task).gone = func() bool { asked++; return asked > 1 }
	if r := flush(t, w, task)[0]; !r.Gone || r.Err != nil {
		t.Fatalf("result %+v", r)
	}
}

func TestLeftoverOfSameNumber(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	before := l.clone()
	mustFlush(t, fs, w, l, entries(l.id, 1, 50, 1, 100))
	mustFlush(t, fs, w, before, entries(l.id, 1, 20, 2, 50)) // as if nothing had been recorded
}

func TestManyLogs(t *testing.T) {
	fs := newFS(t)
	w := writer(t, fs, nil)
	logs := make([]*log, 300)
	for i := range logs {
		logs[i] = newLog(raftlog.LogID(i + 1))
	}
	for round := range raftlog.Index(3) {
		tasks := make([]segwriter.Task, len(logs))
		spans := make([]segwriter.Span, len(logs))
		for i, l := range logs {
			spans[i] = entries(l.id, round*20+1, round*20+20, 1, 10*i)
			tasks[i] = l.task(spans[i])
		}
		for i, r := range flush(t, w, tasks...) {
			if r.Err != nil || r.ID != logs[i].id {
				t.Fatalf("result %+v", r)
			}
			logs[i].took(r, spans[i])
		}
	}
	image := fs.Crash(crashLost)
	for _, l := range logs {
		l.check(t, image)
	}
}

func TestOrphans(t *testing.T) {
	fs := newFS(t)
	w, a, b := writer(t, fs, nil), newLog(5), newLog(6)
	mustFlush(t, fs, w, a, entries(a.id, 1, 150, 1, 100))
	mustFlush(t, fs, w, b, entries(b.id, 1, 10, 1, 100))
	f, err := fs.Create(segwriter.LogDir(dir, a.id)+"/snapshot-x", vfs.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	alive := func(id raftlog.LogID) bool { return id == a.id }
	live := func(id raftlog.LogID, n uint64) bool { return n != 2 }
	orphans, err := segwriter.Orphans(fs, dir, alive, live)
	if err != nil || len(orphans) != 3 || orphans[0].Number != 2 || orphans[1].ID != b.id || !orphans[2].Dir {
		t.Fatalf("orphans %+v, %v", orphans, err)
	}
	var paths []string
	for _, o := range orphans {
		paths = append(paths, o.Path)
	}
	for range 2 {
		if err := segwriter.Remove(fs, paths); err != nil {
			t.Fatal(err)
		}
	}
	if orphans, err = segwriter.Orphans(fs, dir, alive, live); err != nil || len(orphans) != 0 {
		t.Fatalf("orphans %+v, %v", orphans, err)
	}
	if orphans, err = segwriter.Orphans(fs, "/nowhere", alive, live); err != nil || orphans != nil {
		t.Fatalf("orphans %+v, %v", orphans, err)
	}
}

func TestOptions(t *testing.T) {
	if _, err := segwriter.New(segwriter.Options{Depth: -1, ChunkBytes: 1}); err == nil {
		t.Fatal("taken")
	}
}
