package wal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
)

// Without a spare the committer starves, and goes on when the pool has one. Nothing is lost.
func TestStarved(t *testing.T) {
	x := newWorld(t, nil)
	a := x.log("a")
	must(t, a.append(1, 100))
	if x.w.Step() || !x.w.starving || x.w.Stats().Starved != 1 {
		t.Error("no file, and not starving")
	}
	must(t, x.w.pool.Fill())
	for range 30 {
		must(t, a.append(5, 700))
	}
	x.steps()
	if !x.w.starving || x.w.Stats().QueueEntries == 0 {
		t.Error("not starving")
	}
	x.w.pool.Step() // closes nothing, begins a file
	x.w.pool.Step() // hands it out without filling it
	x.steps()
	if s := x.w.Stats(); s.UnpreparedRolls != 2 {
		t.Errorf("%d unprepared of %d", s.UnpreparedRolls, s.Rolls)
	}
	for x.w.starving {
		x.fill()
		x.steps()
	}
	x.check()
}

// What is queued before CommitAll becomes one batch, large entries in one piece.
func TestCommitAll(t *testing.T) {
	x := newWorld(t, nil)
	a, b := x.log("a"), x.log("b")
	must(t, x.w.CommitAll())
	must(t, a.append(300, 1000))
	a.truncate(100)
	must(t, a.append(2, FragmentSize+5))
	b.control(Control{Kind: KindApplied, Index: 3, Lazy: true})
	if err := x.w.CommitAll(); !errors.Is(err, ErrNoSpare) {
		t.Error(err)
	}
	must(t, x.w.pool.Fill())
	must(t, x.w.CommitAll())
	if s := x.w.Stats(); s.Batches != 1 || s.QueueEntries != 0 || x.frames(1)[0].Batch != 1 || b.controls != 1 {
		t.Errorf("%+v", s)
	}
	x.fill()
	must(t, b.append(1, 100))
	x.steps()
	x.check()
	if len(x.sealed) != 1 || x.sealed[0].Bytes < 800<<10 {
		t.Errorf("%+v", x.sealed)
	}
}

func TestCommitAllFails(t *testing.T) {
	for failures := 1; failures <= 2; failures++ {
		x := newWorld(t, nil)
		x.fill()
		a := x.log("a")
		n := 0
		x.fs.Arm(errorfs.Plan{K: 1, Sticky: true, Fault: errorfs.EIO, Match: func(op errorfs.Op) bool {
			n++
			return op.Queued && op.Durable && n <= failures
		}})
		must(t, a.append(3, 1000))
		err := x.w.CommitAll()
		if failures == 1 {
			must(t, err)
			x.check()
		} else if !errors.Is(err, ErrFailed) || a.table.durable != 0 {
			t.Error(err, a.table.durable)
		}
	}
}

// A file that was never filled is zeroed ahead of its writer and never behind it.
func TestZeroAhead(t *testing.T) {
	x := newWorld(t, func(o *Options) { o.FileSize = 4 << 20; o.Direct = true })
	must(t, x.w.pool.Fill())
	a := x.log("a")
	for i := range 880 {
		must(t, a.append(1, 100+i))
		x.steps()
		if i%2 == 0 && i < 500 {
			x.w.ZeroAhead()
		}
	}
	frontier, zeros := int64(4096), 0
	for _, op := range x.ops {
		var off, n int64
		var name string
		if _, err := fmt.Sscanf(op, "write %s %d+%d", &name, &off, &n); err != nil || off == 0 || name != FileName("wal", 1) {
			continue
		}
		if strings.HasSuffix(op, "dsync") {
			frontier = off + n
			continue
		}
		zeros++
		if off < frontier {
			t.Errorf("%s behind %d", op, frontier)
		}
	}
	if zeros < 3 || zeros > 5 || x.w.Stats().UnpreparedRolls != 1 {
		t.Errorf("%d writes of zeros", zeros)
	}
	x.check()
}

// The pool keeps few files and removes what it cannot use.
func TestPoolBounds(t *testing.T) {
	x := newWorld(t, func(o *Options) { o.Pooled = []uint64{900, 901, 902, 903, 904, 905}; o.NextNumber = 1000 })
	for n := uint64(900); n < 906; n++ {
		must(t, x.mem.WriteFile(FileName("wal", n), make([]byte, MinFileSize-int(n-900)%2)))
	}
	must(t, x.mem.WriteFile("wal/notes.txt", []byte("mine")))
	x.fill()
	names, err := x.mem.List("wal")
	must(t, err)
	want := []string{"00000000000003e8.wal", "00000000000003e9.wal", "notes.txt"}
	for _, n := range names {
		if number, ok := ParseFileName(n); ok && number < 1000 && number != 905 {
			t.Errorf("%s is left", n)
		}
	}
	if !slices.Contains(names, want[2]) || len(x.registered) != 2 {
		t.Error(names, x.registered)
	}
}

func TestRegisterIsTriedAgain(t *testing.T) {
	fails := 2
	var got []uint64
	x := newWorld(t, func(o *Options) {
		o.Register = func(n uint64) error {
			if fails--; fails >= 0 {
				return errors.New("manifest is busy")
			}
			got = append(got, n)
			return nil
		}
	})
	for range 4 {
		x.fill()
	}
	if !slices.Equal(got, []uint64{1, 2}) || x.w.pool.spares() != 2 {
		t.Error(got)
	}
}

func TestSpans(t *testing.T) {
	s1, s2 := &table{}, &table{}
	var s SealedLog
	s.put(&op{src: s1, prev: 4, first: 5, last: 9})
	s.put(&op{src: s1, prev: 9, first: 10, last: 12})
	s.put(&op{src: s1, prev: 20, first: 30, last: 40}) // sparse
	want := []Span{{s1, 4, 5, 12}, {s1, 20, 30, 40}}
	if !slices.Equal(s.Spans, want) || s.HasCut {
		t.Errorf("%+v", s)
	}
	s.cut(35, 1)
	s.put(&op{src: s2, prev: 35, first: 36, last: 50})
	want = []Span{{s1, 4, 5, 12}, {s1, 20, 30, 35}, {s2, 35, 36, 50}}
	if !slices.Equal(s.Spans, want) || s.Cut != 35 {
		t.Errorf("%+v", s)
	}
	s.cut(7, 1)
	s.cut(100, 1)
	want = []Span{{s1, 4, 5, 7}}
	if !slices.Equal(s.Spans, want) || s.Cut != 7 || !s.HasCut {
		t.Errorf("%+v", s)
	}
	s.put(&op{src: s2, prev: 2, first: 3, last: 3}) // cuts without a record
	if !slices.Equal(s.Spans, []Span{{s2, 2, 3, 3}}) || s.Cut != 2 {
		t.Errorf("%+v", s)
	}
}

func TestFileNames(t *testing.T) {
	if n, ok := ParseFileName("00000000000000ff.wal"); n != 255 || !ok {
		t.Error(n, ok)
	}
	for _, s := range []string{"", "ff.wal", "00000000000000FF.wal", "00000000000000ff.seg", "0x000000000000ff.wal", "+0000000000000ff.wal", "00000000000000ff.wal.x"} {
		if _, ok := ParseFileName(s); ok {
			t.Error(s)
		}
	}
}

func TestOptions(t *testing.T) {
	_, err := New(Options{FileSize: 5, Spares: 65, Strategy: 9, Prealloc: 9, MaxBatchBytes: 1, ReserveBytes: -1})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{"FS", "Queue", "Dir", "NextBatch", "NextNumber", "FileSize", "MaxBatchBytes", "Spares", "Strategy", "Prealloc", "ReserveBytes"} {
		if !strings.Contains(err.Error(), "option "+field+":") {
			t.Errorf("%s is not reported: %v", field, err)
		}
	}
	for s := StrategyDatasync; s <= StrategyNone; s++ {
		if got, err := ParseStrategy(s.String()); got != s || err != nil {
			t.Error(s, got, err)
		}
	}
	if _, err := ParsePrealloc("nothing"); err == nil || Strategy(77).String() != "unknown(77)" {
		t.Error(err)
	}
	x := newWorld(t, nil)
	if _, err := x.w.Control(&x.log("a").Log, Control{Payload: make([]byte, MaxControlPayload+1)}); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if err := x.w.Append(&x.log("a").Log, nil, 3, 4, raftlog.Index(3), 0); err != nil {
		t.Error(err)
	}
}

func TestLogIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Log{}); n > 216 {
		t.Errorf("%d bytes", n)
	}
}

// A truncation at the end of a file cuts what the file holds and what earlier ones hold.
func TestSealedTruncation(t *testing.T) {
	x := newWorld(t, nil)
	x.fill()
	a := x.log("a")
	for _, keep := range []raftlog.Index{8, 3} {
		must(t, a.append(10, 10))
		x.steps()
		a.truncate(keep)
		x.steps()
		x.w.wantRoll = true
		must(t, x.log("b").append(1, 10))
		x.steps()
		x.fill()
	}
	one, two := x.sealed[0].Logs[0], x.sealed[1].Logs[1]
	if one.Log != &a.Log || len(one.Spans) != 1 || one.Spans[0].Last != 8 || one.Cut != 8 || !one.HasCut {
		t.Errorf("%+v", one)
	}
	if two.Log != &a.Log || len(two.Spans) != 0 || two.Cut != 3 || !two.HasCut || two.Controls != 2 {
		t.Errorf("%+v", two)
	}
}
