package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// planned100 returns a log whose entries 1 to 60 are in segments and 61 to 100 in memory.
func planned100(t *testing.T, d *driven) *engine.Log {
	t.Helper()
	l, err := d.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{60, 40} {
		if err := l.Append(l.Last(), entries(l.Last(), 1, n)); err != nil {
			t.Fatal(err)
		}
		d.drain(t, "commit", "pool")
		if n == 60 {
			d.flush(t)
		}
	}
	return l
}

func planRange(t *testing.T, l *engine.Log, first, last engine.Index) *engine.Plan {
	t.Helper()
	p, err := l.PlanRange(first, last, engine.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPlanCostsNoDisk makes a plan where every operation of the disk fails.
func TestPlanCostsNoDisk(t *testing.T) {
	fs := errorfs.New(memfs.New(1), errorfs.Plan{})
	d := openDriven(t, fs, small())
	l := planned100(t, d)
	fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.EIO, Sticky: true})
	p := planRange(t, l, 1, 101)
	if fs.Count() != 0 {
		t.Fatalf("%d operations", fs.Count())
	}
	for e, err := range p.Execute(t.Context()) {
		if (e.Index <= 60 || e.Index == 101) != (err != nil) {
			t.Fatal(e, err)
		}
	}
	fs.Heal()
	n := 0
	for e, err := range p.Execute(t.Context()) {
		if n++; (err != nil) != errors.Is(err, engine.ErrOutOfRange) || int(e.Index) != n || err == nil && string(e.Data) != fmt.Sprintf("1/%d", n) {
			t.Fatal(e, err)
		}
	}
	if n != 101 {
		t.Fatal(n)
	}
	p.Close()
	closeEngine(t, d.Engine)
}

// TestPlanOutlivesEngine executes after the engine was closed.
func TestPlanOutlivesEngine(t *testing.T) {
	d := openDriven(t, memfs.New(1), small())
	l := planned100(t, d)
	p, begun := planRange(t, l, 1, 100), planRange(t, l, 1, 100)
	next := engine.Index(0)
	for e, err := range begun.Execute(t.Context()) {
		if next++; e.Index != next || err != nil && !errors.Is(err, engine.ErrClosed) {
			t.Fatal(e, err)
		}
		if next == 3 {
			closeEngine(t, d.Engine) // under a running execution
		}
	}
	n := engine.Index(0)
	for e, err := range p.Execute(t.Context()) {
		if n++; e.Index != n || n <= 60 && !errors.Is(err, engine.ErrClosed) || n > 60 && err != nil {
			t.Fatal(e, err)
		}
	}
	if n != 100 || next != 100 {
		t.Fatalf("%d and %d items", n, next)
	}
	if _, err := l.PlanRange(1, 2, engine.PlanOptions{}); !errors.Is(err, engine.ErrClosed) {
		t.Fatal(err)
	}
	begun.Close()
	p.Close()
	for _, err := range p.Execute(t.Context()) {
		if !errors.Is(err, engine.ErrPlanClosed) {
			t.Fatal(err)
		}
	}
	if s := d.Stats().Plans; s.Live != 0 || s.Queues != 0 {
		t.Fatalf("%+v", s)
	}
}

// TestPlanKeepsFiles holds a plan while its log's segments are released, and another while its log
// is deleted: the files go when the plan goes.
func TestPlanKeepsFiles(t *testing.T) {
	m := memfs.New(1)
	d := openDriven(t, m, small())
	l := planned100(t, d)
	p := planRange(t, l, 1, 100)
	if err := l.Release(90); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(l.Last(), entries(l.Last(), 1, 10)); err != nil {
		t.Fatal(err)
	}
	d.drain(t, "commit", "pool")
	d.flush(t)
	if s := l.Stats(); s.Segments == 0 || s.First != 91 {
		t.Fatalf("%+v", s)
	}
	files := func() (n int) {
		dirs, err := m.List("/db/logs")
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range dirs {
			names, err := m.List("/db/logs/" + dir)
			if err != nil {
				t.Fatal(err)
			}
			n += 1 + len(names)
		}
		return n
	}
	before := files()
	n := 0
	for e, err := range p.Execute(t.Context()) {
		if n++; err != nil || string(e.Data) != fmt.Sprintf("1/%d", n) {
			t.Fatal(e, err)
		}
	}
	p.Close()
	d.drain(t, "flush")
	if after := files(); n != 100 || after >= before {
		t.Fatalf("%d entries, %d files and %d before", n, after, before)
	}
	p = planRange(t, l, 91, 110)
	returned := make(chan error, 1)
	go func() { returned <- d.Delete(t.Context(), "a") }()
	if err := d.until(t, returned); err != nil {
		t.Fatal(err)
	}
	d.drain(t, "commit", "pool", "flush")
	n = 90
	for e, err := range p.Execute(t.Context()) {
		if n++; err != nil || string(e.Data) != fmt.Sprintf("1/%d", n) {
			t.Fatal(e, err)
		}
	}
	p.Close()
	d.drain(t, "flush")
	if n != 110 || files() != 0 {
		t.Fatalf("%d entries, %d files and directories left", n, files())
	}
	closeEngine(t, d.Engine)
}

// TestPlanOfRetiredSegment has a segment retired while a plan is made that found an entry in it. The
// pin may have come too late then, also where the plan goes on by the view that no longer lists it.
func TestPlanOfRetiredSegment(t *testing.T) {
	d := openDriven(t, memfs.New(1), small())
	l := planned100(t, d)
	segment, memory := engine.Range{First: 60, Last: 60}, engine.Range{First: 95, Last: 96}
	if !l.PlanListed(segment, func() {}, memory) {
		t.Fatal("nothing was retired")
	}
	for range 2 { // the second time 60 is missing from the start
		kept := l.PlanListed(segment, func() {
			if err := l.Release(90); err != nil {
				t.Fatal(err)
			}
			if err := l.Append(l.Last(), entries(l.Last(), 1, 1)); err != nil {
				t.Fatal(err)
			}
			d.drain(t, "commit", "pool")
			d.flush(t)
		}, memory)
		if want := l.First() == 91 && l.Last().Index == 102; kept != want {
			t.Fatalf("kept is %v of a log from %d to %d", kept, l.First(), l.Last())
		}
	}
	closeEngine(t, d.Engine)
}

func TestPlanRefused(t *testing.T) {
	d := openDriven(t, memfs.New(1), small())
	l := planned100(t, d)
	if _, err := l.PlanRange(1, 2, engine.PlanOptions{Depth: -1}); !errors.Is(err, engine.ErrOptions) {
		t.Fatal(err)
	}
	if _, err := l.PlanRange(1, 1<<40, engine.PlanOptions{}); !errors.Is(err, engine.ErrTooLarge) {
		t.Fatal(err)
	}
	for range planRange(t, l, 5, 4).Execute(t.Context()) {
		t.Fatal("an empty plan yields")
	}
	if _, err := l.Plan(slices.Values([]engine.Index{3, 1}), engine.PlanOptions{Order: 7}); !errors.Is(err, engine.ErrOptions) {
		t.Fatal(err)
	}
	closeEngine(t, d.Engine)
}

// TestReadBatches compares batches with what the log holds, over every boundary there is.
func TestReadBatches(t *testing.T) {
	d := openDriven(t, memfs.New(1), small())
	l := planned100(t, d)
	at := engine.EntryID{Term: 1, Index: 80}
	if err := l.Append(at, entries(at, 2, 700)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, first := range []engine.Index{1, 2, 59, 61, 80, 81, 500, 780} {
			for _, last := range []engine.Index{first - 1, first, first + 1, 300, 780} {
				last = min(last, 780)
				next := first
				for es, err := range l.ReadBatches(first, last) {
					if err != nil || len(es) == 0 || len(es) > 256 {
						t.Fatalf("[%d,%d] at %d: %d, %v", first, last, next, len(es), err)
					}
					for _, e := range es {
						term := 1 + e.Index/81
						if term = min(term, 2); e.Index != next || string(e.Data) != fmt.Sprintf("%d/%d", term, next) {
							t.Fatalf("[%d,%d]: %v %q at %d", first, last, e.ID(), e.Data, next)
						}
						next++
					}
				}
				if next != max(first, last+1) {
					t.Fatalf("[%d,%d] ends at %d", first, last, next)
				}
			}
		}
		for es, err := range l.ReadBatches(781, 781) {
			if len(es) > 0 || !errors.Is(err, engine.ErrOutOfRange) {
				t.Fatal(es, err)
			}
		}
		for range l.ReadBatches(1, 780) {
			break
		}
		d.drain(t, "commit", "pool")
		d.flush(t)
	}
	closeEngine(t, d.Engine)
}
