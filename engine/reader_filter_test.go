package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

func TestReaderFilters(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		d, l := readerLog(t, engine.Options{}, 40)
		commit(t, l, 40)
		if flushed {
			d.flush(t)
		}
		third := func(i engine.Index, term engine.Term, typ uint8) bool {
			if term != 1 || typ != uint8(i) {
				t.Errorf("filter asked for %d of term %d, type %d", i, term, typ)
			}
			return i%3 == 0
		}
		for _, c := range []struct {
			name string
			o    engine.ReaderOptions
			want []string
		}{
			{"types", engine.ReaderOptions{Types: []uint8{4, 7, 200}}, []string{"1/4", "1/7"}},
			{"no type", engine.ReaderOptions{Types: []uint8{}}, nil},
			{"filter", engine.ReaderOptions{Filter: third, Range: engine.Range{Last: 10}}, []string{"1/3", "1/6", "1/9"}},
			{"both", engine.ReaderOptions{Filter: third, Types: []uint8{4, 5, 6, 7}, MaxBatchEntries: 2}, []string{"1/6"}},
		} {
			r := openReader(t, d.Engine, engine.FromFirst(), c.o)
			wantTake(t, c.name, r, c.want)
			end := engine.Index(40)
			if c.o.Range.Last > 0 {
				end = c.o.Range.Last
			}
			if at := r.Cursor().At; at != (engine.EntryID{Term: 1, Index: end}) {
				t.Fatalf("%s: what was passed over counts as read, reader stands at %v, want %d", c.name, at, end)
			}
			r.Close()
		}
		closeEngine(t, d.Engine)
	}
}

// A panic of a filter is an error of that reader, behind what it had passed.
func TestReaderFilterPanics(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		d, l := readerLog(t, engine.Options{}, 10)
		commit(t, l, 10)
		if flushed {
			d.flush(t)
		}
		asked := 0
		bad := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{Filter: func(i engine.Index, _ engine.Term, _ uint8) bool {
			if i == 6 {
				asked++
				panic("no six")
			}
			return i != 2
		}})
		got, err := take(bad)
		fe := wantAs[*engine.FilterError](t, "panic", err)
		if !errors.Is(err, engine.ErrFilter) || fe.At.Index != 6 || fe.Panic != "no six" || fmt.Sprint(got) != "[1/1 1/3 1/4 1/5]" {
			t.Fatalf("%v, %+v", got, fe)
		}
		if at := bad.Cursor().At.Index; at != 5 {
			t.Fatalf("stands at %d", at)
		}
		_, err = take(bad)
		if wantErr(t, "again", err, engine.ErrFilter); asked != 1 {
			t.Fatalf("asked %d times", asked)
		}
		first := openReader(t, d.Engine, engine.AtIndex(6), engine.ReaderOptions{Filter: func(engine.Index, engine.Term, uint8) bool { panic(1) }})
		_, err = take(first)
		wantErr(t, "at the first entry", err, engine.ErrFilter)
		wantTake(t, "other reader", openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{}), span(1, 1, 10))
		closeEngine(t, d.Engine)
	}
}

// Steps keep within their bounds, and an entry above them goes alone. Running checksums do not
// depend on how the log is divided.
func TestReaderBudgets(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		d := openDriven(t, memfs.New(1), engine.Options{WALFileBytes: 1 << 20})
		l, err := d.Create("a")
		if err != nil {
			t.Fatal(err)
		}
		var es []engine.Entry
		for i := engine.Index(1); i <= 60; i++ {
			size := int(i*37) % 400
			if i == 30 {
				size = 5000
			}
			es = append(es, engine.Entry{Index: i, Term: 1 + engine.Term(i/20), Type: uint8(i % 5), Data: bytes.Repeat([]byte{byte(i)}, size)})
		}
		if err := l.Append(engine.EntryID{}, es); err != nil {
			t.Fatal(err)
		}
		d.drain(t, "commit")
		commit(t, l, 60)
		if flushed {
			d.flush(t)
		}
		want := engine.RunningChecksum(engine.RunningChecksum(0, es[:7]), es[7:])
		for _, o := range []engine.ReaderOptions{{}, {MaxBatchEntries: 7}, {MaxBatchBytes: 1000}, {MaxBatchBytes: 1, MaxBatchEntries: 3}} {
			checkBatches(t, openReader(t, d.Engine, engine.FromFirst(), o), o, es, want)
			o.Checksums = true
			checkBatches(t, openReader(t, d.Engine, engine.FromFirst(), o), o, es, want)
		}
		first := openReader(t, d.Engine, engine.FromFirst(), engine.ReaderOptions{Range: engine.Range{Last: 31}, Checksums: true})
		a, err := collect(first.Batches(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		rest := openReader(t, d.Engine, engine.AtCursor(first.Cursor()), engine.ReaderOptions{Checksums: true, Checksum: a[len(a)-1].Checksum})
		if b, err := collect(rest.Batches(t.Context())); err != nil || b[len(b)-1].Checksum != want {
			t.Fatalf("continued checksum differs: %v", err)
		}
		closeEngine(t, d.Engine)
	}
}

func checkBatches(t *testing.T, r *engine.Reader, o engine.ReaderOptions, es []engine.Entry, want uint64) {
	t.Helper()
	sum, next := uint64(0), 0
	for b, err := range r.Batches(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for k, e := range b.Entries {
			x := es[next+k]
			if e.ID() != x.ID() || e.Type != x.Type || !bytes.Equal(e.Data, x.Data) {
				t.Fatalf("entry %v, want %v", e.ID(), x.ID())
			}
			total += len(e.Data)
		}
		next += len(b.Entries)
		if o.MaxBatchEntries > 0 && len(b.Entries) > o.MaxBatchEntries || o.MaxBatchBytes > 0 && total > o.MaxBatchBytes && len(b.Entries) > 1 {
			t.Fatalf("batch of %d entries, %d bytes", len(b.Entries), total)
		}
		if b.First != b.Entries[0].ID() || b.Last != es[next-1].ID() || b.Bytes != total || r.Cursor().At != b.Last || len(b.CRCs) != len(b.Entries) {
			t.Fatalf("batch %v to %v, %d bytes of %d", b.First, b.Last, b.Bytes, total)
		}
		sum = engine.RunningChecksum(sum, b.Entries)
		if o.Checksums && b.Checksum != sum || !o.Checksums && b.Checksum != 0 {
			t.Fatal("running checksum")
		}
	}
	if next != len(es) || sum != want {
		t.Fatalf("%d entries, checksum %x, want %x", next, sum, want)
	}
}
