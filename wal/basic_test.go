package wal

import (
	"errors"
	"testing"
)

func TestCommitOneBatch(t *testing.T) {
	x := newWorld(t, nil)
	must(t, x.w.pool.Fill())
	a, b := x.log("a"), x.log("b")
	must(t, a.append(3, 100))
	must(t, b.append(1, 10))
	a.control(Control{Kind: KindHardState, Term: 4, Payload: []byte("me")})
	if n := x.steps(); n != 1 {
		t.Fatalf("%d batches", n)
	}
	x.check()
	if len(a.written) != 1 || a.controls != 1 || b.controls != 0 {
		t.Errorf("a %v %d, b %v %d", a.written, a.controls, b.written, b.controls)
	}
	must(t, x.w.Idle())
	if s := x.w.Stats(); s.Batches != 2 || s.Idle != 1 || s.Entries != 4 || s.Controls != 1 || s.QueueEntries != 0 || s.QueueBytes != 0 || s.Durable != 2 {
		t.Errorf("%+v", s)
	}
	must(t, x.w.Idle())
	if x.w.Stats().Batches != 2 {
		t.Error("idle frame without need")
	}
	must(t, x.w.Close())
	if err := a.append(1, 1); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
