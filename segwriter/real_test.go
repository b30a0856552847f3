package segwriter_test

import (
	"errors"
	"testing"

	"github.com/rawl-db/rawl/fallback"
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/ring"
	"github.com/rawl-db/rawl/segwriter"
)

// backends returns the file systems that this machine has.
func backends(t testing.TB) map[string]vfs.FS {
	all := map[string]vfs.FS{}
	fs, err := fallback.Open(fallback.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all["fallback"] = fs
	if fs, err := fallback.Open(fallback.Options{Direct: true}); err == nil {
		all["direct"] = fs
	}
	if fs, err := ring.Open(ring.Options{}); err == nil {
		all["ring"] = fs
	}
	return all
}

// fixed is a source of equal entries.
type fixed struct {
	data []byte
	crc  uint32
}

func newFixed(n int) *fixed {
	data := make([]byte, n)
	return &fixed{data, frame.Checksum(data)}
}

func (s *fixed) Get(i raftlog.Index) (raftlog.Entry, uint32, bool) {
	return raftlog.Entry{Index: i, Term: 1, Data: s.data}, s.crc, true
}

func realWriter(t testing.TB, fs vfs.FS, root string, o segwriter.Options) *segwriter.Writer {
	t.Helper()
	q, err := fs.NewQueue(max(o.Depth, 32))
	if err != nil {
		t.Fatal(err)
	}
	o.FS, o.Queue, o.Dir = fs, q, root
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

func TestRealFileSystems(t *testing.T) {
	for name, fs := range backends(t) {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			w := realWriter(t, fs, root, segwriter.Options{Direct: name != "fallback", MaxEntries: 1000})
			tasks := make([]segwriter.Task, 50)
			for round := range raftlog.Index(3) {
				for i := range tasks {
					task := &tasks[i]
					task.ID, task.UID, task.NextSegment = raftlog.LogID(i+1), "u", max(task.NextSegment, 1)
					task.Spans = []segwriter.Span{{Source: newFixed(10 * i), First: round*500 + 1, Last: round*500 + 500}}
				}
				for i, r := range flush(t, w, tasks...) {
					if r.Err != nil {
						t.Fatal(r.Err)
					}
					tasks[i].Segments, tasks[i].NextSegment = r.Segments, r.NextSegment
				}
			}
			for i := range tasks {
				n := 0
				for _, s := range tasks[i].Segments {
					rep, err := segment.Verify(fs, segwriter.Path(root, tasks[i].ID, s.Number), tasks[i].ID, s, segment.ReadOptions{})
					if err != nil || len(rep.Damage) > 0 || rep.HeaderErr != nil {
						t.Fatalf("log %d: %+v, %v", i, rep, err)
					}
					n += rep.Entries
				}
				if n != 1500 {
					t.Fatalf("log %d holds %d entries", i, n)
				}
			}
		})
	}
}

// What a flush allocates does not grow with its chunks.
func TestChunksAllocateNothing(t *testing.T) {
	fs, err := fallback.Open(fallback.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := realWriter(t, fs, t.TempDir(), segwriter.Options{MaxEntries: 1 << 20, ChunkBytes: 4 << 10})
	src := newFixed(1000)
	task := segwriter.Task{ID: 1, UID: "u", NextSegment: 1}
	next := raftlog.Index(1)
	run := func(n raftlog.Index) func() {
		return func() {
			task.Spans = []segwriter.Span{{Source: src, First: next, Last: next + n - 1}}
			next += n
			r := flush(t, w, task)[0]
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			task.Segments, task.NextSegment = r.Segments, r.NextSegment
		}
	}
	run(300)()
	few, many := testing.AllocsPerRun(5, run(3)), testing.AllocsPerRun(5, run(900))
	if many > few+30 {
		t.Errorf("%v allocations for 1 chunk, %v for 300", few, many)
	}
}
