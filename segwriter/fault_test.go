package segwriter_test

import (
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/segwriter"
)

var crashLost = memfs.CrashOptions{}

// scene is a file system with logs that were flushed before, and what is flushed next:
// appends of one and of several chunks, an overwrite, a roll, a new log.
type scene struct {
	fs    *memfs.FS
	logs  []*log
	spans []segwriter.Span
}

func newScene(t testing.TB) *scene {
	s := &scene{fs: newFS(t)}
	w := writer(t, s.fs, nil)
	for id := raftlog.LogID(1); id <= 4; id++ {
		l := newLog(id)
		s.logs = append(s.logs, l)
		if id < 4 {
			mustFlush(t, s.fs, w, l, entries(id, 1, 30, 1, 100))
		}
	}
	s.spans = []segwriter.Span{
		entries(1, 31, 40, 1, 100),
		entries(2, 31, 100, 2, 300),
		entries(3, 20, 22, 2, 5000),
		entries(4, 1, 10, 1, 3000),
	}
	return s
}

// clones returns the logs as they were before the flush.
func (s *scene) clones() []*log {
	var logs []*log
	for _, l := range s.logs {
		logs = append(logs, l.clone())
	}
	return logs
}

func (s *scene) tasks(logs []*log) []segwriter.Task {
	var tasks []segwriter.Task
	for i, l := range logs {
		tasks = append(tasks, l.task(s.spans[i]))
	}
	return tasks
}

// finish flushes on fs what logs lack, without faults, and checks everything after a power cut.
func (s *scene) finish(t *testing.T, fs *memfs.FS, w *segwriter.Writer, logs []*log) {
	t.Helper()
	for i, r := range flush(t, w, s.tasks(logs)...) {
		if r.Err != nil {
			t.Fatalf("log %d: %v", r.ID, r.Err)
		}
		logs[i].took(r, s.spans[i])
		logs[i].check(t, fs)
		logs[i].check(t, fs.Crash(crashLost))
	}
}

// The power is cut at every operation of a flush; what was there stays, and the flush can be
// done again.
func TestPowerCut(t *testing.T) {
	n := 1
	for images := 1; images > 0; n++ {
		s := newScene(t)
		images = 0
		var cuts []*memfs.FS
		w := writer(t, s.fs, nil)
		s.fs.OnOp(countdown(s.fs, n, &cuts))
		flush(t, w, s.tasks(s.logs)...)
		s.fs.OnOp(nil)
		for _, fs := range cuts {
			images++
			logs := s.clones()
			for _, l := range logs {
				l.check(t, fs)
			}
			s.finish(t, fs, writer(t, fs, nil), logs)
		}
	}
	if n < 20 {
		t.Errorf("the flush has %d operations only", n)
	}
}

// countdown takes images with several outcomes at the n-th operation.
func countdown(fs *memfs.FS, n int, cuts *[]*memfs.FS) func(memfs.Op) {
	return func(memfs.Op) {
		if n--; n != 0 {
			return
		}
		*cuts = append(*cuts, fs.Crash(memfs.CrashOptions{}), fs.Crash(memfs.CrashOptions{Unsynced: memfs.Kept}))
		for seed := range uint64(6) {
			*cuts = append(*cuts, fs.Crash(memfs.CrashOptions{Unsynced: memfs.Random, Seed: seed}))
		}
	}
}

// Every operation of a flush fails once. Whoever has no error is durable; whoever has one lost
// nothing and succeeds the next time.
func TestFailure(t *testing.T) {
	for _, fault := range errorfs.Faults() {
		t.Run(fault.String(), func(t *testing.T) {
			k := 1
			for tripped := true; tripped; k++ {
				tripped = failAt(t, k, fault, false)
			}
			if k < 10 && fault != errorfs.NoSpace {
				t.Errorf("%d operations only", k)
			}
		})
	}
}

// From some operation on everything fails.
func TestFailureFrom(t *testing.T) {
	for _, fault := range errorfs.Faults() {
		t.Run(fault.String(), func(t *testing.T) {
			for k, tripped := 1, true; tripped; k++ {
				tripped = failAt(t, k, fault, true)
			}
		})
	}
}

func failAt(t *testing.T, k int, fault errorfs.Fault, onwards bool) (tripped bool) {
	t.Helper()
	s := newScene(t)
	fs := errorfs.FailAt(s.fs, k, fault)
	if onwards {
		fs = errorfs.FailFrom(s.fs, k, fault)
	}
	w := writer(t, fs, nil)
	logs := s.clones()
	failed := 0
	for i, r := range flush(t, w, s.tasks(logs)...) {
		if r.Err != nil {
			failed++
			if len(r.Segments) != len(logs[i].segs) {
				t.Fatalf("k=%d: %+v", k, r)
			}
		} else {
			logs[i].took(r, s.spans[i])
		}
		logs[i].check(t, s.fs.Crash(crashLost))
	}
	tripped = fs.Tripped()
	if !tripped && failed > 0 {
		t.Fatalf("k=%d: %d logs failed without a fault", k, failed)
	}
	if !onwards && failed > 1 {
		t.Fatalf("k=%d: one fault failed %d logs", k, failed)
	}
	fs.Heal()
	for i := range logs {
		// Everything once more: harmless for those that have it.
		r := flush(t, w, logs[i].task(s.spans[i]))[0]
		if r.Err != nil {
			t.Fatalf("k=%d: after healing: %v", k, r.Err)
		}
		logs[i].took(r, s.spans[i])
		logs[i].check(t, s.fs.Crash(crashLost))
	}
	return tripped
}
