package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// readerLog is a stepped engine with one log of n durable entries of term 1.
func readerLog(t *testing.T, o engine.Options, n int) (*driven, *engine.Log) {
	t.Helper()
	if o.WALFileBytes == 0 {
		o.WALFileBytes = 1 << 20
	}
	d := openDriven(t, memfs.New(1), o)
	l, err := d.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	appendTo(t, d, l, engine.EntryID{}, 1, n)
	return d, l
}

// appendTo appends n entries behind prev and makes them durable.
func appendTo(t *testing.T, d *driven, l *engine.Log, prev engine.EntryID, term engine.Term, n int) {
	t.Helper()
	if err := l.Append(prev, entries(prev, term, n)); err != nil {
		t.Fatal(err)
	}
	d.drain(t, "commit")
}

func commit(t *testing.T, l *engine.Log, i engine.Index) {
	t.Helper()
	if err := l.SetCommitted(i); err != nil {
		t.Fatal(err)
	}
}

func openReader(t *testing.T, e *engine.Engine, from engine.From, o engine.ReaderOptions) *engine.Reader {
	t.Helper()
	r, err := e.OpenReader("a", from, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// take reads what there is now and returns it as "term/index" of each entry, and the error.
func take(r *engine.Reader) (got []string, err error) {
	for e, err := range r.Entries(context.Background()) {
		if err != nil {
			return got, err
		}
		if want := fmt.Sprintf("%d/%d", e.Term, e.Index); string(e.Data) != want || e.Type != uint8(e.Index) {
			return got, fmt.Errorf("entry %v holds %q", e.ID(), e.Data)
		}
		got = append(got, string(e.Data))
	}
	return got, nil
}

// span is what take returns of the entries of one term.
func span(term engine.Term, first, last engine.Index) (s []string) {
	for i := first; i <= last; i++ {
		s = append(s, fmt.Sprintf("%d/%d", term, i))
	}
	return s
}

func wantTake(t *testing.T, what string, r *engine.Reader, want []string) {
	t.Helper()
	got, err := take(r)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%s: %v, %v; want %v", what, got, err, want)
	}
}

// wantAs returns the error as the type it must have.
func wantAs[E error](t testing.TB, what string, err error) (as E) {
	t.Helper()
	if !errors.As(err, &as) {
		t.Fatalf("%s: %v, want a %T", what, err, as)
	}
	return as
}

func TestSetCommitted(t *testing.T) {
	d, l := readerLog(t, engine.Options{}, 10)
	wantErr(t, "commit beyond the log", l.SetCommitted(11), engine.ErrOutOfRange)
	commit(t, l, 6)
	commit(t, l, 4)
	if got := l.Committed(); got != 6 {
		t.Fatalf("committed %d, want 6", got)
	}
	wantErr(t, "truncate below", l.TruncateTo(5), engine.ErrCommitted)
	wantErr(t, "append below", l.Append(engine.EntryID{Term: 1, Index: 5}, entries(engine.EntryID{Term: 1, Index: 5}, 2, 1)), engine.ErrCommitted)
	if err := l.TruncateTo(6); err != nil {
		t.Fatal(err)
	}
	// Ahead of the local sync.
	if err := l.Append(engine.EntryID{Term: 1, Index: 6}, entries(engine.EntryID{Term: 1, Index: 6}, 2, 2)); err != nil {
		t.Fatal(err)
	}
	commit(t, l, 8)
	if l.LastWritten().Index != 6 || l.Stats().Committed != 8 {
		t.Fatalf("%+v", l.Stats())
	}
	closeEngine(t, d.Engine)
	wantErr(t, "commit after close", l.SetCommitted(9), engine.ErrClosed)
}

func TestReaderSeesCommittedOnly(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		d, l := readerLog(t, engine.Options{}, 10)
		if flushed {
			d.flush(t)
		}
		r := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{})
		wantTake(t, "nothing committed", r, nil)
		commit(t, l, 4)
		wantTake(t, "4 committed", r, span(1, 1, 4))
		wantTake(t, "again", r, nil)
		commit(t, l, 10)
		appendTo(t, d, l, l.Last(), 1, 5)
		wantTake(t, "10 committed", r, span(1, 5, 10))
		commit(t, l, 15)
		wantTake(t, "15 committed", r, span(1, 11, 15))
		closeEngine(t, d.Engine)
	}
}

func TestReaderFrom(t *testing.T) {
	d, l := readerLog(t, engine.Options{}, 10)
	defer closeEngine(t, d.Engine)
	if err := l.Release(2); err != nil {
		t.Fatal(err)
	}
	commit(t, l, 8)
	at := openReader(t, d.Engine, engine.AtIndex(6), engine.ReaderOptions{})
	for _, c := range []struct {
		name string
		from engine.From
		o    engine.ReaderOptions
		want []string
	}{
		{"first", engine.FromFirst(), engine.ReaderOptions{}, span(1, 3, 8)},
		{"last", engine.FromLast(), engine.ReaderOptions{}, span(1, 8, 8)},
		{"next", engine.FromNext(), engine.ReaderOptions{}, nil},
		{"index", engine.AtIndex(7), engine.ReaderOptions{}, span(1, 7, 8)},
		{"the future", engine.AtIndex(50), engine.ReaderOptions{}, nil},
		{"cursor", engine.AtCursor(at.Cursor()), engine.ReaderOptions{}, span(1, 6, 8)},
		{"uncommitted", engine.FromFirst(), engine.ReaderOptions{Uncommitted: true}, span(1, 3, 10)},
		{"last uncommitted", engine.FromLast(), engine.ReaderOptions{Uncommitted: true}, span(1, 10, 10)},
		{"range", engine.FromFirst(), engine.ReaderOptions{Range: engine.Range{First: 5, Last: 7}}, span(1, 5, 7)},
		{"open range", engine.FromFirst(), engine.ReaderOptions{Range: engine.Range{First: 5}}, span(1, 5, 8)},
		{"behind the range", engine.AtIndex(7), engine.ReaderOptions{Range: engine.Range{Last: 5}}, nil},
		{"cursor before the range", engine.AtCursor(at.Cursor()), engine.ReaderOptions{Range: engine.Range{First: 7}}, span(1, 7, 8)},
	} {
		r := openReader(t, d.Engine, c.from, c.o)
		wantTake(t, c.name, r, c.want)
	}
	for _, i := range []engine.Index{0, ^engine.Index(0)} {
		_, err := d.OpenReader("a", engine.AtIndex(i), engine.ReaderOptions{})
		wantErr(t, "impossible index", err, engine.ErrOutOfRange)
	}
	_, err := d.OpenReader("a", engine.AtIndex(2), engine.ReaderOptions{})
	if g := wantAs[*engine.GapError](t, "released", err); g.Want != 2 || g.First != 3 || !errors.Is(err, engine.ErrCompacted) {
		t.Fatalf("gap %+v", g)
	}
	_, err = d.OpenReader("b", engine.FromFirst(), engine.ReaderOptions{})
	wantErr(t, "no such log", err, engine.ErrNotFound)
	_, err = d.OpenReader("a", engine.FromFirst(), engine.ReaderOptions{MaxBatchEntries: -1, MaxBatchBytes: 1 << 40, Range: engine.Range{First: 2, Last: 1}})
	wantErr(t, "bad options", err, engine.ErrOptions)
	_, err = d.OpenReader("a", engine.FromFirst(), engine.ReaderOptions{Checksum: 1})
	wantErr(t, "a checksum that nobody goes on with", err, engine.ErrOptions)
}

// An uncommitted reader hears of what was rewritten, and goes on with what replaces it.
func TestReaderTruncated(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		d, l := readerLog(t, engine.Options{}, 10)
		r := openReader(t, d.Engine, engine.AtIndex(3), engine.ReaderOptions{Uncommitted: true})
		idle := openReader(t, d.Engine, engine.AtIndex(9), engine.ReaderOptions{Uncommitted: true})
		wantTake(t, "all", r, span(1, 3, 10))
		appendTo(t, d, l, engine.EntryID{Term: 1, Index: 7}, 2, 6)
		appendTo(t, d, l, engine.EntryID{Term: 2, Index: 12}, 3, 2)
		if flushed {
			d.flush(t)
		}
		got, err := take(r)
		if te := wantAs[*engine.TruncatedError](t, "cut", err); te.From != 8 || te.Delivered.Index != 10 || len(got) > 0 {
			t.Fatalf("delivered %v, %+v", got, te)
		}
		wantTake(t, "rewritten", r, append(span(2, 8, 12), span(3, 13, 14)...))
		wantTake(t, "nothing was delivered", idle, append(span(2, 9, 12), span(3, 13, 14)...))
		if err := l.TruncateTo(1); err != nil {
			t.Fatal(err)
		}
		_, err = take(r)
		if te := wantAs[*engine.TruncatedError](t, "cut below the start", err); te.From != 3 {
			t.Fatalf("%+v", te)
		}
		appendTo(t, d, l, l.Last(), 4, 4)
		wantTake(t, "from the start", r, span(4, 3, 5))
		closeEngine(t, d.Engine)
	}
}

// What is not durable is not delivered, unless it is committed.
func TestReaderWaitsForDurability(t *testing.T) {
	d, l := readerLog(t, engine.Options{}, 3)
	defer closeEngine(t, d.Engine)
	r := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{Uncommitted: true})
	if err := l.Append(l.Last(), entries(l.Last(), 1, 4)); err != nil {
		t.Fatal(err)
	}
	wantTake(t, "durable", r, span(1, 1, 3))
	commit(t, l, 5)
	wantTake(t, "committed", r, span(1, 4, 5))
	d.drain(t, "commit")
	wantTake(t, "durable now", r, span(1, 6, 7))
}

func TestReaderReleasedMeanwhile(t *testing.T) {
	d, l := readerLog(t, engine.Options{}, 10)
	defer closeEngine(t, d.Engine)
	commit(t, l, 10)
	r := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{MaxBatchEntries: 2})
	for e, err := range r.Entries(t.Context()) {
		if err != nil {
			if g := wantAs[*engine.GapError](t, "released", err); g.Want != 3 || g.First != 9 {
				t.Fatalf("%+v", g)
			}
			break
		}
		if e.Index == 2 {
			if err := l.Release(8); err != nil {
				t.Fatal(err)
			}
		}
		if e.Index > 2 {
			t.Fatalf("entry %v after a release", e.ID())
		}
	}
	_, err := take(r)
	wantErr(t, "again", err, engine.ErrCompacted)
}

func TestReaderLifetimes(t *testing.T) {
	d, l := readerLog(t, engine.Options{}, 4)
	commit(t, l, 4)
	r := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{})
	for range r.Entries(t.Context()) {
		_, err := take(r)
		wantErr(t, "two iterations", err, engine.ErrReaderBusy)
		break
	}
	wantTake(t, "after a break", r, span(1, 2, 4))
	_, err := collect(r.Entries(canceled()))
	wantErr(t, "context", err, context.Canceled)
	other := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{})
	other.Close()
	other.Close()
	_, err = take(other)
	wantErr(t, "closed", err, engine.ErrReaderClosed)
	deleted := make(chan error, 1)
	go func() { deleted <- d.Delete(context.Background(), "a") }()
	if err := d.until(t, deleted); err != nil {
		t.Fatal(err)
	}
	_, err = take(r)
	wantErr(t, "deleted", err, engine.ErrDeleted)
	_, err = d.OpenReader("a", engine.FromFirst(), engine.ReaderOptions{})
	wantErr(t, "open after delete", err, engine.ErrNotFound)
	closeEngine(t, d.Engine)
	_, err = d.OpenReader("a", engine.FromFirst(), engine.ReaderOptions{})
	wantErr(t, "open after close", err, engine.ErrClosed)
}

// collect returns the values before the error.
func collect[V any](seq func(func(V, error) bool)) (got []V, err error) {
	for v, e := range seq {
		if e != nil {
			return got, e
		}
		got = append(got, v)
	}
	return got, nil
}
