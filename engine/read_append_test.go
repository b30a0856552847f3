package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs/memfs"
)

// TestReadBesideFirstAppend reads the first entry of logs while it is appended: there is none, or
// it is whole. An empty entry without an error is neither.
func TestReadBesideFirstAppend(t *testing.T) {
	const size = 100 << 10
	e := openMem(t, memfs.New(1), engine.Options{WALFileBytes: 1 << 20})
	defer closeEngine(t, e)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for n := range tries(100) {
		l, err := e.Create(engine.UID(fmt.Sprintf("log-%d", n)))
		if err != nil {
			t.Fatal(err)
		}
		began, read := make(chan struct{}), make(chan error, 1)
		go func() {
			_, _ = l.Read(1)
			close(began)
			read <- readFirst(ctx, l, size)
		}()
		<-began
		if err := l.Append(engine.EntryID{}, []engine.Entry{{Index: 1, Term: 1, Data: make([]byte, size)}}); err != nil {
			t.Fatal(err)
		}
		if err := <-read; err != nil {
			t.Fatalf("log %d: %v", n, err)
		}
	}
}

// readFirst reads entry 1 until it is there.
func readFirst(ctx context.Context, l *engine.Log, size int) error {
	for ctx.Err() == nil {
		e, err := l.Read(1)
		switch {
		case err == nil && (e.ID() != engine.EntryID{Term: 1, Index: 1} || len(e.Data) != size):
			return fmt.Errorf("read %v of %d bytes", e.ID(), len(e.Data))
		case err == nil || !errors.Is(err, engine.ErrOutOfRange):
			return err
		}
	}
	return context.Cause(ctx)
}
