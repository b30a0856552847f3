package segwriter_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/segment"
	"github.com/rawl-db/rawl/internal/vfs"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/segwriter"
)

// stage is a file system with one log whose segments, the newest aside, are to be compacted:
// into one chunk or several.
type stage struct {
	fs    *memfs.FS
	l     *log
	floor raftlog.Index
	live  raftlog.Seq
}

func newStage(t testing.TB, several bool) *stage {
	s := &stage{fs: newFS(t), l: newLog(5), floor: 170, live: seqOf(3, 5, 70, 71, 130, 130)}
	if several {
		s.live = seqOf(3, 50, 70, 120, 130, 130)
	}
	w := writer(t, s.fs, nil)
	mustFlush(t, s.fs, w, s.l, entries(5, 1, 60, 1, 500))
	mustFlush(t, s.fs, w, s.l, entries(5, 40, 200, 2, 500))
	if len(s.l.segs) < 4 {
		t.Fatalf("list %v", s.l.segs)
	}
	return s
}

// clone returns the same on a file system of its own: all of it is durable.
func (s *stage) clone() *stage {
	return &stage{fs: s.fs.Crash(crashLost), l: s.l.clone(), floor: s.floor, live: s.live}
}

func (s *stage) compacting(fsys vfs.FS) *shrink {
	return s.l.compacting(fsys, 0, len(s.l.segs)-1, s.floor, s.live)
}

// finish checks that the log is as it was, and compacts it without faults on fsys.
func (s *stage) finish(t *testing.T, fsys *memfs.FS, w *segwriter.Writer) {
	t.Helper()
	s.l.check(t, fsys)
	c := s.compacting(fsys)
	done, err := c.run(t, w, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.check(t, fsys.Crash(crashLost), done.Result())
}

func shapes(t *testing.T, run func(t *testing.T, several bool)) {
	for _, several := range []bool{false, true} {
		t.Run(fmt.Sprintf("several=%t", several), func(t *testing.T) { run(t, several) })
	}
}

// The power is cut at every operation of a compaction.
func TestPowerCutWhileCompacting(t *testing.T) {
	shapes(t, func(t *testing.T, several bool) {
		n := 1
		base := newStage(t, several)
		for images := 1; images > 0; n++ {
			s := base.clone()
			var cuts []*memfs.FS
			w := writer(t, s.fs, nil)
			s.fs.OnOp(countdown(s.fs, n, &cuts))
			c := s.compacting(s.fs)
			if _, err := c.run(t, w, 2); err != nil {
				t.Fatal(err)
			}
			s.fs.OnOp(nil)
			images = len(cuts)
			for _, image := range cuts {
				s.finish(t, image, writer(t, image, nil))
			}
		}
		if n < 4 {
			t.Errorf("%d operations only", n)
		}
	})
}

// Every operation of a compaction fails, once or from there on: an error or a sound outcome, the
// group as it was, no file but an orphan, nothing left open; and the next one succeeds.
func TestFailureWhileCompacting(t *testing.T) {
	shapes(t, func(t *testing.T, several bool) {
		base := newStage(t, several)
		for _, fault := range errorfs.Faults() {
			for _, plan := range []func(vfs.FS, int, errorfs.Fault) *errorfs.FS{errorfs.FailAt, errorfs.FailFrom} {
				for k, tripped := 1, true; tripped; k++ {
					tripped = failCompaction(t, base.clone(), func(inner vfs.FS) *errorfs.FS { return plan(inner, k, fault) })
				}
			}
		}
	})
}

func failCompaction(t *testing.T, s *stage, plan func(vfs.FS) *errorfs.FS) (tripped bool) {
	t.Helper()
	fsys := plan(s.fs)
	w := writer(t, fsys, nil)
	c := s.compacting(fsys)
	done, err := c.run(t, w, 2)
	tripped = fsys.Tripped()
	fsys.Heal()
	r := done.Result()
	if err == nil {
		c.check(t, s.fs.Crash(crashLost), r)
		done.Abort()
	} else if !tripped {
		t.Fatalf("failed without a fault: %v", err)
	}
	live := func(_ raftlog.LogID, n uint64) bool { return n < r.NextSegment-1 }
	orphans, err := segwriter.Orphans(s.fs, dir, func(raftlog.LogID) bool { return true }, live)
	if err != nil || len(orphans) > 1 {
		t.Fatalf("orphans %v, %v", orphans, err)
	}
	s.l.next = r.NextSegment
	s.finish(t, s.fs, writer(t, s.fs, nil))
	mustFlush(t, s.fs, w, s.l, entries(5, 201, 210, 2, 100))
	return tripped
}

// On a full disk nothing is lost, and the file that did not fit gives its space back.
func TestCompactionOnFullDisk(t *testing.T) {
	base := newStage(t, true)
	for capacity := int64(0); ; capacity += segment.BlockSize {
		s := base.clone()
		free := freeSpace(t, s.fs)
		s.fs.SetCapacity(free.used + capacity)
		w := writer(t, s.fs, nil)
		c := s.compacting(s.fs)
		done, err := c.run(t, w, 0)
		if err == nil {
			c.check(t, s.fs.Crash(crashLost), done.Result())
			return
		}
		if exists(t, s.fs, s.l.id, done.Result().NextSegment-1) {
			t.Fatal("the file is still there")
		}
		s.l.check(t, s.fs)
	}
}

type space struct{ used int64 }

func freeSpace(t *testing.T, fsys *memfs.FS) space {
	t.Helper()
	const capacity = 1 << 40
	fsys.SetCapacity(capacity)
	free, err := fsys.FreeSpace(dir)
	if err != nil {
		t.Fatal(err)
	}
	return space{used: capacity - int64(free)}
}

// Every byte of the group's files is flipped in turn, of padding every eighth: a typed error, or
// the outcome is right.
func TestFlippedBytesAreNotCopied(t *testing.T) {
	fsys := newFS(t)
	l := newLog(5)
	w := writer(t, fsys, func(o *segwriter.Options) { o.MaxEntries = 12 })
	mustFlush(t, fsys, w, l, entries(5, 1, 8, 1, 30))
	mustFlush(t, fsys, w, l, entries(5, 5, 7, 2, 200))
	mustFlush(t, fsys, w, l, entries(5, 8, 30, 2, 30))
	s := l.compacting(fsys, 0, 2, 12, seqOf(2, 2, 5, 6, 9, 9))
	step := 1
	if testing.Short() {
		step = 7
	}
	refused, harmless := 0, 0
	for _, g := range s.group {
		name := segwriter.Path(dir, l.id, g.Number)
		sound, err := fsys.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(sound); at += step {
			if sound[at] == 0 && at%8 != 0 {
				continue
			}
			sound[at] ^= 0x40
			if err := fsys.WriteFile(name, sound); err != nil {
				t.Fatal(err)
			}
			sound[at] ^= 0x40
			c, err := s.run(t, w, 0)
			var known *segwriter.CompactError
			switch {
			case err == nil:
				harmless++
				s.check(t, fsys, c.Result())
				c.Abort()
			case errors.As(err, &known) && known.Segment == g.Number && !known.Range.Empty() &&
				(errors.Is(err, frame.ErrCorrupt) || errors.Is(err, frame.ErrVersion)):
				refused++
			default:
				t.Fatalf("segment %d, byte %d: %v", g.Number, at, err)
			}
		}
		if err := fsys.WriteFile(name, sound); err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 || harmless == 0 {
		t.Errorf("%d flips refused, %d harmless", refused, harmless)
	}
	if _, err := s.run(t, w, 0); err != nil {
		t.Fatal(err)
	}
}

// A file that lost its end, or is gone, is an error and no shorter outcome.
func TestCompactionOfShortFiles(t *testing.T) {
	s := newStage(t, true)
	w := writer(t, s.fs, nil)
	for i := range s.l.segs[:3] {
		name := segwriter.Path(dir, s.l.id, s.l.segs[i].Number)
		sound, err := s.fs.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(sound); n += segment.BlockSize {
			if err := s.fs.WriteFile(name, sound[:n]); err != nil {
				t.Fatal(err)
			}
			c := s.compacting(s.fs)
			done, err := c.run(t, w, 0)
			if err == nil {
				c.check(t, s.fs, done.Result())
				done.Abort()
			}
		}
		if err := s.fs.WriteFile(name, sound); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.fs.Remove(segwriter.Path(dir, s.l.id, 2)); err != nil {
		t.Fatal(err)
	}
	var known *segwriter.CompactError
	if _, err := s.compacting(s.fs).run(t, w, 0); !errors.As(err, &known) || known.Segment != 2 {
		t.Fatal(err)
	}
}
