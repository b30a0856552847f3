package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

func entries(prev engine.EntryID, term engine.Term, n int) []engine.Entry {
	es := make([]engine.Entry, n)
	for i := range es {
		index := prev.Index + 1 + engine.Index(i)
		es[i] = engine.Entry{Index: index, Term: term, Type: uint8(index), Data: fmt.Appendf(nil, "%d/%d", term, index)}
	}
	return es
}

func openMem(t *testing.T, fs *memfs.FS, o engine.Options) *engine.Engine {
	t.Helper()
	e, err := engine.OpenOn(fs, "/db", o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func closeEngine(t *testing.T, e *engine.Engine) {
	t.Helper()
	if err := e.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func checkRange(t *testing.T, l *engine.Log, first, last engine.Index, term engine.Term) {
	t.Helper()
	next := first
	for e, err := range l.ReadRange(first, last) {
		if err != nil {
			t.Fatalf("range at %d: %v", next, err)
		}
		if e.Index != next || e.Term != term || string(e.Data) != fmt.Sprintf("%d/%d", term, next) || e.Type != uint8(next) {
			t.Fatalf("entry %v %q at %d, want term %d", e.ID(), e.Data, next, term)
		}
		next++
	}
	if next != last+1 {
		t.Fatalf("range ended at %d, want %d", next, last+1)
	}
	for i := first; i <= last; i++ {
		e, err := l.Read(i)
		if err != nil || e.Term != term || e.Index != i {
			t.Fatalf("read %d: %v %v", i, e, err)
		}
		if got, err := l.Term(i); err != nil || got != term {
			t.Fatalf("term of %d: %d %v", i, got, err)
		}
	}
}

func TestAppendFlushReopen(t *testing.T) {
	fs := memfs.New(1)
	ctx := context.Background()
	e := openMem(t, fs, engine.Options{WALFileBytes: 1 << 20})
	l, err := e.CreateSync(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendSync(ctx, engine.EntryID{}, entries(engine.EntryID{}, 1, 100)); err != nil {
		t.Fatal(err)
	}
	checkRange(t, l, 1, 100, 1)
	if err := e.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if m := l.Stats(); m.MemoryBytes > 1024 || m.Segments != 1 {
		t.Fatalf("after flush: %+v", m)
	}
	checkRange(t, l, 1, 100, 1)
	if err := l.AppendSync(ctx, engine.EntryID{Term: 1, Index: 50}, entries(engine.EntryID{Term: 1, Index: 50}, 2, 10)); err != nil {
		t.Fatal(err)
	}
	checkRange(t, l, 1, 50, 1)
	checkRange(t, l, 51, 60, 2)
	if _, err := l.Read(61); !errors.Is(err, engine.ErrOutOfRange) {
		t.Fatal(err)
	}
	if err := l.Release(20); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(20); !errors.Is(err, engine.ErrCompacted) {
		t.Fatal(err)
	}
	if err := l.SetHardStateSync(ctx, engine.HardState{Term: 2, Vote: "x"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		closeEngine(t, e)
		e = openMem(t, fs, engine.Options{WALFileBytes: 1 << 20})
		if l, err = e.Log("a"); err != nil {
			t.Fatal(err)
		}
		if l.First() != 21 || l.Last() != (engine.EntryID{Term: 2, Index: 60}) || l.LastWritten() != l.Last() || l.HardState().Vote != "x" {
			t.Fatalf("%+v", l.Stats())
		}
		checkRange(t, l, 21, 50, 1)
		checkRange(t, l, 51, 60, 2)
		if err := e.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		checkRange(t, l, 21, 50, 1)
		checkRange(t, l, 51, 60, 2)
	}
	if err := e.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	e = openMem(t, fs, engine.Options{WALFileBytes: 1 << 20})
	if _, err := e.Log("a"); !errors.Is(err, engine.ErrNotFound) {
		t.Fatal(err)
	}
	closeEngine(t, e)
}
