package fallback

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/vfs"
)

// gate is a file whose reads wait until it is opened, and that counts how many wait.
type gate struct {
	vfs.File
	waiting, most atomic.Int32
	opened        chan struct{}
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

func (g *gate) ReadAt(p []byte, _ int64) (int, error) {
	n := g.waiting.Add(1)
	for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); most = g.most.Load() {
	}
	<-g.opened
	g.waiting.Add(-1)
	return len(p), nil
}

// until polls for a condition that other goroutines bring about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for start := time.Now(); !holds(); runtime.Gosched() {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("waited 30 s for %s", what)
		}
	}
}

func submitReads(t *testing.T, q *queue, f vfs.File, n int, link bool) []*vfs.Op {
	t.Helper()
	ops := make([]*vfs.Op, n)
	for i := range ops {
		ops[i] = &vfs.Op{Kind: vfs.OpRead, File: f, Buf: make([]byte, 8), Link: link && i < n-1}
		if err := q.Submit(ops[i]); err != nil {
			t.Fatal(err)
		}
	}
	return ops
}

// TestLoneWorkStaysWithItsCaller checks that one operation, and one chain, starts no
// goroutine.
func TestLoneWorkStaysWithItsCaller(t *testing.T) {
	q := newQueue(8, 8, false)
	g := newGate()
	close(g.opened)
	for _, n := range []int{1, 5} {
		q.work = func() { t.Error("a goroutine was started") }
		submitReads(t, q, g, n, true)
		if got, err := q.Reap(1, make([]*vfs.Op, n)); got != n || err != nil {
			t.Fatalf("Reap(1) of one chain of %d = %d, %v", n, got, err)
		}
		if g.most.Load() != 1 {
			t.Errorf("%d operations of one chain ran at once", g.most.Load())
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRunners checks that as many operations run at once as allowed, and no more.
func TestRunners(t *testing.T) {
	for _, runners := range []int{1, 2, 5} {
		for _, waits := range []bool{false, true} {
			before := runtime.NumGoroutine()
			q := newQueue(16, runners, false)
			g := newGate()
			submitReads(t, q, g, 16, false)
			min := 0
			if waits {
				min = 16
				go func() {
					for g.waiting.Load() < int32(runners) {
						runtime.Gosched()
					}
					close(g.opened)
				}()
			}
			done := make([]*vfs.Op, 16)
			n, err := q.Reap(min, done)
			if err != nil || waits && n != 16 {
				t.Fatalf("Reap(%d) = %d, %v", min, n, err)
			}
			if !waits {
				until(t, "the runners", func() bool { return g.waiting.Load() == int32(runners) })
				close(g.opened)
				if m, err := q.Reap(16, done); n+m != 16 || err != nil {
					t.Fatalf("Reap = %d and %d, %v", n, m, err)
				}
			}
			if most := g.most.Load(); most != int32(runners) {
				t.Errorf("%d operations ran at once, want %d", most, runners)
			}
			until(t, "idle goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestCloseCancelsTheRestOfARunningChain closes while the first operations of two chains
// run and a third chain has not begun.
func TestCloseCancelsTheRestOfARunningChain(t *testing.T) {
	before := runtime.NumGoroutine()
	q := newQueue(16, 2, false)
	g := newGate()
	a, b, c := submitReads(t, q, g, 3, true), submitReads(t, q, g, 3, true), submitReads(t, q, g, 3, true)
	if _, err := q.Reap(0, nil); err != nil {
		t.Fatal(err)
	}
	until(t, "two running operations", func() bool { return g.waiting.Load() == 2 })
	go func() {
		for !q.closing.Load() {
			runtime.Gosched()
		}
		close(g.opened)
	}()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	for i, chain := range [][]*vfs.Op{a, b, c} {
		for k, op := range chain {
			if i < 2 && k == 0 {
				if op.Err != nil || op.N != len(op.Buf) {
					t.Errorf("running operation %d: %d, %v", i, op.N, op.Err)
				}
			} else if !errors.Is(op.Err, vfs.ErrCanceled) || op.N != 0 {
				t.Errorf("chain %d, operation %d: %d, %v, want canceled", i, k, op.N, op.Err)
			}
		}
	}
	until(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

// TestChainEndsWithReap checks that an operation submitted after a Reap is not linked to
// one before it.
func TestChainEndsWithReap(t *testing.T) {
	q := newQueue(4, 2, false)
	bad := &vfs.Op{Kind: vfs.OpRead, Link: true}
	if err := q.Submit(bad); err != nil {
		t.Fatal(err)
	}
	done := make([]*vfs.Op, 4)
	if n, err := q.Reap(1, done); n != 1 || err != nil || !errors.Is(bad.Err, errOperation) {
		t.Fatalf("Reap = %d, %v, and the operation %v", n, err, bad.Err)
	}
	g := newGate()
	close(g.opened)
	good := submitReads(t, q, g, 1, false)[0]
	if n, err := q.Reap(1, done); n != 1 || err != nil || good.Err != nil || good.N != 8 {
		t.Fatalf("Reap = %d, %v, and the operation %d, %v", n, err, good.N, good.Err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOptions(t *testing.T) {
	for _, workers := range []int{-1, maxWorkers + 1} {
		if _, err := Open(Options{Workers: workers}); err == nil {
			t.Errorf("Open accepted %d workers", workers)
		}
	}
	fs, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if fs.options.Workers != defaultWorkers {
		t.Errorf("%d workers by default, want %d", fs.options.Workers, defaultWorkers)
	}
}
