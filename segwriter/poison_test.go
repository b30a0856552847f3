package segwriter_test

import (
	"testing"

	"github.com/rawl-db/rawl/internal/raftlog"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
	"github.com/rawl-db/rawl/segwriter"
)

// A file whose write or sync failed is never written or synced again, neither by the second
// attempt nor by later flushes.
func TestFailedFileIsLeftAlone(t *testing.T) {
	for name, last := range map[string]raftlog.Index{"one chunk": 35, "several chunks": 60} {
		for _, kind := range []errorfs.OpKind{errorfs.OpWrite, errorfs.OpDatasync} {
			if last == 35 && kind == errorfs.OpDatasync {
				continue // the only write syncs itself
			}
			for _, sticky := range []bool{false, true} {
				t.Run(name+" "+kind.String(), func(t *testing.T) { leftAlone(t, last, kind, sticky) })
			}
		}
	}
}

func leftAlone(t *testing.T, last raftlog.Index, kind errorfs.OpKind, sticky bool) {
	inner := newFS(t)
	fs := errorfs.New(inner, errorfs.Plan{})
	w, l := writer(t, fs, nil), newLog(5)
	mustFlush(t, inner, w, l, entries(l.id, 1, 30, 1, 700))

	failed := segwriter.Path(dir, l.id, 1)
	given := false // the file is given up: another one is made
	inner.OnOp(func(op memfs.Op) {
		given = given || op.Kind == memfs.OpCreate
		if given && op.Name == failed {
			t.Errorf("after the failure: %v", op)
		}
	})
	fs.Arm(errorfs.Plan{K: 1, Fault: errorfs.EIO, Sticky: sticky,
		Match: func(op errorfs.Op) bool { return op.Kind == kind }})
	span := entries(l.id, 31, last, 1, 700)
	r := flush(t, w, l.task(span))[0]
	if failed := r.Err != nil; failed != sticky {
		t.Fatalf("result %+v", r)
	}
	fs.Heal()
	if sticky {
		r = flush(t, w, l.task(span))[0]
	}
	if r.Err != nil || len(r.Segments) != 2 {
		t.Fatalf("result %+v", r)
	}
	l.took(r, span)
	l.check(t, inner.Crash(crashLost))
	mustFlush(t, inner, w, l, entries(l.id, 20, 29, 2, 50)) // cut back to the failed file
}

// The last segment's file cannot be opened any more: the log goes on in a new one.
func TestLastSegmentMissing(t *testing.T) {
	fs := newFS(t)
	w, l := writer(t, fs, nil), newLog(5)
	mustFlush(t, fs, w, l, entries(l.id, 1, 30, 1, 100))
	if err := fs.Remove(segwriter.Path(dir, l.id, 1)); err != nil {
		t.Fatal(err)
	}
	r := flush(t, w, l.task(entries(l.id, 31, 40, 1, 100)))[0]
	if r.Err != nil || len(r.Segments) != 2 || r.Segments[1].Range != (raftlog.Range{First: 31, Last: 40}) {
		t.Fatalf("result %+v", r)
	}
}
