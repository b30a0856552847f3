package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
)

// TestOfflineBesideOwner reads while the owner appends, truncates, releases, rolls, flushes, makes and
// deletes logs as fast as it can: nothing of that is damage.
func TestOfflineBesideOwner(t *testing.T) {
	for _, backend := range []engine.Backend{engine.BackendFallback, engine.BackendAuto} {
		t.Run(string(backend), func(t *testing.T) {
			o := offlineOptions
			o.Backend = backend
			dir := t.TempDir()
			e, err := engine.Open(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			var wait sync.WaitGroup
			for i := range 3 {
				wait.Go(func() { churn(t, ctx, e, i) })
			}
			rounds := 0
			for ; ctx.Err() == nil; rounds++ {
				readBeside(t, dir)
			}
			wait.Wait()
			closeEngine(t, e)
			t.Logf("%d rounds, %d batches, %d flushes", rounds, e.Stats().Batches, e.Stats().Flushes)
			rep, err := engine.Verify(dir, engine.VerifyOptions{})
			if err != nil || !rep.Sound() {
				t.Fatal(rep, err)
			}
		})
	}
}

// churn is a log's owner: what it does to its log is drawn from the round's number.
func churn(t *testing.T, ctx context.Context, e *engine.Engine, i int) {
	keep, err := e.Create(engine.UID(fmt.Sprintf("keep-%d", i)))
	if err != nil {
		t.Error(err)
		return
	}
	for n := 0; ctx.Err() == nil; n++ {
		uid := engine.UID(fmt.Sprintf("log-%d-%d", i, n/50))
		var err error
		if n%50 == 0 {
			_, err = e.Create(uid)
		}
		l, lerr := e.Log(uid)
		if err := errors.Join(err, lerr); err != nil {
			t.Error(err)
			return
		}
		last := l.Last()
		if n%7 == 6 && last.Index > l.First()+3 {
			term, terr := l.Term(last.Index - 3)
			last, err = engine.EntryID{Term: term, Index: last.Index - 3}, terr
		}
		err = errors.Join(err, l.AppendSync(context.Background(), last, entries(last, engine.Term(n+1), 8)))
		at := keep.Last()
		err = errors.Join(err, keep.Append(at, entries(at, 1, 4)))
		switch {
		case n%11 == 10:
			err = errors.Join(err, l.Release(l.First()+5))
		case n%23 == 22:
			err = errors.Join(err, keep.Release(keep.First()+engine.Index(60)))
		case n%5 == 4:
			err = errors.Join(err, captureBeside(keep, n))
		case n%50 == 49:
			err = errors.Join(err, e.Delete(context.Background(), uid))
		}
		expected := errors.Is(err, engine.ErrOutOfRange) || errors.Is(err, engine.ErrBusy) || errors.Is(err, engine.ErrSnapshotRunning)
		if err != nil && !expected {
			t.Errorf("round %d: %v", n, err)
			return
		}
	}
}

// captureBeside captures a log at its newest durable entry. Every fourth is a checkpoint.
func captureBeside(l *engine.Log, n int) error {
	at := l.LastWritten()
	c := engine.Capture{Kind: engine.KindSnapshot, At: at, State: func(w io.Writer) error {
		_, err := fmt.Fprint(w, at)
		return err
	}}
	if n%20 == 19 {
		c.Kind = engine.KindCheckpoint
	}
	for i := l.First(); i <= at.Index; i += 7 {
		c.Live.Add(i)
	}
	err := l.Capture(c)
	if errors.Is(err, engine.ErrSnapshotRunning) || errors.Is(err, engine.ErrSnapshotOld) || errors.Is(err, engine.ErrOutOfRange) {
		return nil
	}
	return err
}

func readBeside(t *testing.T, dir string) {
	t.Helper()
	in, err := engine.Inspect(dir, engine.InspectOptions{})
	if err != nil && !errors.Is(err, engine.ErrUnsettled) || err == nil && len(in.Damage) > 0 {
		t.Fatalf("inspect: %v, %+v", err, in)
	}
	rep, err := engine.Verify(dir, engine.VerifyOptions{})
	if err != nil && !errors.Is(err, engine.ErrUnsettled) || !rep.Sound() {
		t.Fatalf("verify: %v, %v", err, rep.Damage)
	}
	if in == nil {
		t.Log("unsettled")
		return
	}
	if len(in.Logs) == 0 {
		return
	}
	uid, next := in.Logs[0].UID, engine.Index(0)
	for r, err := range engine.Dump(dir, uid, engine.Range{}, engine.DumpOptions{Payload: true}) {
		if errors.Is(err, engine.ErrNotFound) || errors.Is(err, engine.ErrUnsettled) {
			return
		}
		if err != nil || r.Index < next || string(r.Data) != fmt.Sprintf("%d/%d", r.Term, r.Index) {
			t.Fatalf("dump %s at %d: %+v %v", uid, next, r, err)
		}
		next = r.Index + 1
	}
}
