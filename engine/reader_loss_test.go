package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/errorfs"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// A reader delivers what is sound before damage and then says what is lost.
func TestReaderLoss(t *testing.T) {
	m := memfs.New(1)
	d := openDriven(t, m, engine.Options{WALFileBytes: 1 << 20})
	l, err := d.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	appendTo(t, d, l, engine.EntryID{}, 1, 30)
	d.flush(t)
	commit(t, l, 30)
	name := filesOf(m, ".seg")[0]
	b, err := m.ReadFile(filepath.Join("/db", name))
	if err != nil {
		t.Fatal(err)
	}
	flipAt(t, m, name, int64(bytes.Index(b, []byte("1/17"))))
	for _, o := range []engine.ReaderOptions{{}, {MaxBatchEntries: 16}, {MaxBatchEntries: 4}} {
		r := openReader(t, d.Engine, engine.FromFirst(), o)
		got, err := take(r)
		loss := wantAs[*engine.LossError](t, "damaged", err)
		if !errors.Is(err, engine.ErrCorrupt) || loss.Lost != (engine.Range{First: 17, Last: 17}) || fmt.Sprint(got) != fmt.Sprint(span(1, 1, 16)) {
			t.Fatalf("%v, %+v", got, loss)
		}
		if at := r.Cursor().At.Index; at != 16 {
			t.Fatalf("stands at %d", at)
		}
		wantTake(t, "behind the loss", openReader(t, d.Engine, engine.AtIndex(18), o), span(1, 18, 30))
	}
	even := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{Types: []uint8{2, 16, 18, 20}})
	wantTake(t, "what is left out is not read", even, []string{"1/2", "1/16", "1/18", "1/20"})
	closeEngine(t, d.Engine)

	e := openMem(t, damagedLog(t, engine.Options{WALFileBytes: 1 << 20}), engine.Options{WALFileBytes: 1 << 20})
	_, err = e.OpenReader("a", engine.FromFirst(), engine.ReaderOptions{})
	if loss := wantAs[*engine.LossError](t, "quarantined", err); !errors.Is(err, engine.ErrQuarantined) || loss.Lost.First != 11 {
		t.Fatalf("%+v", loss)
	}
	closeEngine(t, e)
}

// An error of the device is no loss: the reader goes on where it was when it is over.
func TestReaderDeviceError(t *testing.T) {
	fs := errorfs.New(memfs.New(1), errorfs.Plan{})
	d := openDriven(t, fs, engine.Options{WALFileBytes: 1 << 20})
	l, err := d.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	appendTo(t, d, l, engine.EntryID{}, 1, 30)
	d.flush(t)
	commit(t, l, 30)
	r := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{MaxBatchEntries: 4})
	var all []string
	for failed := 0; len(all) < 30; {
		fs.Arm(errorfs.Plan{K: 2, Fault: errorfs.EIO, Match: func(op errorfs.Op) bool { return op.Kind == errorfs.OpRead }})
		got, err := take(r)
		all = append(all, got...)
		if err != nil {
			wantErr(t, "read", err, syscall.EIO)
			if failed++; failed > 100 {
				t.Fatal("no progress")
			}
		}
	}
	if fmt.Sprint(all) != fmt.Sprint(span(1, 1, 30)) {
		t.Fatalf("%v", all)
	}
	closeEngine(t, d.Engine)
}

// watched is one event, or how the sequence ended.
type watched struct {
	ev  engine.LogEvent
	err error
}

// A watcher is told how the log stands, and then what is new.
func TestWatch(t *testing.T) {
	d, l := readerLog(t, engine.Options{}, 10)
	ctx, cancel := context.WithCancel(context.Background())
	events, more := make(chan watched), make(chan bool)
	go func() {
		defer close(events)
		for ev, err := range l.Watch(ctx, 0) {
			events <- watched{ev, err}
			<-more
		}
	}()
	want := func(what string, changed engine.LogChange, committed, first engine.Index, segments int) {
		t.Helper()
		w := <-events
		if w.err != nil || w.ev.Changed != changed || w.ev.Committed != committed || w.ev.First != first || len(w.ev.Segments) != segments {
			t.Fatalf("%s: %+v, %v", what, w.ev, w.err)
		}
		more <- true
	}
	all := engine.ChangeCommitted | engine.ChangeFirst | engine.ChangeSegments | engine.ChangeSnapshot
	want("first", all, 0, 1, 0)
	commit(t, l, 4)
	want("commit", engine.ChangeCommitted, 4, 1, 0)
	d.flush(t)
	want("flush", engine.ChangeSegments, 4, 1, 1)
	if err := l.Release(2); err != nil {
		t.Fatal(err)
	}
	w := <-events
	if w.ev.Changed != engine.ChangeFirst || w.ev.First != 3 {
		t.Fatalf("%+v", w)
	}
	commit(t, l, 5) // while the watcher is busy
	commit(t, l, 7)
	if err := l.Release(3); err != nil {
		t.Fatal(err)
	}
	more <- true
	want("together", engine.ChangeCommitted|engine.ChangeFirst, 7, 4, 1)
	if err := l.TruncateTo(8); err != nil {
		t.Fatal(err)
	}
	w = <-events
	if w.ev.Changed != engine.ChangeSegments || w.ev.Segments[0].Range.Last != 8 {
		t.Fatalf("truncation: %+v", w)
	}
	more <- true
	cancel()
	w = <-events
	wantErr(t, "end", w.err, context.Canceled)
	more <- true
	if _, open := <-events; open {
		t.Fatal("an event after the end")
	}
	closeEngine(t, d.Engine)
}
