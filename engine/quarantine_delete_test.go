package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// damagedLog returns the disk of a closed engine whose log a lost its entry 11.
func damagedLog(t *testing.T, o engine.Options) *memfs.FS {
	t.Helper()
	m := memfs.New(1)
	e, l := oneLog(t, m, o)
	es := []engine.Entry{{Term: 1, Index: 11, Data: []byte("to be damaged")}}
	if err := l.AppendSync(t.Context(), l.Last(), es); err != nil {
		t.Fatal(err)
	}
	if err := l.AppendSync(t.Context(), l.Last(), entries(l.Last(), 1, 10)); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	damageText(t, m, "to be damaged")
	return m
}

// TestQuarantineOutlivesLostDeletion deletes a damaged log and flushes the file that holds the
// damage before the deletion is durable. After a power cut the log is there again and must still be
// set apart, not be served as a shorter one; once the deletion is durable, it is gone.
func TestQuarantineOutlivesLostDeletion(t *testing.T) {
	o := engine.Options{WALFileBytes: 1 << 20}
	m := damagedLog(t, o)
	queued := make(chan struct{}, 1)
	o.OnEvent = func(ev engine.Event) {
		if ev.Kind == engine.EventDeleted {
			queued <- struct{}{}
		}
	}
	d := openDriven(t, m, o)
	l, err := d.Log("a")
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, "log", l.Stats().Quarantine, engine.ErrQuarantined)

	cause := errors.New("the cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	deleted := make(chan error, 1)
	go func() { deleted <- d.Delete(ctx, "a") }()
	<-queued
	cancel(cause)
	wantErr(t, "delete", <-deleted, cause)
	flushes := d.Stats().Flushes
	d.drain(t, "flush")
	if s := d.Stats(); s.SealedFiles > 0 || s.Flushes == flushes {
		t.Fatalf("%d files wait, %d were flushed", s.SealedFiles, s.Flushes-flushes)
	}
	o.OnEvent = nil
	again := openDriven(t, m.Crash(memfs.CrashOptions{}), o)
	if l, err = again.Log("a"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "log after the power cut", l.Stats().Quarantine, engine.ErrQuarantined)
	_, err = l.Read(1)
	wantErr(t, "read after the power cut", err, engine.ErrQuarantined)

	d.drain(t, "commit", "pool", "flush")
	_, err = openDriven(t, m.Crash(memfs.CrashOptions{}), o).Log("a")
	wantErr(t, "log after its deletion", err, engine.ErrNotFound)
}
