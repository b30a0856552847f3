package engine_test

import (
	"testing"

	"github.com/rawl-db/rawl/engine"
)

// TestFlushBesideTwoCuts flushes a file while two truncations wait for the device, the second of
// which cut entries that were appended after the first: those are not written, whatever index the
// flush has reached.
func TestFlushBesideTwoCuts(t *testing.T) {
	d, l := readerLog(t, engine.Options{}, 10)
	defer closeEngine(t, d.Engine)
	_ = d.Flush(canceled())
	d.drain(t, "commit", "pool")
	if n := d.Stats().SealedFiles; n != 1 {
		t.Fatalf("%d sealed files", n)
	}
	for _, c := range []struct {
		prev engine.EntryID
		term engine.Term
	}{{engine.EntryID{Term: 1, Index: 5}, 2}, {engine.EntryID{Term: 2, Index: 7}, 3}} {
		if err := l.Append(c.prev, entries(c.prev, c.term, 4)); err != nil {
			t.Fatal(err)
		}
	}
	want := engine.EntryID{Term: 1, Index: 5}
	if got := l.LastWritten(); got != want {
		t.Fatalf("last written %v before the flush, want %v", got, want)
	}
	d.drain(t, "flush")
	if got := l.LastWritten(); got != want {
		t.Fatalf("last written %v after the flush, want %v", got, want)
	}
	d.drain(t, "commit")
	if got := l.LastWritten(); got != l.Last() {
		t.Fatalf("last written %v, want %v", got, l.Last())
	}
}
