package engine_test

import (
	"math"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

// ReadMemory follows appends, truncations, releases and flushes, and keeps its bounds.
func TestReadMemory(t *testing.T) {
	w := newWorld(t, 1, rolls())
	w.open()
	l, err := w.e.Create("log-0")
	if err != nil {
		t.Fatal(err)
	}
	w.hist["log-0"].lives = 1
	w.logs[l] = &handle{h: w.hist["log-0"], life: 1}
	read := func(first, last engine.Index, maxBytes, want int) {
		t.Helper()
		got := l.ReadMemory(nil, first, last, maxBytes)
		if len(got) != want {
			t.Errorf("%d to %d: %d entries, want %d", first, last, len(got), want)
		}
		for k, e := range got {
			if again, err := l.Read(first + engine.Index(k)); err != nil || again.ID() != e.ID() || string(again.Data) != string(e.Data) {
				t.Errorf("entry %v, Read gives %v, %v", e.ID(), again.ID(), err)
			}
		}
	}
	all := math.MaxInt
	read(1, 10, all, 0)
	if err := l.Append(engine.EntryID{}, entries(engine.EntryID{}, 1, 20)); err != nil {
		t.Fatal(err)
	}
	read(1, 20, all, 20)
	read(15, 40, all, 6)
	read(1, 20, 0, 1)
	if err := l.TruncateTo(10); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(engine.EntryID{Term: 1, Index: 10}, entries(engine.EntryID{Term: 1, Index: 10}, 2, 5)); err != nil {
		t.Fatal(err)
	}
	read(8, 20, all, 8)
	w.step("commit")
	if err := l.Release(4); err != nil {
		t.Fatal(err)
	}
	read(4, 20, all, 0)
	read(5, 20, all, 11)
	_ = w.e.Flush(canceled())
	for w.step("commit") || w.step("flush") || w.step("pool") {
	}
	if err := l.Append(engine.EntryID{Term: 2, Index: 15}, entries(engine.EntryID{Term: 2, Index: 15}, 2, 1)); err != nil {
		t.Fatal(err)
	}
	read(5, 20, all, 0)
	read(16, 20, all, 1)
}
