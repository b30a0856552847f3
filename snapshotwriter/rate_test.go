package snapshotwriter_test

import (
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/snapshotwriter"
)

// clock is a time that passes by sleeping only, and what was written until when.
type clock struct {
	mu    sync.Mutex
	now   time.Duration
	wrote []moment
}

type moment struct {
	at    time.Duration
	bytes int
}

func (c *clock) Sleep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += d
}

func (c *clock) Now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(c.now)
}

func (c *clock) note(op memfs.Op) {
	if op.Kind == memfs.OpWrite {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.wrote = append(c.wrote, moment{c.now, int(op.Len)})
	}
}

// checkRate checks that no span of time has more than its share, a chunk, and 50 ms worth.
func (c *clock) checkRate(t *testing.T, rate float64) {
	t.Helper()
	const overhead = 200 // header of a chunk, trailer
	for i := range c.wrote {
		sum := 0
		for _, m := range c.wrote[i:] {
			sum += m.bytes
			span := (m.at - c.wrote[i].at + 50*time.Millisecond).Seconds()
			if float64(sum) > rate*span+chunk+overhead {
				t.Fatalf("%d bytes within %v", sum, m.at-c.wrote[i].at)
			}
		}
	}
}

func TestRate(t *testing.T) {
	for _, rate := range []int64{1 << 10, 100 << 10, 1 << 20, 1 << 30} {
		fs, c := newFS(t), &clock{}
		w := writer(t, fs, func(o *snapshotwriter.Options) { o.BytesPerSecond, o.Sleep, o.Now = rate, c.Sleep, c.Now })
		fs.OnOp(c.note)
		const n = 60
		res := write(t, w, raftlog.KindSnapshot, id(1, 1), state(1, n*chunk))
		fs.OnOp(nil)
		check(t, fs, res.Snapshot, state(1, n*chunk))
		c.checkRate(t, float64(rate))
		// It keeps to the rate, but does not dawdle either.
		should := time.Duration(float64(res.Snapshot.Bytes) / float64(rate) * float64(time.Second))
		if c.now > should || c.now < should-100*time.Millisecond-time.Duration(2*chunk*int64(time.Second)/rate) {
			t.Errorf("%d B/s: took %v, should %v", rate, c.now, should)
		}
	}
}

// Unused time is not saved up.
func TestRateAfterPause(t *testing.T) {
	fs, c := newFS(t), &clock{}
	const rate = 100 << 10
	w := writer(t, fs, func(o *snapshotwriter.Options) { o.BytesPerSecond, o.Sleep, o.Now = rate, c.Sleep, c.Now })
	fs.OnOp(c.note)
	defer fs.OnOp(nil)
	var res snapshotwriter.Result
	j := job(meta(raftlog.KindSnapshot, id(1, 1)), nil, &res)
	j.State = func(out io.Writer) error {
		for range 5 {
			c.Sleep(10 * time.Second)
			if _, err := out.Write(make([]byte, 10*chunk)); err != nil {
				return err
			}
		}
		return nil
	}
	if do(t, w, j); res.Err != nil {
		t.Fatal(res.Err)
	}
	c.checkRate(t, rate)
}

// All workers and receivers share one rate; reading back for promotion counts too.
func TestRateIsShared(t *testing.T) {
	fs, c := newFS(t), &clock{}
	const rate = 1 << 20
	w := writer(t, fs, func(o *snapshotwriter.Options) { o.BytesPerSecond, o.Sleep, o.Now = rate, c.Sleep, c.Now })
	var all sync.WaitGroup
	for i := range raftlog.Index(2) {
		all.Add(1)
		j := job(meta(raftlog.KindCheckpoint, id(1, i+1)), state(1, 30*chunk), new(snapshotwriter.Result))
		j.Done = func(snapshotwriter.Result) { all.Done() }
		if err := w.Enqueue(j); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	workers := run(w, stop)
	all.Wait()
	close(stop)
	workers.Wait()
	least := time.Duration(60 * chunk * float64(time.Second) / rate)
	if c.now < least-100*time.Millisecond {
		t.Errorf("took %v, should %v", c.now, least)
	}
	before := c.now
	if _, err := w.Promote(testID, id(1, 1)); err != nil {
		t.Fatal(err)
	}
	if took := c.now - before; took < least/2-100*time.Millisecond {
		t.Errorf("promotion took %v", took)
	}
}

// What an earlier life left is read back at the Writer's rate before it is published. A Close that interrupts that leaves it for later.
func TestFinishEnds(t *testing.T) {
	fs, c := newFS(t), &clock{}
	s := send(t, raftlog.KindSnapshot, id(1, 1), 1, 9*chunk)
	r := receiver(t, writer(t, fs, nil), s)
	if err := errors.Join(accept(r, s, len(s.chunks)), r.Close()); err != nil {
		t.Fatal(err)
	}
	var w *snapshotwriter.Writer
	w = writer(t, fs, func(o *snapshotwriter.Options) {
		o.BytesPerSecond, o.Now = chunk, c.Now
		o.Sleep = func(d time.Duration) { c.Sleep(d); _ = w.Close() }
	})
	r = receiver(t, w, s)
	if _, err := r.Finish(); !errors.Is(err, snapshotwriter.ErrClosed) {
		t.Fatal(err)
	}
	w = writer(t, fs, func(o *snapshotwriter.Options) { o.BytesPerSecond, o.Sleep, o.Now = chunk, c.Sleep, c.Now })
	if r = receiver(t, w, s); r.Next() != len(s.chunks) {
		t.Errorf("resumed at %d", r.Next())
	}
	c.now = 0
	finish(t, fs, r, s)
	if c.now < 8*time.Second {
		t.Errorf("read back in %v", c.now)
	}
}

// A job that waits for its turn sees that it ends.
func TestRateEnds(t *testing.T) {
	fs, c := newFS(t), &clock{}
	var w *snapshotwriter.Writer
	naps := 0
	w = writer(t, fs, func(o *snapshotwriter.Options) {
		o.BytesPerSecond, o.Now = 1, c.Now
		o.Sleep = func(d time.Duration) {
			if naps++; naps == 10 {
				_ = w.Close()
			}
			if d > 50*time.Millisecond {
				t.Errorf("slept %v", d)
			}
			c.Sleep(d)
		}
	})
	j := job(meta(raftlog.KindSnapshot, id(1, 1)), state(1, 5*chunk), new(snapshotwriter.Result))
	fails(t, fs, w, j, snapshotwriter.ErrClosed)
	if naps != 10 {
		t.Errorf("%d naps", naps)
	}
}
