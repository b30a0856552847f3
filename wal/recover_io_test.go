package wal

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs"
)

// TestRecoverUnreadable: a block that the device refuses is a damaged block; one that reads
// at the second try is none.
func TestRecoverUnreadable(t *testing.T) {
	im, _ := recSample()
	whole := recWantOf(im.frames, nil)
	for _, f := range im.files {
		for block := range len(f.data) / frame.BlockSize {
			fs := im.fs()
			fs.refuse[FileName("wal", f.number)] = map[int]int{block: 1}
			got, err := recRun(fs, im.numbers(), nil)
			if err != nil || len(got.lost) > 0 || got.report.Truncated {
				t.Fatalf("file %x block %d once: %v %+v", f.number, block, err, got)
			}
			recSame(t, got.logs, whole)

			fs.refuse[FileName("wal", f.number)] = map[int]int{block: -1}
			got, err = recRun(fs, im.numbers(), nil)
			if err != nil {
				t.Fatalf("file %x block %d: %v", f.number, block, err)
			}
			if err := im.recJudge(got); err != nil {
				t.Fatalf("file %x block %d: %v", f.number, block, err)
			}
			// Nobody can tell what an unreadable block behind the last durable frame held.
			if behind := f.number == 0x15 || f.number == 0x14 && block >= 3; got.report.Truncated != behind {
				t.Fatalf("file %x block %d: truncated %t", f.number, block, got.report.Truncated)
			}
		}
		fs := im.fs()
		fs.refuse[FileName("wal", f.number)] = map[int]int{}
		for block := range len(f.data) / frame.BlockSize {
			fs.refuse[FileName("wal", f.number)][block] = -1
		}
		if _, err := recRun(fs, im.numbers(), nil); !errors.Is(err, errRecUnreadable) {
			t.Fatalf("file %x gone: %v", f.number, err)
		}
	}
}

// TestRecoverTwice: goroutines or none, once or twice, the visitor sees the same, and the
// files are what they were.
func TestRecoverTwice(t *testing.T) {
	im, _ := recSample()
	clear(im.frames[1].bytes())
	im.files[1].data[im.frames[7].at[0]] ^= 1
	im.files[2].data = im.files[2].data[:5*frame.BlockSize]
	var before [][]byte
	for _, f := range im.files {
		before = append(before, slices.Clone(f.data))
	}
	want := recMust(t, im, nil)
	for _, checkers := range []int{0, 1, 3, 100} {
		got := recMust(t, im, func(o *RecoverOptions) { o.Serial, o.Checkers = false, checkers })
		if !slices.Equal(got.script, want.script) {
			t.Fatalf("%d checkers:\n%v\n%v", checkers, got.script, want.script)
		}
	}
	for i, f := range im.files {
		if !slices.Equal(f.data, before[i]) {
			t.Fatal("recovery writes")
		}
	}
}

// recRefuser fails at its n-th call.
type recRefuser struct{ n int }

var errRecVisitor = errors.New("visitor")

func (v *recRefuser) call() error {
	if v.n--; v.n == 0 {
		return errRecVisitor
	}
	return nil
}

func (v *recRefuser) Record(*Record) error                                { return v.call() }
func (v *recRefuser) Lost(Loss) error                                     { return v.call() }
func (v *recRefuser) FileDone(uint64, raftlog.Batch, raftlog.Batch) error { return v.call() }

// TestRecoverVisitorFails: the visitor's error ends recovery wherever it comes, and nothing is left running.
func TestRecoverVisitorFails(t *testing.T) {
	im, _ := recSample()
	clear(im.frames[1].bytes())
	im.files[2].data = im.files[2].data[:5*frame.BlockSize]
	before := runtime.NumGoroutine()
	for n := 1; ; n++ {
		o := RecoverOptions{FS: im.fs(), Dir: "wal", Stream: recStream, Files: im.numbers(), Checkers: 2}
		_, err := Recover(o, &recRefuser{n})
		if err == nil {
			break
		}
		if !errors.Is(err, errRecVisitor) {
			t.Fatal(err)
		}
	}
	awaitGoroutines(t, before)
}

// awaitGoroutines waits until no more than most run: one that was waited for is counted until it has left its last function.
func awaitGoroutines(t *testing.T, most int) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > most; runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), most)
		}
	}
}

// recBuffered refuses to open files direct.
type recBuffered struct{ *recFS }

func (s recBuffered) Open(name string, o vfs.OpenOptions) (vfs.File, error) {
	if o.Direct {
		return nil, vfs.ErrUnsupported
	}
	return s.recFS.Open(name, o)
}

func TestRecoverDirect(t *testing.T) {
	im, _ := recSample()
	fs := im.fs()
	for _, s := range []vfs.FS{fs, recBuffered{fs}} {
		got, err := recRun(s, im.numbers(), func(o *RecoverOptions) { o.Direct = true })
		if err != nil {
			t.Fatal(err)
		}
		recSame(t, got.logs, recWantOf(im.frames, nil))
	}
	if fs.direct == 0 {
		t.Fatal("never opened direct")
	}
}

// TestRecoverAllocations: no record costs an allocation.
func TestRecoverAllocations(t *testing.T) {
	im := newRecImage()
	f := im.file(1, 1, 600, nil)
	var ops []recOp
	for i := uint64(1); i <= 500; i++ {
		ops = append(ops, recEntry(raftlog.LogID(1+i%4), i, 1, "payload"))
	}
	for batch := uint64(1); batch <= 40; batch++ {
		f.put(batch, ops...)
	}
	fs, v := im.fs(), &recCounter{}
	n := testing.AllocsPerRun(3, func() {
		if _, err := Recover(RecoverOptions{FS: fs, Dir: "wal", Stream: recStream, Files: []uint64{1}, Serial: true}, v); err != nil {
			t.Fatal(err)
		}
	})
	if n > 300 || v.records != 4*40*500 {
		t.Fatalf("%v allocations, %d records", n, v.records)
	}
}
