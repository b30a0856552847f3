package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestStalledCommit stalls a commit: health says so, nothing is acknowledged, reads and appends
// go on, Close gives up with ErrStalled, and all is well once the device answers.
func TestStalledCommit(t *testing.T) {
	m := memfs.New(1)
	fs := errorfs.New(m, errorfs.Plan{})
	health := make(chan engine.Health, 100)
	e, l := oneLog(t, fs, engine.Options{
		WALFileBytes: 1 << 20, SlowAfter: time.Microsecond, StallAfter: 30 * time.Millisecond,
		OnEvent: func(ev engine.Event) {
			if ev.Kind == engine.EventHealth {
				health <- ev.Health
			}
		},
	})
	fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.Stall, Match: func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpWrite && op.Durable && strings.HasSuffix(op.Name, ".wal")
	}})
	done := make(chan error, 1)
	go func() { done <- l.AppendSync(context.Background(), l.Last(), entries(l.Last(), 1, 5)) }()
	<-fs.Stalled()
	awaitHealth(t, health, engine.HealthStalled)
	if h, err := e.Health(); h != engine.HealthStalled || !errors.Is(err, engine.ErrStalled) {
		t.Errorf("health %v, %v", h, err)
	}
	if err := l.Append(l.Last(), entries(l.Last(), 1, 5)); err != nil {
		t.Errorf("append during the stall: %v", err)
	}
	if w := l.LastWritten(); w.Index != 10 {
		t.Errorf("last written %v during the stall", w)
	}
	checkRange(t, l, 1, 20, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	wantErr(t, "hard state", l.SetHardStateSync(ctx, engine.HardState{Term: 1}), context.DeadlineExceeded)
	wantErr(t, "close", e.Close(ctx), engine.ErrStalled)
	if _, err := engine.OpenOn(m, "/db", engine.Options{}); !errors.Is(err, engine.ErrInUse) {
		t.Errorf("open while the other engine is stalled: %v", err)
	}
	if s := e.Stats(); s.InFlight <= 0 {
		t.Errorf("nothing in flight: %+v", s.Health)
	}
	fs.Release()
	if err := <-done; err != nil {
		t.Errorf("the stalled append: %v", err)
	}
	closeEngine(t, e)
	e = openMem(t, m, engine.Options{WALFileBytes: 1 << 20})
	defer closeEngine(t, e)
	l, err := e.Log("a")
	if err != nil {
		t.Fatal(err)
	}
	checkRange(t, l, 1, 20, 1)
	if l.HardState().Term != 1 {
		t.Error("what was queued before Close is not durable")
	}
}

func awaitHealth(t *testing.T, health <-chan engine.Health, want engine.Health) {
	t.Helper()
	for {
		select {
		case h := <-health:
			if h == want {
				return
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("health never became %v", want)
		}
	}
}

// TestStalledFlush stalls a flush: commits go on.
func TestStalledFlush(t *testing.T) {
	fs := errorfs.New(memfs.New(1), errorfs.Plan{})
	e, l := oneLog(t, fs, engine.Options{WALFileBytes: 1 << 20})
	fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.Stall, Match: func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpWrite && strings.HasSuffix(op.Name, ".seg")
	}})
	flushed := make(chan error, 1)
	go func() { flushed <- e.Flush(context.Background()) }()
	<-fs.Stalled()
	if err := l.AppendSync(t.Context(), l.Last(), entries(l.Last(), 1, 5)); err != nil {
		t.Fatal(err)
	}
	checkRange(t, l, 1, 15, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	wantErr(t, "close", e.Close(ctx), engine.ErrStalled)
	fs.Release()
	closeEngine(t, e)
	select {
	case err := <-flushed:
		if err != nil {
			wantErr(t, "flush", err, engine.ErrClosed)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Flush does not return after Close")
	}
}
