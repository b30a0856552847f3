package engine_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

// TestQuarantineComesFirst: a released log is set apart before its last state is forgotten, which is damaged. While there is another
// state to begin with it is not set apart.
func TestQuarantineComesFirst(t *testing.T) {
	for _, c := range []struct {
		uid, dir string
		want     []engine.EventKind
		err      error
	}{
		{"b", "0000000000000003/snapshot-", []engine.EventKind{engine.EventQuarantined, engine.EventSnapshotDamaged}, engine.ErrQuarantined},
		{"a", "0000000000000001/checkpoint-", []engine.EventKind{engine.EventSnapshotDamaged}, nil},
	} {
		mem := capturedFS(t)
		flipAt(t, mem, filesOf(mem, c.dir)[0], 5000)
		var got []engine.EventKind
		o := offlineOptions
		o.OnEvent = func(e engine.Event) {
			if string(e.UID) == c.uid && (e.Kind == engine.EventQuarantined || e.Kind == engine.EventSnapshotDamaged) {
				got = append(got, e.Kind)
			}
		}
		e, err := engine.OpenOn(mem, "/db", o)
		if err != nil {
			t.Fatal(err)
		}
		l, err := e.Log(engine.UID(c.uid))
		if err == nil {
			var r *engine.SnapshotReader
			if r, err = l.Restore(t.Context()); err == nil {
				err = r.Close()
			}
		}
		if !errors.Is(err, c.err) || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", c.uid, err, got)
		}
		closeEngine(t, e)
	}
}
