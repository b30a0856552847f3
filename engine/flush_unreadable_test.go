package engine_test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestFlushBesideUnreadableSegment flushes a truncation into a segment that can not be read: the
// write-ahead log says all that the manifest needs, and neither that log nor its neighbour waits.
func TestFlushBesideUnreadableSegment(t *testing.T) {
	m := memfs.New(1)
	fs := errorfs.New(m, errorfs.Plan{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	e, a := oneLog(t, fs, engine.Options{WALFileBytes: 1 << 20, OpenSegments: 1})
	if err := e.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	segments := filesOf(m, ".seg")
	if len(segments) != 1 {
		t.Fatalf("segments of log a: %v", segments)
	}
	b, err := e.CreateSync(ctx, "b")
	if err == nil {
		err = b.AppendSync(ctx, b.Last(), entries(b.Last(), 1, 10))
	}
	if err == nil {
		err = e.Flush(ctx)
	}
	if err == nil {
		err = a.TruncateTo(5)
	}
	if err == nil {
		err = b.AppendSync(ctx, b.Last(), entries(b.Last(), 1, 10))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(1); err != nil { // takes the place of a's segment among the open files
		t.Fatal(err)
	}
	fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.EIO, Sticky: true, Match: func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpRead && strings.HasSuffix(op.Name, segments[0])
	}})
	if err := e.Flush(ctx); err != nil {
		t.Errorf("flush: %v", err)
	}
	if s := e.Stats(); s.SealedFiles != 0 || s.FlushErr != nil {
		t.Errorf("%d files wait: %v", s.SealedFiles, s.FlushErr)
	}
	if s := b.Stats(); s.Segments != 1 || s.MemoryBytes > 1024 {
		t.Errorf("the neighbour was not flushed: %+v", s)
	}
	checkRange(t, b, 1, 20, 1)
	_, err = a.Read(1)
	wantErr(t, "read of the segment", err, syscall.EIO)
	fs.Heal()
	checkRange(t, a, 1, 5, 1)
	closeEngine(t, e)

	e = openMem(t, m, engine.Options{WALFileBytes: 1 << 20})
	defer closeEngine(t, e)
	if a, err = e.Log("a"); err != nil || a.Last().Index != 5 {
		t.Fatalf("after reopen: %+v, %v", a.Stats(), err)
	}
	checkRange(t, a, 1, 5, 1)
}
