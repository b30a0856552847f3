package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestFailingFlushEndsWithClose closes an engine whose flush fails again and again: Flush returns,
// and what it could not move is there after the next open.
func TestFailingFlushEndsWithClose(t *testing.T) {
	m := memfs.New(1)
	fs := errorfs.New(m, errorfs.Plan{})
	o := engine.Options{WALFileBytes: 1 << 20}
	e, _ := oneLog(t, fs, o)
	failing := make(chan struct{}, 1)
	fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.EIO, Sticky: true, Match: func(op errorfs.Op) bool {
		if op.Kind != errorfs.OpWrite || !strings.HasSuffix(op.Name, ".seg") {
			return false
		}
		select {
		case failing <- struct{}{}:
		default:
		}
		return true
	}})
	flushed := make(chan error, 1)
	go func() { flushed <- e.Flush(context.Background()) }()
	<-failing
	closeEngine(t, e)
	select {
	case err := <-flushed:
		wantErr(t, "flush", err, engine.ErrClosed)
	case <-time.After(20 * time.Second):
		t.Fatal("Flush does not return after Close")
	}
	fs.Heal()
	e = openMem(t, m, o)
	defer closeEngine(t, e)
	l, err := e.Log("a")
	if err != nil {
		t.Fatal(err)
	}
	checkRange(t, l, 1, 10, 1)
}

// TestFlushesBesideClose closes engines while several goroutines flush, each after some more
// flushes: whatever of a roll Close meets, all calls return.
func TestFlushesBesideClose(t *testing.T) {
	const callers = 8
	for n := range tries(20) {
		e := openMem(t, memfs.New(1), engine.Options{WALFileBytes: 64 << 10})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		flushed, ended := make(chan struct{}, callers), make(chan error, callers)
		for range callers {
			go func() {
				for {
					if err := e.Flush(ctx); err != nil {
						ended <- err
						return
					}
					select {
					case flushed <- struct{}{}:
					default:
					}
				}
			}()
		}
		for range n {
			select {
			case <-flushed:
			case <-ctx.Done():
				t.Fatal("Flush does not return")
			}
		}
		closeEngine(t, e)
		for range callers {
			wantErr(t, "flush", <-ended, engine.ErrClosed)
		}
		cancel()
		if t.Failed() {
			return
		}
	}
}

// TestDeleteOnFailingDevice has the device fail under a deletion: Delete returns, although the log
// is not among those that can be found any more.
func TestDeleteOnFailingDevice(t *testing.T) {
	fs := errorfs.New(memfs.New(1), errorfs.Plan{})
	d := openDriven(t, fs, engine.Options{WALFileBytes: 1 << 20})
	for _, uid := range []engine.UID{"a", "b"} {
		if _, err := d.Create(uid); err != nil {
			t.Fatal(err)
		}
	}
	d.drain(t, "commit", "pool")
	fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.EIO, Sticky: true, Match: func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpWrite
	}})
	deleted := make(chan error, 1)
	go func() { deleted <- d.Delete(context.Background(), "a") }()
	wantErr(t, "delete", d.until(t, deleted), engine.ErrFailed)
	wantErr(t, "delete after the failure", d.Delete(t.Context(), "b"), engine.ErrFailed)
	wantErr(t, "close", d.Close(t.Context()), engine.ErrFailed)
}
