package readplan_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/readplan"
)

var errGone = errors.New("gone")

// rig is a cache and an executor over segments of log 1 that hold 100 entries each: segment n
// those from 100n+1 on.
type rig struct {
	t        testing.TB
	cache    *readplan.Cache
	x        *readplan.Executor
	segments []raftlog.Segment
}

func newRig(t testing.TB, on, through vfs.FS, segments int) *rig {
	t.Helper()
	r := &rig{t: t, cache: newCache(t, through, 4)}
	for n := range segments {
		first := raftlog.Index(100*n + 1)
		r.segments = append(r.segments, write(t, on, 1, raftlog.Segment{Number: uint64(n + 1)}, first, first+99, raftlog.Term(n+1)))
	}
	x, err := readplan.NewExecutor(readplan.ExecutorOptions{FS: through, Cache: r.cache, Direct: segments%2 == 0})
	if err != nil {
		t.Fatal(err)
	}
	r.x = x
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func keep(err error, _ raftlog.Index) error { return err }

// plan plans indexes: multiples of 7 are in memory, what no segment holds is gone.
func (r *rig) plan(o readplan.Options, indexes ...raftlog.Index) *readplan.Plan {
	r.t.Helper()
	b, err := r.x.Begin(1, o, keep)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, i := range indexes {
		switch n := int(i-1) / 100; {
		case i == 0 || n >= len(r.segments):
			b.Missing(i, errGone)
		case i%7 == 0:
			b.Memory(raftlog.Entry{Index: i, Term: raftlog.Term(n + 1), Data: []byte{byte(i), byte(n + 1)}})
		default:
			b.Segment(i, r.segments[n])
		}
	}
	p, err := b.Plan()
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// right reports whether an entry is the one at its index.
func (r *rig) right(e raftlog.Entry) bool {
	n := int(e.Index-1) / 100
	return e.Term == raftlog.Term(n+1) && len(e.Data) == 2 && e.Data[0] == byte(e.Index) && e.Data[1] == byte(n+1)
}

// want executes a plan in both ways and compares: absent ones are errGone, and the indexes for
// which bad returns an error have that.
func (r *rig) want(p *readplan.Plan, indexes []raftlog.Index, bad func(raftlog.Index) error) {
	r.t.Helper()
	expect := func(i raftlog.Index) error {
		if int(i-1)/100 >= len(r.segments) || i == 0 {
			return errGone
		}
		if bad != nil && i%7 != 0 {
			return bad(i)
		}
		return nil
	}
	k := 0
	check := func(e raftlog.Entry, err error) {
		r.t.Helper()
		if k >= len(indexes) || e.Index != indexes[k] {
			r.t.Fatalf("item %d: index %d, error %v, want %v", k, e.Index, err, indexes[min(k, len(indexes)-1)])
		}
		if want := expect(e.Index); !errors.Is(err, want) || want == nil && !r.right(e) {
			r.t.Fatalf("index %d: %v, %v, want error %v", e.Index, e, err, want)
		}
		k++
	}
	for e, err := range p.Execute(r.t.Context()) {
		check(e, err)
	}
	if k != len(indexes) {
		r.t.Fatalf("%d items, want %d", k, len(indexes))
	}
	k = 0
	for es, err := range p.Batches(r.t.Context()) {
		if len(es) == 0 || err != nil && len(es) != 1 {
			r.t.Fatalf("batch of %d with %v", len(es), err)
		}
		for _, e := range es {
			check(e, err)
		}
	}
	if k != len(indexes) {
		r.t.Fatalf("%d items in batches, want %d", k, len(indexes))
	}
}

// settled checks that nothing is held any more.
func (r *rig) settled() {
	r.t.Helper()
	if s := r.x.Stats(); s.Live != 0 || s.Queues > 2 || r.cache.Pinned() != 0 {
		r.t.Fatalf("%+v, %d files pinned", s, r.cache.Pinned())
	}
}

func upTo(n raftlog.Index) (all []raftlog.Index) {
	for i := raftlog.Index(1); i <= n; i++ {
		all = append(all, i)
	}
	return all
}

func TestPlanOrders(t *testing.T) {
	fsys := memfs.New(1)
	r := newRig(t, fsys, fsys, 12)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, depth := range []int{1, 3, 0} {
		for _, advice := range []readplan.Advice{readplan.Random, readplan.Sequential} {
			for _, n := range []int{0, 1, 17, 500, 10_000} {
				indexes := make([]raftlog.Index, n)
				for k := range indexes {
					indexes[k] = 1 + raftlog.Index(rng.IntN(1250)) // some are beyond, some repeat
				}
				o := readplan.Options{Depth: depth, Advice: advice, Order: readplan.Requested}
				p := r.plan(o, indexes...)
				r.want(p, indexes, nil)
				p.Close()
				sorted := slices.Sorted(slices.Values(indexes))
				o.Order = readplan.Sorted
				p = r.plan(o, indexes...)
				r.want(p, sorted, nil)
				r.want(p, sorted, nil)
				p.Close()
				o.OmitMissing = true
				p = r.plan(o, indexes...)
				r.want(p, slices.DeleteFunc(sorted, func(i raftlog.Index) bool { return i > 1200 }), nil)
				p.Close()
			}
		}
	}
	r.settled()
}

func TestPlanPins(t *testing.T) {
	fsys := memfs.New(1)
	r := newRig(t, fsys, fsys, 3)
	p := r.plan(readplan.Options{}, upTo(200)...)
	removed := 0
	for n := range uint64(3) {
		r.cache.Retire(1, n+1, func() {
			removed++
			name := filepath.Join("/logs", segment.DirName(1), segment.FileName(n+1))
			if err := fsys.Remove(name); err != nil {
				t.Error(err)
			}
		})
	}
	if removed != 1 {
		t.Fatalf("%d files removed, 2 of 3 are pinned", removed)
	}
	if h := r.x.Held(); len(h) != 1 || h[0].Log != 1 || len(h[0].Segments) != 2 || h[0].MemoryBytes != 2*28 {
		t.Fatalf("held %+v", h)
	}
	r.want(p, upTo(200), nil)
	if r.cache.Len() != 0 {
		t.Fatalf("%d retired files stay open", r.cache.Len())
	}
	next := 0
	for e, err := range p.Execute(t.Context()) {
		if err != nil || !r.right(e) {
			t.Fatal(e, err)
		}
		if next++; next == 5 {
			p.Close() // the running execution goes on
			p.Close()
			if removed != 1 {
				t.Fatal("removed under an execution")
			}
		}
	}
	if next != 200 || removed != 3 {
		t.Fatalf("%d entries, %d files removed", next, removed)
	}
	for _, err := range p.Execute(t.Context()) {
		if !errors.Is(err, readplan.ErrPlanClosed) {
			t.Fatal(err)
		}
	}
	r.settled()
}

func TestPlanCollected(t *testing.T) {
	fsys := memfs.New(1)
	r := newRig(t, fsys, fsys, 1)
	removed := make(chan struct{})
	func() {
		r.plan(readplan.Options{}, 1, 2, 3)
		r.cache.Retire(1, 1, func() { close(removed) })
	}()
	for waiting := true; waiting; {
		runtime.GC()
		select {
		case <-removed:
			waiting = false
		default:
			runtime.Gosched()
		}
	}
	for r.x.Stats().Reclaimed == 0 { // counted just behind the removal
		runtime.Gosched()
	}
	if s := r.x.Stats(); s.Reclaimed != 1 || s.Made != 1 {
		t.Fatalf("%+v", s)
	}
	r.settled()
}

// TestPlanAbandoned leaves iterations at every place: nothing stays behind.
func TestPlanAbandoned(t *testing.T) {
	fsys := memfs.New(1)
	r := newRig(t, fsys, fsys, 12)
	p := r.plan(readplan.Options{Depth: 2}, upTo(1200)...)
	before := runtime.NumGoroutine()
	for stop := range 60 {
		n := 0
		for range p.Execute(t.Context()) {
			if n++; n > stop*20 {
				break
			}
		}
		for range p.Batches(t.Context()) {
			break
		}
	}
	func() {
		defer func() { _ = recover() }()
		for range p.Execute(t.Context()) {
			panic("consumer")
		}
	}()
	p.Close()
	r.settled()
	if r.cache.Len() > 4 {
		t.Fatalf("%d files open", r.cache.Len())
	}
	for until := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() { // they end a moment after they are waited for
		if time.Now().After(until) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func TestPlanCanceled(t *testing.T) {
	fsys := memfs.New(1)
	r := newRig(t, fsys, fsys, 12)
	p := r.plan(readplan.Options{}, upTo(1200)...)
	defer p.Close()
	cause := errors.New("enough")
	for _, after := range []int{0, 1, 100, 1000} {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		if after == 0 {
			cancel(cause)
		}
		n, ended := 0, false
		for e, err := range p.Execute(ctx) {
			if ended {
				t.Fatal("goes on behind its end")
			}
			if err != nil {
				if e.Index != 0 || !errors.Is(err, cause) {
					t.Fatal(e, err)
				}
				ended = true
				continue
			}
			if n++; n == after {
				cancel(cause)
			}
		}
		if !ended || n > after+16 {
			t.Fatalf("%d entries after %d, ended %v", n, after, ended)
		}
		ended = false
		for es, err := range p.Batches(ctx) {
			if ended = len(es) == 0 && errors.Is(err, cause); !ended {
				t.Fatal(es, err)
			}
		}
		if !ended {
			t.Fatal("batches of a canceled execution")
		}
	}
}

func TestPlanAfterClose(t *testing.T) {
	fsys := memfs.New(1)
	r := newRig(t, fsys, fsys, 2)
	p := r.plan(readplan.Options{}, upTo(200)...)
	r.want(p, upTo(200), nil)
	if err := r.x.Close(); err != nil {
		t.Fatal(err)
	}
	r.want(p, upTo(200), func(raftlog.Index) error { return readplan.ErrClosed })
	if _, err := r.x.Begin(1, readplan.Options{}, keep); !errors.Is(err, readplan.ErrClosed) {
		t.Fatal(err)
	}
	p.Close()
	r.settled()
	if r.x.Stats().Queues != 0 {
		t.Fatal("queues left")
	}
}

// TestPlanFaults lets the k-th read fail, once and from then on: what is not wrong is right.
func TestPlanFaults(t *testing.T) {
	for _, fault := range []errorfs.Fault{errorfs.EIO, errorfs.ShortTransfer} {
		for _, sticky := range []bool{false, true} {
			mem := memfs.New(1)
			fsys := errorfs.New(mem, errorfs.Plan{})
			r := newRig(t, mem, fsys, 6)
			p := r.plan(readplan.Options{}, upTo(600)...)
			for k, tripped := 1, true; tripped; k++ {
				fsys.Arm(errorfs.Plan{K: k, Fault: fault, Sticky: sticky, Match: func(op errorfs.Op) bool { return op.Kind == errorfs.OpRead }})
				n := raftlog.Index(0)
				for e, err := range p.Execute(t.Context()) {
					if n++; e.Index != n || err == nil && !r.right(e) || err != nil && e.Data != nil {
						t.Fatalf("read %d fails: %v, %v at %d", k, e, err, n)
					}
				}
				tripped = fsys.Tripped()
				fsys.Heal()
				if n != 600 {
					t.Fatalf("read %d fails: %d items", k, n)
				}
				r.want(p, upTo(600), nil)
				for s := range uint64(6) {
					r.cache.DropSegment(1, s+1) // so that the next round opens them again
				}
			}
			p.Close()
			r.settled()
		}
	}
}

// TestPlanBadSector fails every read that touches one entry: its neighbours are served.
func TestPlanBadSector(t *testing.T) {
	mem := memfs.New(1)
	fsys := errorfs.New(mem, errorfs.Plan{})
	r := newRig(t, mem, fsys, 1)
	p := r.plan(readplan.Options{}, upTo(100)...)
	defer p.Close()
	r.want(p, upTo(100), nil)
	ref := acquire(t, r.cache, 1, r.segments[0])
	at, err := ref.Reader().Locate(50)
	if err != nil {
		t.Fatal(err)
	}
	ref.Release()
	fsys.Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.EIO, Match: func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpRead && op.Off < at.Offset+2 && op.Off+op.Len > at.Offset
	}})
	n := 0
	for e, err := range p.Execute(t.Context()) {
		if n++; (err != nil) != (e.Index == 50) {
			t.Fatal(e, err)
		}
	}
	if n != 100 {
		t.Fatal(n)
	}
}

// TestPlanFlipped flips each byte of the payloads of some entries.
func TestPlanFlipped(t *testing.T) {
	fsys := memfs.New(1)
	r := newRig(t, fsys, fsys, 1)
	ref := acquire(t, r.cache, 1, r.segments[0])
	defer ref.Release()
	p := r.plan(readplan.Options{}, upTo(100)...)
	defer p.Close()
	f, err := fsys.Open(ref.Reader().Name(), vfs.OpenOptions{Write: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := raftlog.Index(1); i <= 100; i += 9 {
		at, err := ref.Reader().Locate(i)
		if err != nil {
			t.Fatal(err)
		}
		old := make([]byte, 1)
		if _, err := f.ReadAt(old, at.Offset+1); err != nil {
			t.Fatal(err)
		}
		flip := func(b byte) {
			if _, err := f.WriteAt([]byte{b}, at.Offset+1); err != nil {
				t.Fatal(err)
			}
		}
		flip(old[0] ^ 4)
		r.want(p, upTo(100), func(j raftlog.Index) error {
			if j == i {
				return frame.ErrCorrupt
			}
			return nil
		})
		flip(old[0])
	}
}

// brokenQueues makes queues that fail at the n-th reap, or none.
type brokenQueues struct {
	vfs.FS
	reaps int
	none  bool
}

type brokenQueue struct {
	vfs.Queue
	reaps int
}

var errQueue = errors.New("queue broke")

func (f *brokenQueues) NewQueue(depth int) (vfs.Queue, error) {
	if f.none {
		return nil, errQueue
	}
	q, err := f.FS.NewQueue(depth)
	return &brokenQueue{q, f.reaps}, err
}

func (q *brokenQueue) Reap(n int, done []*vfs.Op) (int, error) {
	if q.reaps--; q.reaps < 0 {
		return 0, errQueue
	}
	return q.Queue.Reap(n, done)
}

func TestPlanWithoutQueue(t *testing.T) {
	mem := memfs.New(1)
	for _, f := range []*brokenQueues{{FS: mem, none: true}, {FS: mem}, {FS: mem, reaps: 1}, {FS: mem, reaps: 5}} {
		t.Run(fmt.Sprint(f.none, f.reaps), func(t *testing.T) {
			r := newRig(t, memfs.New(1), mem, 0)
			r.segments = newRig(t, mem, f, 12).segments
			x, err := readplan.NewExecutor(readplan.ExecutorOptions{FS: f, Cache: r.cache})
			if err != nil {
				t.Fatal(err)
			}
			r.x = x
			p := r.plan(readplan.Options{Depth: 4}, upTo(1200)...)
			r.want(p, upTo(1200), nil)
			p.Close()
			r.settled()
			x.Close()
		})
		for n := range uint64(12) {
			if err := mem.Remove(filepath.Join("/logs", segment.DirName(1), segment.FileName(n+1))); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestPlanConcurrent(t *testing.T) {
	fsys := memfs.New(1)
	r := newRig(t, fsys, fsys, 12)
	shared := r.plan(readplan.Options{}, upTo(1200)...)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 3))
			for range 8 {
				p := shared
				if rng.IntN(2) == 0 {
					p = r.plan(readplan.Options{Order: readplan.Requested}, upTo(1200)...)
				}
				n := raftlog.Index(0)
				for e, err := range p.Execute(t.Context()) {
					if n++; err != nil || e.Index != n || !r.right(e) {
						t.Error(e, err)
						return
					}
				}
				if p != shared {
					p.Close()
				}
			}
		})
	}
	wg.Wait()
	shared.Close()
	r.settled()
}

func TestPlanOptions(t *testing.T) {
	fsys := memfs.New(1)
	r := newRig(t, fsys, fsys, 0)
	if _, err := r.x.Begin(1, readplan.Options{Order: 9, Advice: 9, Depth: 65}, keep); err == nil {
		t.Fatal("bad options taken")
	}
	if _, err := readplan.NewExecutor(readplan.ExecutorOptions{Queues: -1}); err == nil {
		t.Fatal("bad options taken")
	}
	p := r.plan(readplan.Options{})
	r.want(p, nil, nil)
	p.Close()
	r.settled()
}
