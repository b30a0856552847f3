package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// tailing is a consumer on a goroutine of its own.
type tailing struct {
	got   []string
	ended error
}

func tail(ctx context.Context, r *engine.Reader) *tailing {
	c := &tailing{}
	go func() {
		for e, err := range r.Tail(ctx) {
			if c.ended = err; err == nil {
				c.got = append(c.got, string(e.Data))
			}
		}
	}()
	return c
}

func (c *tailing) want(t *testing.T, what string, want []string, ended error) {
	t.Helper()
	synctest.Wait() // everybody waits for something that does not come by itself
	if fmt.Sprint(c.got) != fmt.Sprint(want) || !errors.Is(c.ended, ended) || (c.ended == nil) != (ended == nil) {
		t.Fatalf("%s: %v, %v; want %v, %v", what, c.got, c.ended, want, ended)
	}
}

func wantParked(t *testing.T, l *engine.Log, want int) {
	t.Helper()
	synctest.Wait()
	if listed, counted := l.Parked(); listed != want || counted != want {
		t.Fatalf("%d goroutines wait, %d are counted, want %d", listed, counted, want)
	}
}

// Each thing that can happen wakes whom it concerns.
func TestTailWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := readerLog(t, engine.Options{}, 4)
		ctx, cancel := context.WithCancelCause(context.Background())
		committed := tail(context.Background(), openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{}))
		durable := tail(context.Background(), openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{Uncommitted: true}))
		ranged := tail(context.Background(), openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{Range: engine.Range{First: 2, Last: 3}}))
		stopped := tail(ctx, openReader(t, d.Engine, engine.AtIndex(100), engine.ReaderOptions{}))
		closing := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{})
		closed := tail(context.Background(), closing)

		committed.want(t, "nothing is committed", nil, nil)
		durable.want(t, "durable", span(1, 1, 4), nil)
		commit(t, l, 2)
		committed.want(t, "2 committed", span(1, 1, 2), nil)
		commit(t, l, 4)
		committed.want(t, "4 committed", span(1, 1, 4), nil)
		ranged.want(t, "the range", span(1, 2, 3), nil)
		wantParked(t, l, 4)

		if err := l.Append(l.Last(), entries(l.Last(), 1, 2)); err != nil {
			t.Fatal(err)
		}
		durable.want(t, "not durable", span(1, 1, 4), nil)
		d.drain(t, "commit")
		durable.want(t, "durable now", span(1, 1, 6), nil)

		cause := errors.New("enough")
		cancel(cause)
		stopped.want(t, "context", nil, cause)
		closing.Close()
		closed.want(t, "closed", span(1, 1, 4), engine.ErrReaderClosed)
		wantParked(t, l, 2)

		if err := l.TruncateTo(4); err != nil {
			t.Fatal(err)
		}
		durable.want(t, "truncated", span(1, 1, 6), engine.ErrTruncated)
		if err := l.Append(l.Last(), entries(l.Last(), 2, 6)); err != nil {
			t.Fatal(err)
		}
		if err := l.Release(9); err != nil {
			t.Fatal(err)
		}
		committed.want(t, "released", span(1, 1, 4), engine.ErrCompacted)
		wantParked(t, l, 0)
		closeEngine(t, d.Engine)
	})
}

// A reader that waits for a log learns that there is nothing to wait for any more.
func TestTailEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(t *testing.T, d *driven, fs *errorfs.FS)
		want error
	}{
		{"deleted", func(t *testing.T, d *driven, _ *errorfs.FS) {
			if err := d.Delete(&ending{Context: canceled()}, "a"); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}, engine.ErrDeleted},
		{"closed", func(t *testing.T, d *driven, _ *errorfs.FS) { closeEngine(t, d.Engine) }, engine.ErrClosed},
		{"failed", func(t *testing.T, d *driven, fs *errorfs.FS) {
			fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.EIO, Sticky: true})
			l, err := d.Log("a")
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Append(l.Last(), entries(l.Last(), 1, 1)); err != nil {
				t.Fatal(err)
			}
			for range 1000 {
				d.step("commit", "pool", "monitor")
				if health, _ := d.Health(); health == engine.HealthFailed {
					return
				}
			}
			t.Fatalf("the engine does not fail: %+v", d.Stats())
		}, engine.ErrFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := errorfs.New(memfs.New(1), errorfs.Plan{})
				d := openDriven(t, fs, engine.Options{WALFileBytes: 1 << 20})
				l, err := d.Create("a")
				if err != nil {
					t.Fatal(err)
				}
				appendTo(t, d, l, engine.EntryID{}, 1, 3)
				commit(t, l, 3)
				committed := tail(context.Background(), openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{}))
				durable := tail(context.Background(), openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{Uncommitted: true}))
				var watched error
				go func() { _, watched = collect(l.Watch(context.Background(), engine.ChangeSegments)) }()
				committed.want(t, "before", span(1, 1, 3), nil)
				c.end(t, d, fs)
				committed.want(t, "committed", span(1, 1, 3), c.want)
				durable.want(t, "durable", span(1, 1, 3), c.want)
				if !errors.Is(watched, c.want) {
					t.Fatalf("watch: %v", watched)
				}
				wantParked(t, l, 0)
				// A late comer is told as well.
				if late, err := d.OpenReader("a", engine.FromNext(), engine.ReaderOptions{}); err == nil {
					tail(context.Background(), late).want(t, "late", nil, c.want)
					late.Close()
				}
			})
		})
	}
}

// goroutines counts those of the caller's bubble. The runtime's own count is taken while others go on,
// and some of an earlier test may be ending.
func goroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	_, bubble, _ := bytes.Cut(stacks[:bytes.IndexByte(stacks, '\n')], []byte(", "))
	return bytes.Count(stacks, bubble)
}

// Waiting readers have no goroutine of their own, and keep no entry.
func TestWaitingReadersAreCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const readers = 100
		d, l := readerLog(t, engine.Options{}, 10)
		commit(t, l, 10)
		ctx, cancel := context.WithCancel(context.Background())
		synctest.Wait() // for what opening has left to end
		before := goroutines()
		for range readers {
			tail(ctx, openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{}))
		}
		wantParked(t, l, readers)
		if n := goroutines(); n != before+readers {
			t.Errorf("%d goroutines with %d consumers, %d before", n, readers, before)
		}
		for _, i := range d.Readers() {
			if i.PinnedBytes > 2<<10 || i.Position != 10 || !i.Iterating {
				t.Fatalf("%+v", i)
			}
		}
		cancel()
		wantParked(t, l, 0)
		if n := goroutines(); n != before {
			t.Errorf("%d goroutines afterwards, %d before", n, before)
		}
		closeEngine(t, d.Engine)
	})
}

func TestReadersList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := readerLog(t, engine.Options{}, 100)
		if l.Outside() {
			t.Error("a log that nobody reads keeps something for readers")
		}
		d.flush(t)
		appendTo(t, d, l, l.Last(), 1, 100)
		commit(t, l, 40)
		a := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{Name: "slow"})
		time.Sleep(10 * time.Second) // of the bubble
		commit(t, l, 80)
		b := openReader(t, d.Engine, engine.FromNext(), engine.ReaderOptions{Name: "quick", Uncommitted: true})
		time.Sleep(3 * time.Second)
		got := d.Readers()
		if len(got) != 2 || d.Stats().Readers != 2 {
			t.Fatalf("%+v", got)
		}
		slow, quick := got[0], got[1]
		if slow.Name != "slow" || slow.UID != "a" || slow.Age != 13*time.Second || slow.Behind != 13*time.Second || slow.Entries != 80 || slow.Bytes <= 0 {
			t.Errorf("slow %+v", slow)
		}
		if quick.Name != "quick" || !quick.Uncommitted || quick.Behind != 0 || quick.Entries != 0 || quick.Bytes != 0 || quick.Position != 200 {
			t.Errorf("quick %+v", quick)
		}
		for e := range a.Entries(t.Context()) {
			if e.Index == 60 {
				if i := d.Readers()[0]; !i.Iterating || i.PinnedBytes <= 0 {
					t.Errorf("while it reads: %+v", i)
				}
				break
			}
		}
		commit(t, l, 200)
		time.Sleep(time.Second)
		if i := d.Readers()[0]; i.Position != 60 || i.Entries != 140 || i.Behind != 4*time.Second || i.Iterating || i.PinnedBytes > 8<<10 {
			t.Errorf("between: %+v", i)
		}
		whole := l.Stats()
		if i := d.Readers()[0]; i.Bytes > whole.MemoryBytes+whole.SegmentBytes {
			t.Errorf("%d bytes behind of %+v", i.Bytes, whole)
		}
		a.Close()
		b.Close()
		if n := len(d.Readers()); n != 0 {
			t.Errorf("%d readers after Close", n)
		}
		closeEngine(t, d.Engine)
	})
}

// A reader that is dropped is found by the garbage collector, even one that was iterated.
func TestDroppedReader(t *testing.T) {
	d, l := readerLog(t, engine.Options{}, 10)
	defer closeEngine(t, d.Engine)
	commit(t, l, 10)
	func() {
		r, err := d.OpenReader("a", engine.FromFirst(), engine.ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		wantTake(t, "read", r, span(1, 1, 10))
	}()
	kept := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{})
	deadline := time.Now().Add(20 * time.Second)
	for s := d.Stats(); s.ReadersDropped != 1 || s.Readers != 1; s = d.Stats() {
		if time.Now().After(deadline) {
			t.Fatalf("%d readers, %d dropped", s.Readers, s.ReadersDropped)
		}
		runtime.GC()
	}
	wantTake(t, "the other one", kept, span(1, 1, 10))
}
