package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/frame"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

func TestCursorText(t *testing.T) {
	c := engine.Cursor{UID: "orders-7_x", Incarnation: 26, At: engine.EntryID{Term: 3, Index: 42}}
	golden, err := os.ReadFile("testdata/cursor-v1.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.String(); got != strings.TrimSpace(string(golden)) {
		t.Fatalf("text %q, want %q", got, golden)
	}
	for _, c := range []engine.Cursor{
		c,
		{UID: "a", Incarnation: 1},
		{UID: engine.UID(strings.Repeat("z", 128)), Incarnation: 1<<64 - 1, At: engine.EntryID{Term: 1<<64 - 1, Index: 1<<64 - 2}},
	} {
		if back, err := engine.ParseCursor(c.String()); err != nil || back != c {
			t.Errorf("%s: %+v, %v", c, back, err)
		}
		text, err := json.Marshal(c)
		var back engine.Cursor
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back != c {
			t.Errorf("JSON %s: %+v, %v", text, back, err)
		}
	}
}

// sealed is a text with the checksum it needs.
func sealed(head string) string { return fmt.Sprintf("%s.%08x", head, frame.Checksum([]byte(head))) }

func TestCursorHostileText(t *testing.T) {
	good := sealed("rawl1.a.1.2.3")
	if _, err := engine.ParseCursor(good); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "rawl", "rawl1", "rawl.", "rawl1.", "rawl1.a.1.2.3", good + "\n", " " + good, good[1:], good[:len(good)-1], strings.ToUpper(good),
		sealed("raft1.a.1.2.3"), sealed("rawl01.a.1.2.3"), sealed("rawlx.a.1.2.3"), sealed("rawl-1.a.1.2.3"),
		sealed("rawl1.a.1.2"), sealed("rawl1.a.1.2.3.4"), sealed("rawl1..1.2.3"), sealed("rawl1.a/b.1.2.3"),
		sealed("rawl1.a.01.2.3"), sealed("rawl1.a.+1.2.3"), sealed("rawl1.a.1.-2.3"), sealed("rawl1.a.1.2.0x3"),
		sealed("rawl1.a.1.2.18446744073709551616"), sealed("rawl1.a.1.2.18446744073709551615"), sealed("rawl1.a.0.2.3"), sealed("rawl1.a.1.2.0"),
		sealed("rawl1." + strings.Repeat("a", 129) + ".1.2.3"), sealed("rawl1." + strings.Repeat("a", 1<<16) + ".1.2.3"),
	} {
		if _, err := engine.ParseCursor(text); !errors.Is(err, engine.ErrBadCursor) {
			t.Errorf("%.60q: %v", text, err)
		}
	}
	for k := range good { // each bit counts
		for bit := range 8 {
			b := []byte(good)
			b[k] ^= 1 << bit
			if _, err := engine.ParseCursor(string(b)); err == nil {
				t.Errorf("%q is taken", b)
			}
		}
	}
	if _, err := engine.ParseCursor(sealed("rawl2.anything")); !errors.Is(err, engine.ErrVersion) {
		t.Errorf("newer version: %v", err)
	}
}

func FuzzParseCursor(f *testing.F) {
	golden, err := os.ReadFile("testdata/cursor-v1.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{strings.TrimSpace(string(golden)), sealed("rawl1.a.1.2.3"), sealed("rawl1.a.1.0.0"), sealed("rawl2.x"), "rawl1....", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, text := range []string{s, sealed(s)} {
			c, err := engine.ParseCursor(text)
			if err == nil && c.String() != text {
				t.Fatalf("%q is read and written as %q", text, c)
			}
			if err != nil && !errors.Is(err, engine.ErrBadCursor) && !errors.Is(err, engine.ErrVersion) {
				t.Fatalf("%q: %v", text, err)
			}
		}
	})
}

// at makes a cursor of log a in its first life.
func at(l *engine.Log, d *driven, t *testing.T, id engine.EntryID) engine.Cursor {
	t.Helper()
	r, err := d.OpenReader(l.UID(), engine.FromNext(), engine.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := r.Cursor()
	c.At = id
	return c
}

func TestCursorDivergence(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		d, l := readerLog(t, engine.Options{}, 10) // 1..10 of term 1
		appendTo(t, d, l, l.Last(), 3, 5)          // 11..15 of term 3
		appendTo(t, d, l, l.Last(), 6, 5)          // 16..20 of term 6
		if flushed {
			d.flush(t)
		}
		for _, c := range []struct {
			at           engine.EntryID
			have, common engine.Index
		}{
			{engine.EntryID{Term: 2, Index: 12}, 12, 10}, // of a leader between 1 and 3
			{engine.EntryID{Term: 2, Index: 18}, 18, 10},
			{engine.EntryID{Term: 5, Index: 18}, 18, 15},
			{engine.EntryID{Term: 5, Index: 8}, 8, 7}, // newer than the log
			{engine.EntryID{Term: 6, Index: 25}, 0, 20},
			{engine.EntryID{Term: 4, Index: 25}, 0, 15},
			{engine.EntryID{Term: 7, Index: 1}, 1, 0},
		} {
			_, err := d.OpenReader("a", engine.AtCursor(at(l, d, t, c.at)), engine.ReaderOptions{})
			de := wantAs[*engine.DivergedError](t, c.at.String(), err)
			if !errors.Is(err, engine.ErrDiverged) || de.Have.Index != c.have || de.Common != c.common || de.Last.Index != 20 || de.Cursor.At != c.at {
				t.Errorf("%v: %+v, want common %d", c.at, de, c.common)
			}
		}
		if err := l.Release(12); err != nil {
			t.Fatal(err)
		}
		_, err := d.OpenReader("a", engine.AtCursor(at(l, d, t, engine.EntryID{Term: 1, Index: 9})), engine.ReaderOptions{})
		if g := wantAs[*engine.GapError](t, "released", err); g.Want != 10 || g.First != 13 {
			t.Errorf("%+v", g)
		}
		_, err = d.OpenReader("a", engine.AtCursor(at(l, d, t, engine.EntryID{Term: 2, Index: 12})), engine.ReaderOptions{})
		if de := wantAs[*engine.DivergedError](t, "at the newest released", err); de.Common != 0 {
			t.Errorf("%+v", de)
		}
		commit(t, l, 20)
		r := openReader(t, d.Engine, engine.AtCursor(at(l, d, t, engine.EntryID{Term: 3, Index: 12})), engine.ReaderOptions{})
		wantTake(t, "continued", r, append(span(3, 13, 15), span(6, 16, 20)...))
		closeEngine(t, d.Engine)
	}
}

// A cursor survives a restart, and does not fit a log that was deleted and made anew.
func TestCursorIncarnation(t *testing.T) {
	ctx := context.Background()
	fs := memfs.New(1)
	e := openMem(t, fs, engine.Options{WALFileBytes: 1 << 20})
	l, err := e.CreateSync(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendSync(ctx, engine.EntryID{}, entries(engine.EntryID{}, 1, 10)); err != nil {
		t.Fatal(err)
	}
	commit(t, l, 5)
	r := openReader(t, e, engine.FromFirst(), engine.ReaderOptions{})
	wantTake(t, "before", r, span(1, 1, 5))
	text := r.Cursor().String()
	closeEngine(t, e)

	e = openMem(t, fs, engine.Options{WALFileBytes: 1 << 20})
	c, err := engine.ParseCursor(text)
	if err != nil {
		t.Fatal(err)
	}
	r = openReader(t, e, engine.AtCursor(c), engine.ReaderOptions{})
	if l, err = e.Log("a"); err != nil || l.Committed() != 0 {
		t.Fatalf("committed %d, %v", l.Committed(), err)
	}
	wantTake(t, "the owner has said nothing yet", r, nil)
	commit(t, l, 10)
	wantTake(t, "after", r, span(1, 6, 10))

	if err := e.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if l, err = e.CreateSync(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := l.AppendSync(ctx, engine.EntryID{}, entries(engine.EntryID{}, 1, 10)); err != nil {
		t.Fatal(err)
	}
	_, err = e.OpenReader("a", engine.AtCursor(c), engine.ReaderOptions{})
	wantErr(t, "recreated", err, engine.ErrIncarnation)
	if _, err = e.CreateSync(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	_, err = e.OpenReader("b", engine.AtCursor(c), engine.ReaderOptions{})
	wantErr(t, "of another log", err, engine.ErrIncarnation)
	_, err = e.OpenReader("a", engine.AtCursor(engine.Cursor{UID: "a"}), engine.ReaderOptions{})
	wantErr(t, "made by hand", err, engine.ErrBadCursor)
	closeEngine(t, e)
}
