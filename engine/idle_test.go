package engine_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// TestIdleLogsCostMemoryOnly makes many logs that were written to once and then left alone:
// no goroutine, and little memory, may belong to any of them, nor be left when they are gone.
func TestIdleLogsCostMemoryOnly(t *testing.T) {
	const logs, mostBytes = 10_000, 2 << 10
	ctx := context.Background()
	e, err := engine.Open(t.TempDir(), engine.Options{WALFileBytes: 16 << 20, Backend: engine.BackendFallback})
	if err != nil {
		t.Fatal(err)
	}
	goroutines, before := runtime.NumGoroutine(), heap()
	var last *engine.Log
	for i := range logs {
		l, err := e.Create(engine.UID(fmt.Sprintf("log-%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Append(engine.EntryID{}, entries(engine.EntryID{}, 1, 1)); err != nil {
			t.Fatal(err)
		}
		if err := l.Release(1); err != nil {
			t.Fatal(err)
		}
		last = l
	}
	if err := last.SetHardStateSync(ctx, engine.HardState{Term: 1}); err != nil {
		t.Fatal(err)
	}
	if err := e.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	awaitGoroutines(t, goroutines)
	each := (heap() - before) / logs
	t.Logf("%d bytes for each idle log, its place in the manifest included", each)
	if each > mostBytes {
		t.Errorf("%d bytes for each idle log, at most %d", each, mostBytes)
	}
	for i := range logs {
		if err := e.Delete(ctx, engine.UID(fmt.Sprintf("log-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Logs != 0 || s.MemoryBytes != 0 {
		t.Errorf("after all logs were deleted: %d logs, %d bytes of tables", s.Logs, s.MemoryBytes)
	}
	awaitGoroutines(t, goroutines)
	closeEngine(t, e)
}

// awaitGoroutines waits until no more than most run: those that end are counted until they have.
func awaitGoroutines(t *testing.T, most int) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > most; runtime.Gosched() {
		if time.Now().After(until) {
			t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), most)
			return
		}
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
