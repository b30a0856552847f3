package segwriter_test

import (
	"math/rand/v2"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/segwriter"
)

// seqOf returns the set of all indexes of the ranges, given as pairs.
func seqOf(bounds ...raftlog.Index) raftlog.Seq {
	var s raftlog.Seq
	for i := 0; i < len(bounds); i += 2 {
		s.AddRange(raftlog.Range{First: bounds[i], Last: bounds[i+1]})
	}
	return s
}

// releasing makes a task write only what is not below floor, and what is live.
func releasing(task segwriter.Task, floor raftlog.Index, live raftlog.Seq) segwriter.Task {
	factsOf(&task).floor = func() raftlog.Index { return floor }
	factsOf(&task).live = func() raftlog.Seq { return live }
	return task
}

// release forgets what is below floor and not live.
func (l *log) release(floor raftlog.Index, live raftlog.Seq) {
	for i := range l.want {
		if i < floor && !live.Contains(i) {
			delete(l.want, i)
		}
	}
}

// checkWanted reads every wanted entry; the segments may hold released ones besides.
func (l *log) checkWanted(t testing.TB, fs vfs.FS) {
	t.Helper()
	var readers []*segment.Reader
	prev := raftlog.Index(0)
	for _, s := range l.segs {
		if s.Range.First <= prev || s.Range.Empty() {
			t.Fatalf("ranges overlap: %v", l.segs)
		}
		prev = s.Range.Last
		r, err := segment.Open(fs, segwriter.Path(dir, l.id, s.Number), l.id, s, segment.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		readers = append(readers, r)
	}
	for i, w := range l.want {
		found := false
		for _, r := range readers {
			if !r.Segment().Range.Contains(i) {
				continue
			}
			e, _, err := r.Get(i, nil)
			if err != nil || e.Term != w.Term || string(e.Data) != string(w.Data) {
				t.Fatalf("log %d index %d: got %v, %v, want %v; list %v", l.id, i, e.ID(), err, w.ID(), l.segs)
			}
			found = true
		}
		if !found {
			t.Fatalf("log %d: index %d is gone; list %v", l.id, i, l.segs)
		}
	}
}

func TestLiveEntriesAreWritten(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	span, live := entries(l.id, 1, 200, 1, 100), seqOf(3, 4, 10, 10, 50, 60, 99, 99, 150, 160)
	r := flush(t, w, releasing(l.task(span), 101, live))[0]
	if r.Err != nil || r.Entries != 2+1+11+1+100 {
		t.Fatalf("result %+v", r)
	}
	l.took(r, span)
	l.release(101, live)
	l.check(t, fs)
	l.check(t, fs.Crash(crashLost))

	// All is released, also what is live of the next span follows after a hole.
	span, live = entries(l.id, 201, 300, 1, 100), seqOf(3, 4, 205, 205, 207, 210)
	r = flush(t, w, releasing(l.task(span), 301, live))[0]
	if r.Err != nil || r.Entries != 5 {
		t.Fatalf("result %+v", r)
	}
	l.took(r, span)
	l.release(301, live)
	l.checkWanted(t, fs.Crash(crashLost))
}

func TestLiveIndexMissing(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	mustFlush(t, fs, w, l, entries(l.id, 1, 30, 1, 100))
	span := entries(l.id, 20, 60, 1, 100)
	lack := func(i raftlog.Index) { delete(span.Source.(source), i) }
	lack(20)
	lack(25)

	// 25 lies above 22, which is written, and so above the place where the list is cut.
	r := flush(t, w, releasing(l.task(span), 51, seqOf(22, 22, 25, 25)))[0]
	if r.Err == nil || len(r.Segments) != 1 || r.Segments[0] != l.segs[0] {
		t.Fatalf("result %+v", r)
	}
	lack(40)
	r = flush(t, w, releasing(l.task(span), 51, seqOf(40, 40)))[0]
	if r.Err == nil {
		t.Fatalf("a missing live entry went unnoticed: %+v", r)
	}
	// The segments have 20 and 25.
	live := seqOf(5, 6, 20, 20, 25, 25, 45, 46)
	r = flush(t, w, releasing(l.task(span), 51, live))[0]
	if r.Err != nil || r.Entries != 2+10 {
		t.Fatalf("result %+v", r)
	}
	before := l.want
	l.want = source{}
	l.took(r, span)
	for i := raftlog.Index(1); i <= 25; i++ {
		l.want[i] = before[i]
	}
	l.release(51, live)
	l.checkWanted(t, fs)
}

// A release that becomes durable while a log is flushed makes nothing missing.
func TestReleaseWhileFlushing(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	span := entries(l.id, 1, 300, 1, 100)
	task := l.task(span)
	floor, live, asked := raftlog.Index(0), raftlog.Seq{}, 0
	factsOf(&task).floor = func() raftlog.Index {
		before := floor
		if asked++; asked == 2 { // the release comes between the two looks
			floor, live = 200, seqOf(100, 110, 150, 150)
			for i := raftlog.Index(1); i < floor; i++ {
				if !live.Contains(i) {
					delete(span.Source.(source), i)
				}
			}
		}
		return before
	}
	factsOf(&task).live = func() raftlog.Seq { return live }
	r := flush(t, w, task)[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	l.took(r, span)
	l.release(floor, live)
	l.checkWanted(t, fs.Crash(crashLost))
}

// Holes that live indexes leave never let a lost block revive what was overwritten.
func TestLiveHolesReviveNothing(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	mustFlush(t, fs, w, l, entries(l.id, 1, 40, 1, 40))
	span, live := entries(l.id, 20, 45, 2, 40), seqOf(20, 21, 23, 23, 27, 30)
	r := flush(t, w, releasing(l.task(span), 40, live))[0]
	if r.Err != nil || len(r.Segments) != 1 {
		t.Fatalf("result %+v", r)
	}
	l.took(r, span)
	l.checkNothingRevived(t, fs)
}

// Flushes with rising floors, live sets and overwrites keep what is wanted, at every crash.
func TestLiveAtRandom(t *testing.T) {
	rounds := uint64(40)
	if testing.Short() {
		rounds = 10
	}
	for seed := range rounds {
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := newFS(t)
		w, l := writer(t, fs, nil), newLog(5)
		floor, live := raftlog.Index(1), raftlog.Seq{}
		last := raftlog.Index(0)
		for term := raftlog.Term(1); term < 12; term++ {
			first := last + 1 - raftlog.Index(rng.Uint64N(uint64(last+2-floor)))
			last = first + raftlog.Index(rng.IntN(90))
			span := entries(l.id, first, last, term, rng.IntN(300))
			if rng.IntN(2) == 0 { // the release comes before the flush
				floor, live = l.randomRelease(rng, floor, last, live)
			}
			for i := range span.Source.(source) {
				if i < floor && !live.Contains(i) {
					delete(span.Source.(source), i)
				}
			}
			r := flush(t, w, releasing(l.task(span), floor, live))[0]
			if r.Err != nil {
				t.Fatalf("seed %d: %v", seed, r.Err)
			}
			l.took(r, span)
			l.release(floor, live)
			l.segs = segwriter.Prune(l.segs, floor, live)
			l.checkWanted(t, fs.Crash(crashLost))
		}
	}
}

// randomRelease raises floor to at most last + 1 and draws what is live of all below.
func (l *log) randomRelease(rng *rand.Rand, floor, last raftlog.Index, live raftlog.Seq) (raftlog.Index, raftlog.Seq) {
	up := floor + raftlog.Index(rng.Uint64N(uint64(max(last+1, floor)-floor)+1))
	var kept raftlog.Seq
	for i := range live.All() {
		if rng.IntN(3) > 0 {
			kept.Add(i)
		}
	}
	for i := floor; i < up; i++ {
		if rng.IntN(8) == 0 {
			kept.Add(i)
		}
	}
	return up, kept
}
