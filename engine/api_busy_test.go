package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// ready counts Ready events per log.
type ready struct {
	events chan *engine.Log
	others atomic.Int64
}

func (r *ready) Written(engine.Written) { r.others.Add(1) }
func (r *ready) Ready(l *engine.Log)    { r.events <- l }

// TestBusy fills the memory budget: appends are refused, everything else works, and a Ready
// event follows when memory is free again.
func TestBusy(t *testing.T) {
	r := &ready{events: make(chan *engine.Log, 100)}
	e := openMem(t, memfs.New(1), engine.Options{WALFileBytes: 1 << 20, MemoryBytes: 4 << 20, LogMemoryBytes: 2 << 20, Handler: r})
	defer closeEngine(t, e)
	ctx := t.Context()
	l, err := e.CreateSync(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	busy := 0
	for range 300 {
		es := []engine.Entry{{Term: 1, Index: l.Last().Index + 1, Data: make([]byte, 100<<10)}}
		before := l.Last()
		err := l.Append(before, es)
		if err == nil {
			continue
		}
		wantErr(t, "append", err, engine.ErrBusy)
		if l.Last() != before {
			t.Fatal("a refused append changed the log")
		}
		busy++
		if err := l.SetHardStateSync(ctx, engine.HardState{Term: engine.Term(busy)}); err != nil {
			t.Fatalf("hard state while busy: %v", err)
		}
		if got := <-r.events; got != l {
			t.Fatalf("ready event of %v", got)
		}
	}
	if busy == 0 {
		t.Error("never busy")
	}
	if s := l.Stats(); s.MemoryBytes > 2<<20+1<<20 {
		t.Errorf("the log holds %d bytes", s.MemoryBytes)
	}
}

// TestQuarantineLasts damages a log in the WAL: it stays set apart over flushes and opens until
// it is deleted, and its neighbours are served.
func TestQuarantineLasts(t *testing.T) {
	m := memfs.New(1)
	o := engine.Options{WALFileBytes: 1 << 20}
	ctx := t.Context()
	e := openMem(t, m, o)
	for _, uid := range []engine.UID{"a", "b"} {
		l, err := e.CreateSync(ctx, uid)
		if err == nil {
			err = l.AppendSync(ctx, engine.EntryID{}, entries(engine.EntryID{}, 1, 10))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	a, _ := e.Log("a")
	es := []engine.Entry{{Term: 1, Index: 11, Data: []byte("to be damaged")}}
	if err := errors.Join(a.AppendSync(ctx, a.Last(), es), a.SetHardStateSync(ctx, engine.HardState{Term: 4})); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	damageText(t, m, "to be damaged")
	for round := range 3 {
		e = openMem(t, m, o)
		checkApart(t, e, fmt.Sprintf("open %d", round))
		if err := e.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		checkApart(t, e, fmt.Sprintf("flush %d", round))
		closeEngine(t, e)
	}
	e = openMem(t, m, o)
	if err := e.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	l, err := e.CreateSync(ctx, "a")
	if err == nil {
		err = l.AppendSync(ctx, engine.EntryID{}, entries(engine.EntryID{}, 7, 3))
	}
	if err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	e = openMem(t, m, o)
	defer closeEngine(t, e)
	if l, err = e.Log("a"); err != nil {
		t.Fatal(err)
	}
	checkRange(t, l, 1, 3, 7)
	if s := e.Stats(); s.Quarantined != 0 {
		t.Errorf("%d logs are set apart after the deletion", s.Quarantined)
	}
}

// checkApart checks that log a is set apart and b is not.
func checkApart(t *testing.T, e *engine.Engine, when string) {
	t.Helper()
	a, err := e.Log("a")
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	_, readErr := a.Read(1)
	_, termErr := a.Term(5)
	_, createErr := e.Create("a")
	wantErr(t, when+": create", createErr, engine.ErrExists)
	for what, err := range map[string]error{
		"read": readErr, "term": termErr, "append": a.Append(a.Last(), entries(a.Last(), 1, 1)), "truncate": a.TruncateTo(1),
		"release": a.Release(1), "hard state": a.SetHardState(engine.HardState{Term: 9}), "applied": a.SetApplied(5),
		"stats": a.Stats().Quarantine,
	} {
		wantErr(t, when+": "+what, err, engine.ErrQuarantined)
		var q *engine.QuarantineError
		if !errors.As(err, &q) || q.UID != "a" || q.Lost.First != 11 || q.Reason == "" {
			t.Errorf("%s: %s: %v", when, what, err)
		}
	}
	for _, err := range a.ReadRange(1, 10) {
		wantErr(t, when+": range", err, engine.ErrQuarantined)
	}
	b, err := e.Log("b")
	if err != nil {
		t.Fatal(err)
	}
	checkRange(t, b, 1, 10, 1)
	if s := e.Stats(); s.Quarantined != 1 || len(s.Recovery.Quarantined) != 1 {
		t.Errorf("%s: %d set apart, recovery says %v", when, s.Quarantined, s.Recovery.Quarantined)
	}
}

// damageText flips a byte where the text stands, in whatever file.
func damageText(t *testing.T, m *memfs.FS, text string) {
	t.Helper()
	name := fileWith(t, m, text)
	b, err := m.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	flipByte(name, int64(bytes.Index(b, []byte(text))), 1)(m)
}

// fileWith returns the name of the first file that holds the text.
func fileWith(t *testing.T, m *memfs.FS, text string) string {
	t.Helper()
	for _, name := range m.Files() {
		if b, err := m.ReadFile(name); err == nil && bytes.Contains(b, []byte(text)) {
			return name
		}
	}
	t.Fatalf("%q is in no file", text)
	return ""
}
