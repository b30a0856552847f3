package segwriter_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/segwriter"
)

// Flushes and compactions, also of the same log, share one queue under any schedule: each ends
// as if it were alone.
func TestFlushBesideCompaction(t *testing.T) {
	rounds := uint64(120)
	if testing.Short() {
		rounds = 20
	}
	for seed := range rounds {
		rng := rand.New(rand.NewPCG(seed, 4))
		fsys := newFS(t)
		w := writer(t, fsys, func(o *segwriter.Options) { o.Depth = 1 + rng.IntN(8) })
		a, floor, live := grown(t, fsys, w, rng)
		if len(a.segs) < 3 {
			continue
		}
		b := newLog(6)
		mustFlush(t, fsys, w, b, entries(b.id, 1, 50, 1, 300))
		// The flush of a may cut into the group, and b's is a neighbour's.
		last := a.segs[len(a.segs)-1].Range.Last
		spans := []segwriter.Span{
			entries(a.id, max(floor, last+1-raftlog.Index(rng.IntN(100))), last+40, 50, 300),
			entries(b.id, 51, 250, 1, 300),
		}
		if spans[0].First > last+1 {
			spans[0] = entries(a.id, floor, floor+40, 50, 300)
		}
		s := a.compacting(fsys, 0, len(a.segs)-1, floor, live)
		c, results, made := interleave(t, rng, w, s, []segwriter.Task{releasing(a.task(spans[0]), floor, live), b.task(spans[1])})
		if made != nil || results[0].Err != nil || results[1].Err != nil {
			t.Fatalf("seed %d: %v, %+v", seed, made, results)
		}
		image := fsys.Crash(crashLost)
		s.check(t, image, c.Result())
		a.took(results[0], spans[0])
		a.release(floor, live)
		a.next = max(a.next, c.Result().NextSegment)
		if list, ok := segwriter.Splice(a.segs, s.group, c.Result().Segment); ok {
			a.segs = list
		}
		b.took(results[1], spans[1])
		a.checkWanted(t, image)
		b.check(t, image)
		for _, g := range a.segs {
			if g.Number >= a.next {
				t.Fatalf("seed %d: number %d is not below %d", seed, g.Number, a.next)
			}
		}
	}
}

// interleave runs both in a random order until both are done.
func interleave(t *testing.T, rng *rand.Rand, w *segwriter.Writer, s *shrink, tasks []segwriter.Task) (*segwriter.Compaction, []segwriter.Result, error) {
	t.Helper()
	var c *segwriter.Compaction
	var failed error
	var compacted, flushing, flushed bool
	for !compacted || !flushed {
		switch {
		case rng.IntN(2) == 0 && !flushed:
			if !flushing {
				w.Begin(tasks)
				flushing = true
			}
			done, _, err := w.Step(rng.IntN(4))
			if err != nil {
				t.Fatal(err)
			}
			flushed = done
		case !compacted:
			if c == nil {
				c = s.begin(t, w)
			}
			done, _, err := c.Step(rng.IntN(4))
			compacted, failed = done, err
		}
	}
	return c, w.Results(), failed
}

var errQueue = errors.New("the queue is broken")

// breaking is a queue that fails after some calls of Reap.
type breaking struct {
	vfs.Queue
	left int
}

func (q *breaking) Reap(min int, done []*vfs.Op) (int, error) {
	if q.left--; q.left < 0 {
		return 0, errQueue
	}
	return q.Queue.Reap(min, done)
}

// A queue that fails stops both, whoever learns of it; the logs are as they were.
func TestQueueFailsUnderBoth(t *testing.T) {
	for left := range 25 {
		s := newStage(t, true)
		inner, err := s.fs.NewQueue(8)
		if err != nil {
			t.Fatal(err)
		}
		q := &breaking{inner, left}
		w, err := segwriter.New(segwriter.Options{FS: s.fs, Queue: q, Dir: dir, Depth: 8, ChunkBytes: 4 << 10})
		if err != nil {
			t.Fatal(err)
		}
		work := s.compacting(s.fs)
		c := work.begin(t, w)
		w.Begin([]segwriter.Task{s.l.task(entries(5, 201, 300, 3, 500))})
		err = nil
		for turn := 0; err == nil; turn++ {
			if turn%2 == 0 {
				_, _, err = w.Step(2)
			} else {
				_, _, err = c.Step(2)
			}
			if turn > 1000 {
				t.Fatal("the queue does not fail")
			}
		}
		_, _, flushErr := w.Step(0)
		if !errors.Is(err, errQueue) || !errors.Is(flushErr, errQueue) {
			t.Fatalf("%v, %v", err, flushErr)
		}
		if _, err := w.Compact(work.task()); err == nil {
			t.Fatal("a broken writer takes work")
		}
		c.Abort()
		if err := errors.Join(q.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
		if work.o.out != 0 {
			t.Fatalf("%d segments stay open", work.o.out)
		}
		s.finish(t, s.fs, writer(t, s.fs, nil))
	}
}
