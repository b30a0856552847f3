package snapshotwriter_test

import (
	"sync"
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/snapshotwriter"
)

// run starts two workers.
func run(w *snapshotwriter.Writer, stop <-chan struct{}) *sync.WaitGroup {
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() { w.Run(stop) })
	}
	return &workers
}

// Two workers write, a receiver receives, and the owner promotes.
func TestWorkers(t *testing.T) {
	fs := newFS(t)
	var mu sync.Mutex
	now := int64(0)
	w := writer(t, fs, func(o *snapshotwriter.Options) {
		o.QueueDepth = 100
		o.Now = func() int64 { mu.Lock(); defer mu.Unlock(); now++; return now }
	})
	const n = 40
	results := make(chan snapshotwriter.Result, n)
	for i := range n {
		kind := raftlog.KindSnapshot
		if i%2 == 0 {
			kind = raftlog.KindCheckpoint
		}
		j := job(meta(kind, id(1, raftlog.Index(i+1))), state(uint64(i+1), 5*chunk+i), nil)
		j.Done = func(r snapshotwriter.Result) { results <- r }
		if err := w.Enqueue(j); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	workers := run(w, stop)
	s := send(t, raftlog.KindSnapshot, id(2, 100), 1, 9*chunk)
	workers.Go(func() {
		r, err := w.NewReceiver(s.header, target)
		if err == nil {
			err = accept(r, s, len(s.chunks))
		}
		if err == nil {
			_, err = r.Finish()
		}
		if err != nil {
			t.Error(err)
		}
	})
	for range n {
		r := <-results
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if r.Snapshot.Kind == raftlog.KindCheckpoint {
			p, err := w.Promote(testID, r.Snapshot.ID)
			if err != nil {
				t.Fatal(err)
			}
			r.Snapshot = p
		}
		i := int(r.Snapshot.ID.Index)
		check(t, fs, r.Snapshot, state(uint64(i), 5*chunk+i-1))
	}
	close(stop)
	workers.Wait()
	if names := files(t, fs); len(names) != n+1 {
		t.Errorf("%d files: %v", len(names), names)
	}
}

// Close ends workers and what waits; every job is told once.
func TestCloseWhileWorking(t *testing.T) {
	fs := newFS(t)
	w := writer(t, fs, func(o *snapshotwriter.Options) { o.Now = func() int64 { return 1 } })
	var mu sync.Mutex
	told := 0
	const n = 30
	for i := range n {
		j := job(meta(raftlog.KindSnapshot, id(1, raftlog.Index(i+1))), state(1, 3*chunk), nil)
		j.Done = func(snapshotwriter.Result) { mu.Lock(); told++; mu.Unlock() }
		if err := w.Enqueue(j); err != nil {
			t.Fatal(err)
		}
	}
	workers := run(w, nil)
	_ = w.Close()
	workers.Wait()
	if told != n {
		t.Errorf("%d of %d jobs were told", told, n)
	}
}
