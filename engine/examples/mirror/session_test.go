package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rawl-db/rawl/engine"
)

// inWorld runs a test in a world of its own.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close(t)
		test(t, w)
	})
}

// A target goes on where its log ends, whether its file is as new or older.
func TestResumes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		fill(t, w.source, "a", 600, 1)
		fill(t, w.source, "b", 1, 1)
		if err := w.mirror(t.Context()); err != nil {
			t.Fatal(err)
		}
		old, err := os.ReadFile(w.places.path("a"))
		if err != nil {
			t.Fatal(err)
		}
		for term := range engine.Term(3) {
			fill(t, w.source, "a", 300, term+1)
			if err := os.WriteFile(w.places.path("a"), old, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := w.mirror(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.wantMirrored(t, "a")
			w.wantMirrored(t, "b")
		}
		l, err := w.target.Log("a")
		if err != nil || l.Committed() != 1500 {
			t.Fatalf("%v, committed up to %d", err, l.Committed())
		}
	})
}

// What a source has released without a snapshot is reported, with its indexes, and the other logs go on.
func TestGap(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		l := fill(t, w.source, "released", 10, 1)
		if err := l.Release(4); err != nil {
			t.Fatal(err)
		}
		l = fill(t, w.source, "beyond", 10, 1)
		capture(t, l, 3)
		if err := l.Release(5); err != nil {
			t.Fatal(err)
		}
		fill(t, w.source, "whole", 10, 1)
		err := w.mirror(t.Context())
		if !errors.Is(err, engine.ErrCompacted) {
			t.Fatal(err)
		}
		for _, want := range []engine.GapError{
			{UID: "released", Want: 1, First: 5},
			{UID: "beyond", Want: 1, First: 6, Snapshot: engine.EntryID{Term: 1, Index: 3}},
		} {
			if !strings.Contains(err.Error(), want.Error()) {
				t.Errorf("%v, want %v", err, &want)
			}
		}
		w.wantMirrored(t, "whole")
	})
}

// Another history at the source is reported, and the target's log stays as it is.
func TestDivergence(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, w *world)
		want   error
	}{
		"another term": {func(t *testing.T, w *world) {
			// The source lost its disk, and the log got other entries in the same life.
			w.replaceSource(t, 6, 2)
		}, engine.ErrDiverged},
		"shorter": {func(t *testing.T, w *world) { w.replaceSource(t, 3, 1) }, engine.ErrDiverged},
		"another life": {func(t *testing.T, w *world) {
			if err := w.source.Delete(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			fill(t, w.source, "a", 9, 1)
		}, nil},
		"the log is gone": {func(t *testing.T, w *world) {
			if err := w.target.Delete(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}, ErrPlace},
		"the file is gone": {func(t *testing.T, w *world) {
			if err := os.Remove(w.places.path("a")); err != nil {
				t.Fatal(err)
			}
		}, ErrPlace},
		"the file is damaged": {func(t *testing.T, w *world) {
			if err := os.WriteFile(w.places.path("a"), []byte("mirror1 x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, ErrPlace},
		"the file is of another log": {func(t *testing.T, w *world) {
			if err := os.Rename(w.places.path("b"), w.places.path("a")); err != nil {
				t.Fatal(err)
			}
		}, ErrPlace},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				fill(t, w.source, "a", 5, 1)
				fill(t, w.source, "b", 5, 1)
				if err := w.mirror(t.Context()); err != nil {
					t.Fatal(err)
				}
				before := fill(t, w.target, "a", 0, 0)
				last, sum := before.Last(), digest(t, before, 1)
				c.change(t, w)
				err := w.mirror(t.Context())
				var refused *RefusedError
				if c.want != nil && !errors.Is(err, c.want) || c.want == nil && !errors.As(err, &refused) {
					t.Fatalf("%v, want %v", err, c.want)
				}
				if l, err := w.target.Log("a"); err == nil && (l.Last() != last && l.Last().Index != 0 || l.Last().Index != 0 && digest(t, l, 1) != sum) {
					t.Fatalf("the target's log was changed: it ends at %v", l.Last())
				}
			})
		})
	}
}

// replaceSource gives the source an engine whose log a is of the same life, with n entries of a term.
func (w *world) replaceSource(t *testing.T, n uint64, term engine.Term) {
	t.Helper()
	if err := w.source.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.source = openEngine(t, "/source")
	fill(t, w.source, "a", n, term)
}

var spoils = map[string]func(b []byte, at int) []byte{
	"flipped": func(b []byte, at int) []byte { b[at] ^= 0x10; return b },
	"cut":     func(b []byte, at int) []byte { return b[:at] },
}

// Whatever byte of a connection is damaged or missing, the target ends with the source's entries.
func TestSpoiltConnection(t *testing.T) {
	for name, spoil := range spoils {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				for round := range 40 {
					fill(t, w.source, "a", 3, engine.Term(round+1))
					spoilt := false
					w.pipe.spoil = func(c net.Conn) net.Conn {
						if spoilt {
							return c
						}
						spoilt = true
						return &spoiltConn{Conn: c, at: round * 61, spoil: spoil}
					}
					if err := w.mirror(t.Context()); err != nil {
						t.Fatal(err)
					}
					w.wantMirrored(t, "a")
				}
			})
		})
	}
}

// spoiltConn changes what is written, at one byte of one write, and ends then.
type spoiltConn struct {
	net.Conn
	skip  int // writes before
	at    int
	spoil func([]byte, int) []byte
}

func (c *spoiltConn) Write(b []byte) (int, error) {
	if c.skip--; c.skip >= 0 {
		return c.Conn.Write(b)
	}
	if _, err := c.Conn.Write(c.spoil(append([]byte(nil), b...), c.at%len(b))); err != nil {
		return 0, err
	}
	return 0, c.Close()
}

// A source hangs up on what it can not understand, and a target that says nothing is not waited for
// for ever.
func TestHostileTarget(t *testing.T) {
	long := appendFrame(nil, kindFollow, func(b []byte) []byte { return append(appendHello(b), make([]byte, maxRequestBytes)...) })
	newer := appendFrame(nil, kindList, func(b []byte) []byte { return append(b, "RMIR\x02\x00\x00\x00"...) })
	for name, sent := range map[string][]byte{
		"nothing":      nil,
		"half a frame": appendFrame(nil, kindList, appendHello)[:10],
		"too long":     long,
		"newer":        newer,
		"no magic":     appendFrame(nil, kindList, func(b []byte) []byte { return append(b, "hello, source"...) }),
		"unknown kind": appendFrame(nil, kindBatch, appendHello),
		"no JSON":      appendFrame(nil, kindFollow, appendHello),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				near, far := net.Pipe()
				go func() { _, _ = near.Write(sent) }()
				err := (&source{e: w.source, log: w.logger}).session(t.Context(), far)
				if !errors.Is(err, ErrFrame) && !errors.Is(err, ErrVersion) && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal(err)
				}
				if n, err := near.Read(make([]byte, 1)); n != 0 || err == nil {
					t.Fatalf("the connection is open: %d bytes, %v", n, err)
				}
			})
		})
	}
}

// The end of the context ends both sides while they wait for entries.
func TestCanceled(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		fill(t, w.source, "a", 5, 1)
		ctx, cancel := context.WithCancel(t.Context())
		served, mirrored := make(chan error), make(chan error)
		go func() { served <- (&source{e: w.source, log: w.logger}).serve(ctx, w.pipe) }()
		tg := &target{e: w.target, places: w.places, dial: w.pipe.dial, log: w.logger}
		go func() { mirrored <- tg.run(ctx) }()
		synctest.Wait()
		w.wantMirrored(t, "a")
		fill(t, w.source, "a", 5, 2)
		synctest.Wait()
		w.wantMirrored(t, "a")
		cancel()
		if err := errors.Join(<-served, <-mirrored); err != nil {
			t.Fatal(err)
		}
	})
}

// A source whose running checksum differs is not believed.
func TestChecksumDiffers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		fill(t, w.source, "a", 5, 1)
		m, err := (&target{e: w.target, places: w.places}).open("a")
		if err != nil {
			t.Fatal(err)
		}
		at := engine.Cursor{UID: "a", Incarnation: 1}
		if err := m.take(t.Context(), kindPlace, []byte(at.String())); err != nil {
			t.Fatal(err)
		}
		_, body, err := frameOf(appendBatch(nil, kindBatch, sampleBatch()))
		if err != nil {
			t.Fatal(err)
		}
		body[8] ^= 1
		if err := m.take(t.Context(), kindBatch, body); !errors.Is(err, ErrChecksum) || errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		if m.l.Last().Index != 0 {
			t.Fatalf("entries were taken: %v", m.l.Last())
		}
	})
}
