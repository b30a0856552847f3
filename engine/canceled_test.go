package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestCanceledCreateAndDelete calls with a context that has ended: no log is made and none is
// deleted, neither now nor at the next open.
func TestCanceledCreateAndDelete(t *testing.T) {
	m := memfs.New(1)
	o := engine.Options{WALFileBytes: 1 << 20}
	e, l := oneLog(t, m, o)
	cause := errors.New("the cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err := e.CreateSync(ctx, "b")
	wantErr(t, "create", err, cause)
	wantErr(t, "delete", e.Delete(ctx, "a"), cause)
	if _, err := l.Read(10); err != nil {
		t.Errorf("handle of the log that was not deleted: %v", err)
	}
	for _, when := range []string{"at once", "after reopen"} {
		a, err := e.Log("a")
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		checkRange(t, a, 1, 10, 1)
		_, err = e.Log("b")
		wantErr(t, when, err, engine.ErrNotFound)
		closeEngine(t, e)
		e = openMem(t, m, o)
	}
	closeEngine(t, e)
}
