package engine_test

import (
	"testing"

	"github.com/rawl-db/rawl/engine"
)

// What InMemory says follows appends, truncations, releases and flushes.
func TestInMemory(t *testing.T) {
	w := newWorld(t, 1, rolls())
	w.open()
	l, err := w.e.Create("log-0")
	if err != nil {
		t.Fatal(err)
	}
	w.hist["log-0"].lives = 1
	w.logs[l] = &handle{h: w.hist["log-0"], life: 1}
	want := func(i engine.Index, in bool) {
		t.Helper()
		if got := l.InMemory(i); got != in {
			t.Errorf("InMemory(%d) = %v", i, got)
		}
	}
	want(1, true) // nothing is missing
	if err := l.Append(engine.EntryID{}, entries(engine.EntryID{}, 1, 20)); err != nil {
		t.Fatal(err)
	}
	want(1, true)
	want(21, true)
	if err := l.TruncateTo(10); err != nil {
		t.Fatal(err)
	}
	want(1, true)
	if err := l.Append(engine.EntryID{Term: 1, Index: 10}, entries(engine.EntryID{Term: 1, Index: 10}, 2, 5)); err != nil {
		t.Fatal(err)
	}
	want(3, true)
	w.step("commit")
	if err := l.Release(4); err != nil {
		t.Fatal(err)
	}
	want(4, false)
	want(5, true)
	_ = w.e.Flush(canceled())
	for w.step("commit") || w.step("flush") || w.step("pool") {
	}
	if err := l.Append(engine.EntryID{Term: 2, Index: 15}, entries(engine.EntryID{Term: 2, Index: 15}, 2, 1)); err != nil {
		t.Fatal(err)
	}
	want(5, false)
	want(16, true)
}
