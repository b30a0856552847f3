package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"github.com/rawl-db/rawl/engine"
)

// capture takes a snapshot of a log at index i, with a state of several chunks and live entries.
func capture(t *testing.T, l *engine.Log, i engine.Index, live ...engine.Index) {
	t.Helper()
	term, err := l.Term(i)
	if err != nil {
		t.Fatal(err)
	}
	var set engine.Seq
	for _, i := range live {
		set.Add(i)
	}
	done := make(chan error, 1)
	err = l.Capture(engine.Capture{Kind: engine.KindSnapshot, At: engine.EntryID{Term: term, Index: i}, Live: set,
		Context: []byte("context"),
		State: func(w io.Writer) error {
			_, err := w.Write(bytes.Repeat([]byte{byte(i), byte(term), 3}, 1<<20))
			return err
		},
		Done: func(_ engine.Snapshot, err error) { done <- err }})
	if err == nil {
		err = <-done
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stateOf hashes what a log restores from.
func stateOf(t *testing.T, l *engine.Log) string {
	t.Helper()
	r, err := l.Restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	state, err := r.State()
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	h := sha256.New()
	if _, err := io.Copy(h, state); err != nil {
		t.Fatal(err)
	}
	h.Write(r.Context())
	for i := range r.Live().All() {
		e, err := l.Read(i)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(e.Data)
	}
	return r.Info().ID.String() + " " + hex.EncodeToString(h.Sum(nil))
}

// wantRestarted compares a log of both sides, with its snapshot.
func (w *world) wantRestarted(t *testing.T, uid engine.UID) {
	t.Helper()
	w.wantMirrored(t, uid)
	from, to := fill(t, w.source, uid, 0, 0), fill(t, w.target, uid, 0, 0)
	if a, b := stateOf(t, from), stateOf(t, to); a != b || from.First() != to.First() {
		t.Fatalf("log %s: %s from %d, %s from %d", uid, a, from.First(), b, to.First())
	}
}

// A gap is met by the snapshot that bridges it, for a log that is new to the target and for one that
// has fallen behind, and the log goes on then, with a file that is older than the snapshot, too.
func TestRestarts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		l := fill(t, w.source, "a", 20, 2)
		capture(t, l, 15, 3, 4, 9)
		if err := w.mirror(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantRestarted(t, "a")
		old, err := os.ReadFile(w.places.path("a"))
		if err != nil {
			t.Fatal(err)
		}
		for round := range engine.Term(3) {
			fill(t, w.source, "a", 30, 3+round)
			capture(t, l, l.Last().Index-7, 4, 9, l.Last().Index-10)
			if err := w.mirror(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.wantRestarted(t, "a")
			if err := os.WriteFile(w.places.path("a"), old, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		fill(t, w.source, "a", 5, 9)
		if err := w.mirror(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantRestarted(t, "a")
	})
}

// A restart that is damaged or interrupted anywhere is taken up again.
func TestRestartInterrupted(t *testing.T) {
	for name, spoil := range spoils {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				l := fill(t, w.source, "a", 20, 1)
				for round := range 12 {
					capture(t, l, l.Last().Index-5, 3, 4, 9)
					connections := 0
					w.pipe.spoil = func(c net.Conn) net.Conn {
						if connections++; connections != 3 { // the list, the gap, the restart
							return c
						}
						return &spoiltConn{Conn: c, skip: round, at: 100 * round, spoil: spoil}
					}
					if err := w.mirror(t.Context()); err != nil {
						t.Fatal(err)
					}
					w.wantRestarted(t, "a")
					fill(t, w.source, "a", 20, engine.Term(round+2))
				}
			})
		})
	}
}

// A source that lets go of what comes next while a snapshot travels sends the next one.
func TestRestartOvertaken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		l := fill(t, w.source, "a", 20, 1)
		capture(t, l, 15)
		connections := 0
		w.pipe.spoil = func(c net.Conn) net.Conn {
			if connections++; connections != 3 {
				return c
			}
			return &hookedConn{Conn: c, skip: 2, hook: func() {
				fill(t, w.source, "a", 30, 2)
				capture(t, l, 40)
			}}
		}
		if err := w.mirror(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantRestarted(t, "a")
		if connections != 5 {
			t.Fatalf("%d connections", connections)
		}
	})
}

// hookedConn calls hook before one of its writes.
type hookedConn struct {
	net.Conn
	skip int
	hook func()
}

func (c *hookedConn) Write(b []byte) (int, error) {
	if c.skip--; c.skip == 0 {
		c.hook()
	}
	return c.Conn.Write(b)
}

// A snapshot of an older term than what was mirrored is another history.
func TestRestartDiverges(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		fill(t, w.source, "a", 5, 7)
		if err := w.mirror(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.replaceSource(t, 20, 6)
		capture(t, fill(t, w.source, "a", 0, 0), 15)
		if err := w.mirror(t.Context()); !errors.Is(err, engine.ErrDiverged) {
			t.Fatal(err)
		}
		if l := fill(t, w.target, "a", 0, 0); l.Last() != (engine.EntryID{Term: 7, Index: 5}) {
			t.Fatalf("the target's log was changed: it ends at %v", l.Last())
		}
	})
}

func TestChunkRefused(t *testing.T) {
	_, whole, err := frameOf(appendChunk(nil, 3, []byte("data"), engine.ChunkSum{Seed: 1, Hash: 2}))
	if err != nil {
		t.Fatal(err)
	}
	n, data, sum, err := parseChunk(whole)
	if n != 3 || string(data) != "data" || sum != (engine.ChunkSum{Seed: 1, Hash: 2}) || err != nil {
		t.Fatal(n, data, sum, err)
	}
	for at := range chunkHeaderBytes {
		if _, _, _, err := parseChunk(whole[:at]); !errors.Is(err, ErrFrame) {
			t.Errorf("cut at %d: %v", at, err)
		}
	}
	whole[3] = 0x80
	if _, _, _, err := parseChunk(whole); !errors.Is(err, ErrFrame) {
		t.Error(err)
	}
}
