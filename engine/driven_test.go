package engine_test

import (
	"testing"
	"time"

	"github.com/rawl-db/rawl/engine"
	"github.com/rawl-db/rawl/internal/vfs"
)

// driven is an engine whose parts are stepped on the test's goroutine, so that the test decides
// what is durable and what is flushed. It is world without the model.
type driven struct {
	*engine.Engine
	parts map[string]engine.Part
}

func openDriven(t *testing.T, fs vfs.FS, o engine.Options) *driven {
	t.Helper()
	e, err := engine.OpenParts(fs, "/db", o)
	if err != nil {
		t.Fatal(err)
	}
	d := &driven{Engine: e, parts: map[string]engine.Part{}}
	for _, p := range e.Parts() {
		d.parts[p.Name] = p
	}
	return d
}

// step steps the parts once, in this order, and reports whether one of them has more to do.
func (d *driven) step(names ...string) (more bool) {
	for _, name := range names {
		again, _ := d.parts[name].Step()
		more = again || more
	}
	return more
}

// drain steps the parts until none of them has anything to do.
func (d *driven) drain(t *testing.T, names ...string) {
	t.Helper()
	for range 10_000 {
		if !d.step(names...) {
			return
		}
	}
	t.Fatalf("%v do not come to rest: %+v", names, d.Stats())
}

// flush makes everything durable and moves it to segments.
func (d *driven) flush(t *testing.T) {
	t.Helper()
	_ = d.Flush(canceled()) // asks for the roll; what it would wait for is stepped here
	d.drain(t, "commit", "pool", "flush")
	if n := d.Stats().SealedFiles; n > 0 {
		t.Fatalf("%d files wait after the flush", n)
	}
}

// until steps everything until a call that runs beside it has returned.
func (d *driven) until(t *testing.T, returned <-chan error) error {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case err := <-returned:
			return err
		case <-deadline:
			health, cause := d.Health()
			t.Fatalf("the call does not return: health %v, %v", health, cause)
		default:
			d.step("commit", "pool", "flush", "monitor")
		}
	}
}
