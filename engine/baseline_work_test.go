package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

// workout makes an engine do everything.
type workout struct {
	t    *testing.T
	e    *engine.Engine
	ctx  context.Context
	logs []*engine.Log
	// Held over the deletion of their logs.
	plan   *engine.Plan
	state  *engine.SnapshotReader
	reader *engine.Reader
}

func (w *workout) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run works on four logs and leaves megabytes of memtables, segments, captured states, plans and readers.
func (w *workout) run(backup string) {
	w.t.Helper()
	for i := range 4 {
		l, err := w.e.CreateSync(w.ctx, engine.UID(fmt.Sprintf("log-%d", i)))
		w.ok(err)
		w.logs = append(w.logs, l)
		w.ok(l.SetHardStateSync(w.ctx, engine.HardState{Term: 1, Vote: "x"}))
	}
	w.each(func(l *engine.Log) { w.grow(l, 1, 300, 1000) })
	w.ok(w.e.Flush(w.ctx))
	w.each(w.capture)
	w.each(w.read)
	w.each(w.slots)
	w.install(w.logs[0])
	w.ok(w.e.Backup(w.ctx, backup))
	w.each(w.rewrite)
	w.forget(w.logs[1])
	w.hold(w.logs[2])
	w.each(func(l *engine.Log) { w.grow(l, 3, 200, 10_000) })
}

func (w *workout) each(do func(*engine.Log)) {
	for _, l := range w.logs {
		do(l)
	}
}

// grow appends and commits n entries, and waits for the last.
func (w *workout) grow(l *engine.Log, term engine.Term, n, size int) {
	w.t.Helper()
	for k := range n {
		prev := l.Last()
		es := []engine.Entry{{Index: prev.Index + 1, Term: term, Data: bytes.Repeat([]byte{byte(k)}, size)}}
		if k < n-1 {
			w.ok(l.Append(prev, es))
		} else {
			w.ok(l.AppendSync(w.ctx, prev, es))
		}
	}
	w.ok(l.SetCommitted(l.Last().Index))
	w.ok(l.SetApplied(l.Last().Index))
}

// capture makes checkpoints and snapshots with live entries, promotes one, and compacts what they leave.
func (w *workout) capture(l *engine.Log) {
	w.t.Helper()
	w.captureAt(l, engine.KindCheckpoint, 40, 3)
	w.captureAt(l, engine.KindSnapshot, 60, 3, 17, 50)
	w.captureAt(l, engine.KindCheckpoint, 80, 3, 17)
	done := make(chan error, 1)
	w.ok(l.Promote(80, func(_ engine.Snapshot, err error) { done <- err }))
	w.await(l, done)
	for at := engine.Index(90); at <= 130; at += 10 { // more than the bound keeps
		w.captureAt(l, engine.KindCheckpoint, at)
	}
	w.captureAt(l, engine.KindSnapshot, 200, 3, 150)
	w.ok(l.Compact(w.ctx))
	w.captureAt(l, engine.KindCheckpoint, 250)
	w.captureAt(l, engine.KindRecovery, 260)
}

func (w *workout) captureAt(l *engine.Log, kind engine.SnapshotKind, at engine.Index, live ...engine.Index) {
	w.t.Helper()
	term, err := l.Term(at)
	w.ok(err)
	done := make(chan error, 1)
	w.ok(l.Capture(engine.Capture{Kind: kind, At: engine.EntryID{Term: term, Index: at}, Live: seqOf(live...),
		State: func(to io.Writer) error { _, err := to.Write(bytes.Repeat([]byte("state"), 30_000)); return err },
		Done:  func(_ engine.Snapshot, err error) { done <- err }}))
	w.await(l, done)
}

// await waits for the end of a capture. Its record rides with others.
func (w *workout) await(l *engine.Log, done <-chan error) {
	w.t.Helper()
	for {
		select {
		case err := <-done:
			w.ok(err)
			w.sync(l)
			return
		default:
			w.sync(l)
		}
	}
}

// sync makes all durable that was queued of a log.
func (w *workout) sync(l *engine.Log) {
	w.t.Helper()
	h := l.HardState()
	w.ok(l.SetHardStateSync(w.ctx, engine.HardState{Term: h.Term + 1}))
}

// read reads by plans, readers of each kind and watches.
func (w *workout) read(l *engine.Log) {
	w.t.Helper()
	p, err := l.PlanRange(1, l.Last().Index, engine.PlanOptions{Depth: 16})
	w.ok(err)
	for range p.Execute(w.ctx) {
	}
	p.Close()
	for _, err := range l.ReadBatches(l.First(), l.Last().Index) {
		w.ok(err)
	}
	state, r, err := w.e.Bootstrap(l.UID(), engine.ReaderOptions{})
	w.ok(err)
	w.ok(state.Verify(w.ctx))
	w.ok(state.Close())
	ctx, cancel := context.WithCancel(w.ctx)
	var ended sync.WaitGroup
	began := make(chan struct{}, 2)
	ended.Go(func() {
		for _, err := range r.Tail(ctx) {
			if err == nil {
				began <- struct{}{}
				break
			}
		}
	})
	ended.Go(func() {
		began <- struct{}{}
		for range l.Watch(ctx, engine.LogChange(^uint8(0))) {
		}
	})
	<-began
	<-began
	w.grow(l, 1, 10, 100)
	cancel()
	ended.Wait()
	r.Close()
}

// slots makes slots, of which one is acknowledged, one dropped, and one holds what is released until the end.
func (w *workout) slots(l *engine.Log) {
	w.t.Helper()
	for _, name := range []string{"read", "dropped", "stuck"} {
		w.ok(l.CreateSlotSync(w.ctx, name, 205))
	}
	r, err := w.e.OpenReader(l.UID(), engine.FromSlot("read"), engine.ReaderOptions{})
	w.ok(err)
	defer r.Close()
	for _, err := range r.Entries(w.ctx) {
		w.ok(err)
		w.ok(r.Ack(r.Cursor()))
	}
	w.ok(l.Release(270))
	w.ok(l.DropSlot("dropped"))
	w.sync(l)
}

// install replaces a log by another member's.
func (w *workout) install(l *engine.Log) {
	w.t.Helper()
	s := ship(w.t, 400, always(2), 300_000, 3, 7, 350)
	in, err := l.Install(s.header)
	w.ok(err)
	w.ok(s.send(in))
	w.ok(in.Close()) // interrupted
	in, err = l.Install(s.header)
	w.ok(err)
	w.ok(s.send(in))
	_, err = in.Finish(w.ctx)
	w.ok(err)
}

// rewrite truncates, appends, releases and captures.
func (w *workout) rewrite(l *engine.Log) {
	w.t.Helper()
	prev := l.Last()
	term := prev.Term + 1
	w.ok(l.AppendSync(w.ctx, prev, entries(prev, term, 50)))
	w.ok(l.TruncateTo(prev.Index + 20))
	w.grow(l, term, 80, 1000)
	w.ok(l.Release(prev.Index + 10))
	w.captureAt(l, engine.KindSnapshot, prev.Index+30, prev.Index+15)
	w.ok(w.e.Flush(w.ctx))
}

// forget drops a plan, a reader and a state that are not closed.
func (w *workout) forget(l *engine.Log) {
	w.t.Helper()
	p, err := l.PlanRange(l.First(), l.Last().Index, engine.PlanOptions{})
	w.ok(err)
	for range p.Execute(w.ctx) {
		break
	}
	r, err := w.e.OpenReader(l.UID(), engine.FromFirst(), engine.ReaderOptions{})
	w.ok(err)
	for range r.Entries(w.ctx) {
		break
	}
	_, err = l.Restore(w.ctx)
	w.ok(err)
	runtime.KeepAlive(p)
}

// hold keeps a plan, a reader and a state.
func (w *workout) hold(l *engine.Log) {
	w.t.Helper()
	var err error
	w.plan, err = l.PlanRange(l.First(), l.Last().Index, engine.PlanOptions{})
	w.ok(err)
	w.reader, err = w.e.OpenReader(l.UID(), engine.FromFirst(), engine.ReaderOptions{})
	w.ok(err)
	w.state, err = l.Restore(w.ctx)
	w.ok(err)
}

// deleteAll deletes the logs, and then reads what was held to its end.
func (w *workout) deleteAll() {
	w.t.Helper()
	w.each(func(l *engine.Log) { w.ok(w.e.Delete(w.ctx, l.UID())) })
	w.ok(w.e.Flush(w.ctx))
	for _, err := range w.plan.Execute(w.ctx) {
		w.ok(err)
	}
	w.ok(w.state.Verify(w.ctx))
	w.plan.Close()
	w.reader.Close()
	w.ok(w.state.Close())
}
