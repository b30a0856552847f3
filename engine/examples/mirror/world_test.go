package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// digest hashes the entries of a log from first on: index, term, type and payload.
func digest(t *testing.T, l *engine.Log, first engine.Index) string {
	t.Helper()
	h := sha256.New()
	for e, err := range l.ReadRange(first, l.Last().Index) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(h, "%d %d %d %d ", e.Index, e.Term, e.Type, len(e.Data))
		h.Write(e.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// world is a source and a target in memory, for one test within a synctest bubble, which does not end
// while a goroutine is left.
type world struct {
	source, target *engine.Engine
	places         *places
	pipe           *pipe
	logger         *slog.Logger
}

func newWorld(t *testing.T) *world {
	t.Helper()
	kept, err := openPlaces(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &world{source: openEngine(t, "/source"), target: openEngine(t, "/target"), places: kept,
		pipe: &pipe{conns: make(chan net.Conn), closed: make(chan struct{})}, logger: slog.New(slog.DiscardHandler)}
}

func openEngine(t *testing.T, dir string) *engine.Engine {
	t.Helper()
	e, err := engine.OpenOn(memfs.New(1), dir, engine.Options{WALFileBytes: 1 << 20, Backend: engine.BackendFallback})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// mirror runs both sides until the target has all that is committed, and returns its error. ctx ends
// them earlier.
func (w *world) mirror(ctx context.Context) error {
	w.pipe = &pipe{conns: make(chan net.Conn), closed: make(chan struct{}), spoil: w.pipe.spoil}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error)
	go func() { served <- (&source{e: w.source, log: w.logger}).serve(ctx, w.pipe) }()
	tg := &target{e: w.target, places: w.places, dial: w.pipe.dial, once: true, log: w.logger}
	err := tg.run(ctx)
	cancel()
	return errors.Join(err, <-served)
}

func (w *world) close(t *testing.T) {
	t.Helper()
	if err := errors.Join(w.source.Close(context.Background()), w.target.Close(context.Background())); err != nil {
		t.Error(err)
	}
}

// fill appends n demo entries of a term and commits them.
func fill(t *testing.T, e *engine.Engine, uid engine.UID, n uint64, term engine.Term) *engine.Log {
	t.Helper()
	l, err := e.Log(uid)
	if errors.Is(err, engine.ErrNotFound) {
		l, err = e.Create(uid)
	}
	if err != nil {
		t.Fatal(err)
	}
	var entries []engine.Entry
	for i := range engine.Index(n) {
		entries = append(entries, demoEntry(uid, l.Last().Index+1+i, term))
	}
	if err := l.AppendSync(t.Context(), l.Last(), entries); err != nil {
		t.Fatal(err)
	}
	if err := l.SetCommitted(l.Last().Index); err != nil {
		t.Fatal(err)
	}
	return l
}

// wantMirrored compares a log of both sides.
func (w *world) wantMirrored(t *testing.T, uid engine.UID) {
	t.Helper()
	from, err := w.source.Log(uid)
	if err != nil {
		t.Fatal(err)
	}
	to, err := w.target.Log(uid)
	if err != nil {
		t.Fatal(err)
	}
	if from.Last() != to.LastWritten() || digest(t, from, from.First()) != digest(t, to, from.First()) {
		t.Fatalf("log %s: source ends at %v, target at %v", uid, from.Last(), to.LastWritten())
	}
}

// pipe is a network of two. spoil, when it is not nil, gets the source's end of each connection.
type pipe struct {
	conns  chan net.Conn
	closed chan struct{}
	spoil  func(net.Conn) net.Conn
}

func (p *pipe) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	if p.spoil != nil {
		far = p.spoil(far)
	}
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, io.ErrClosedPipe
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error {
	select {
	case <-p.closed:
		return net.ErrClosed
	default:
		close(p.closed)
		return nil
	}
}

func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
