package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

// TestCopies makes a copy, goes on in it, and compares.
func TestCopies(t *testing.T) {
	dir := makeEngine(t)
	ctx := context.Background()
	e, err := engine.Open(dir, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	l, err := e.Log("a")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	c := engine.Capture{Kind: engine.KindSnapshot, At: engine.EntryID{Term: 1, Index: 33},
		State: func(w io.Writer) error { _, err := fmt.Fprint(w, "state"); return err },
		Done:  func(_ engine.Snapshot, err error) { done <- err }}
	c.Live.Add(5)
	if err := errors.Join(l.Capture(c), <-done, e.Flush(ctx)); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	want(t, 11, "in use", "backup", dir, to)
	if err := e.Close(ctx); err != nil {
		t.Fatal(err)
	}
	want(t, 0, "copied", "backup", dir, to)
	want(t, 1, "already exists", "backup", dir, to)
	want(t, 0, "1 live entries", "verify", to)
	want(t, 0, "snapshot  1/33", "ls", to)
	want(t, 0, "1 entries below 34", "pins", to)
	want(t, 0, `"holder": "snapshot"`, "pins", "-json", to)
	want(t, 0, "0 slots", "readers", to)
	want(t, 0, "[]", "readers", "-json", to)
	want(t, 0, "a: equal in 13 entries", "diff", dir, to)
	if e, err = engine.Open(to, testOptions); err != nil {
		t.Fatal(err)
	}
	at := engine.EntryID{Term: 1, Index: 40}
	if l, err = e.Log("a"); err == nil {
		err = l.AppendSync(ctx, at, []engine.Entry{{Index: 41, Term: 2, Data: []byte("other")}})
	}
	if err := errors.Join(err, e.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	want(t, 10, "a: differs at 41: 1/41", "diff", dir, to)
	want(t, 10, `"differs_at": 41`, "diff", "-uid", "a", "-json", dir, to)
	want(t, 0, "b: equal in 5 entries", "diff", "-uid", "b", dir, to)
	want(t, 1, "no such log", "diff", "-uid", "nobody", dir, to)
	if err := os.WriteFile(filepath.Join(to, "FORMAT"), []byte("backup incomplete\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, 10, "incomplete", "verify", to)
	want(t, 10, "incomplete", "repair", "-yes", to)
}
