package engine_test

import (
	"errors"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// appendReady appends behind the last entry, and after each ErrBusy waits for Ready. It returns
// how often that was.
func appendReady(t *testing.T, d *driven, r *ready, l *engine.Log, sizes ...int) (busy int) {
	t.Helper()
	last := l.Last()
	es := make([]engine.Entry, len(sizes))
	for i, size := range sizes {
		es[i] = engine.Entry{Index: last.Index + 1 + engine.Index(i), Term: 1, Data: make([]byte, size)}
	}
	for range 1000 {
		err := l.Append(last, es)
		if err == nil {
			return busy
		}
		if !errors.Is(err, engine.ErrBusy) {
			t.Fatal(err)
		}
		busy++
		for n := 0; len(r.events) == 0; n++ {
			if n == 1000 {
				t.Fatalf("no Ready comes: %+v", l.Stats())
			}
			d.step("commit", "pool", "flush", "monitor")
		}
		<-r.events
	}
	t.Fatalf("busy after each Ready: %+v", l.Stats())
	return busy
}

// TestLogBudgetBelowWALFile has a log fill its share of the memory long before the WAL file is
// full: the file rolls all the same, so that a flush makes room.
func TestLogBudgetBelowWALFile(t *testing.T) {
	r := &ready{events: make(chan *engine.Log, 1)}
	d := openDriven(t, memfs.New(1), engine.Options{WALFileBytes: 16 << 20, LogMemoryBytes: 1 << 20, Handler: r})
	l, err := d.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	busy := 0
	for range 100 { // less than half of a file
		busy += appendReady(t, d, r, l, 64<<10)
	}
	if busy == 0 {
		t.Error("never busy")
	}
	if l.Last().Index != 100 {
		t.Errorf("the log ends at %v", l.Last())
	}
}

// TestLargestCallFits makes calls as large as they may be: each is taken at last.
func TestLargestCallFits(t *testing.T) {
	const most, slot = 1 << 20, 32 // half of LogMemoryBytes; what each entry counts besides its payload
	r := &ready{events: make(chan *engine.Log, 1)}
	d := openDriven(t, memfs.New(1), engine.Options{WALFileBytes: 16 << 20, MemoryBytes: 4 << 20, Handler: r})
	l, err := d.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	busy := 0
	for range 4 {
		busy += appendReady(t, d, r, l, most-slot)
		busy += appendReady(t, d, r, l, most/4-slot, most/4-slot, most/4-slot, most/4-slot)
	}
	if busy == 0 {
		t.Error("never busy")
	}
	last := l.Last()
	one := engine.Entry{Index: last.Index + 1, Term: 1, Data: make([]byte, most/2)}
	two := engine.Entry{Index: last.Index + 2, Term: 1, Data: make([]byte, most/2)}
	wantErr(t, "call above the bound", l.Append(last, []engine.Entry{one, two}), engine.ErrTooLarge)
	if l.Last() != last {
		t.Errorf("a refused call changed the log: %v", l.Last())
	}
}

// TestEntryThatNeverFits appends entries just above the bound that the other options set: they are
// refused for good, not with an ErrBusy that never ends or an ErrGap that blames the caller.
func TestEntryThatNeverFits(t *testing.T) {
	for _, c := range []struct {
		bound string
		o     engine.Options
		limit int
	}{
		{"WAL file", engine.Options{WALFileBytes: 1 << 20}, 128 << 10},
		{"memory of a log", engine.Options{WALFileBytes: 16 << 20, MemoryBytes: 4 << 20}, 1 << 20},
		{"memtable", engine.Options{WALFileBytes: 1 << 30}, 64 << 20},
	} {
		t.Run(c.bound, func(t *testing.T) {
			bad := c.o
			bad.MaxEntryBytes = c.limit + 1
			_, err := engine.OpenParts(memfs.New(1), "/db", bad)
			wantErr(t, "MaxEntryBytes above the bound", err, engine.ErrOptions)
			d := openDriven(t, memfs.New(1), c.o)
			l, err := d.Create("a")
			if err != nil {
				t.Fatal(err)
			}
			large := []engine.Entry{{Index: 1, Term: 1, Data: make([]byte, c.limit+1)}}
			wantErr(t, "append", l.Append(engine.EntryID{}, large), engine.ErrTooLarge)
			if l.Last().Index != 0 {
				t.Errorf("the log ends at %v", l.Last())
			}
		})
	}
}
