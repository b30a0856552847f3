package engine_test

import (
	"path/filepath"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/segwriter"
)

type segmentRef struct{ r *segment.Reader }

func (s segmentRef) Reader() *segment.Reader { return s.r }
func (s segmentRef) Release()                { _ = s.r.Close() }

// compactFirst copies what log "a" of capturedHistory keeps of its first two segments to a new file.
func compactFirst(t *testing.T, mem *memfs.FS) (group []engine.SegmentInfo) {
	t.Helper()
	a := inspect(t, mem).Logs[0]
	group = a.Segments[:2]
	list := make([]raftlog.Segment, 2)
	for i, s := range group {
		_, found, err := segment.Survey(mem, filepath.Join("/db/logs", segment.DirName(1), segment.FileName(s.Number)))
		if err != nil {
			t.Fatal(err)
		}
		list[i] = found
	}
	q, err := mem.NewQueue(16)
	if err != nil {
		t.Fatal(err)
	}
	w, err := segwriter.New(segwriter.Options{FS: mem, Queue: q, Dir: "/db/logs", MaxEntries: 16, MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.Compact(segwriter.CompactTask{ID: 1, UID: "a", Group: list, NextSegment: 9, Floor: 31, Live: raftlog.SeqOf(3, 9, 20),
		Open: func(s raftlog.Segment) (segwriter.SegmentRef, error) {
			r, err := segment.Open(mem, segwriter.Path("/db/logs", 1, s.Number), 1, s, segment.ReadOptions{})
			return segmentRef{r}, err
		}})
	for done := false; err == nil && !done; {
		done, _, err = c.Step(0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return group
}

// TestRepairCompacted loses the manifest when segments were compacted, and some or all of those that the
// copy replaces are still there. A copy that was cut short changes nothing.
func TestRepairCompacted(t *testing.T) {
	for _, tc := range []struct {
		name    string
		removed int
		cut     bool
	}{{"both there", 0, false}, {"first removed", 1, false}, {"both removed", 2, false}, {"cut short", 0, true}} {
		t.Run(tc.name, func(t *testing.T) {
			mem := capturedFS(t)
			want, states := dumpCaptured(t, mem), statesOf(t, mem)
			group := compactFirst(t, mem)
			for _, s := range group[:tc.removed] {
				mem.RemoveFile(segwriter.Path("/db/logs", 1, s.Number))
			}
			if made := segwriter.Path("/db/logs", 1, 9); tc.cut {
				b, err := mem.ReadFile(made)
				if err == nil {
					err = mem.WriteFile(made, b[:segment.BlockSize])
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			rebuilds["all gone"](mem)
			if r := repair(t, mem, engine.RepairOptions{}); len(r.Quarantined) > 0 {
				t.Fatalf("%+v", r)
			}
			if rep := verify(t, mem); !rep.Sound() || rep.Live != 5 {
				t.Fatalf("%+v", rep)
			}
			if a := inspect(t, mem).Logs[0]; a.First != 31 || a.Last.Index != 50 {
				t.Errorf("%+v", a)
			}
			checkStates(t, mem, states)
			checkEngine(t, mem, want)
		})
	}
}
