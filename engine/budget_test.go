package engine_test

import (
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// checkBudget checks that the engine accounts for what its only log holds, no more and no less.
func checkBudget(t *testing.T, d *driven, l *engine.Log, when string) {
	t.Helper()
	if all, own := d.Stats().MemoryBytes, l.Stats().MemoryBytes; all != own {
		t.Fatalf("%s: the engine counts %d bytes, the log holds %d", when, all, own)
	}
}

// TestBudgetDoesNotDrift truncates into the middle of tables and flushes, many times: what the
// engine counts stays what is held.
func TestBudgetDoesNotDrift(t *testing.T) {
	d := openDriven(t, memfs.New(1), engine.Options{WALFileBytes: 1 << 20})
	l, err := d.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	for term := engine.Term(1); term <= 20; term++ {
		es := entries(l.Last(), term, 100)
		if err := l.Append(l.Last(), es); err != nil {
			t.Fatal(err)
		}
		checkBudget(t, d, l, "appended")
		d.drain(t, "commit", "pool")
		if err := l.TruncateTo(es[49].Index); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(l.Last(), entries(l.Last(), term, 1)); err != nil {
			t.Fatal(err)
		}
		d.drain(t, "commit", "pool")
		checkBudget(t, d, l, "truncated")
		d.flush(t)
		checkBudget(t, d, l, "flushed")
	}
	if s := l.Stats(); s.MemoryBytes > 1024 || s.Last.Index != 20*51 {
		t.Errorf("at the end: %+v", s)
	}
}

// TestCutTablesStayCharged replaces the same entry again and again while nothing is written: what
// was cut is still held for the write-ahead log, so the budget bounds it, and gets it back.
func TestCutTablesStayCharged(t *testing.T) {
	const size, limit = 100 << 10, 8 << 20
	r := &ready{events: make(chan *engine.Log, 1)}
	d := openDriven(t, memfs.New(1), engine.Options{WALFileBytes: 1 << 20, MemoryBytes: limit, Handler: r})
	l, err := d.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	replace := func(term engine.Term) error {
		return l.Append(engine.EntryID{}, []engine.Entry{{Index: 1, Term: term, Data: make([]byte, size)}})
	}
	taken := engine.Term(0)
	for err == nil && taken <= limit/size {
		if err = replace(taken + 1); err == nil {
			taken++
		}
	}
	wantErr(t, "append", err, engine.ErrBusy)
	if held := d.Stats().MemoryBytes; held < int64(taken)*size || held > limit {
		t.Errorf("%d bytes counted for %d payloads of %d", held, taken, size)
	}
	if l.Last() != (engine.EntryID{Term: taken, Index: 1}) {
		t.Errorf("the refused append changed the log: %v", l.Last())
	}
	d.drain(t, "commit", "pool", "flush")
	checkBudget(t, d, l, "written")
	d.step("monitor")
	select {
	case <-r.events:
	default:
		t.Error("no Ready although memory is free again")
	}
	if err := replace(taken + 1); err != nil {
		t.Error(err)
	}
	if e, err := l.Read(1); err != nil || e.Term != taken+1 || len(e.Data) != size {
		t.Errorf("read: %v, %v", e.ID(), err)
	}
}
