package raft

import (
	"errors"
	"io"
)

// A snapshot for a cursor with NoSnapshotSends that is being written when a transfer begins gives way: it would be newer than what is
// sent. Such a cursor waits for the transfer then. The next snapshot gives way to nothing, so that transfers without end do not keep the
// log for ever.

// errGivesWay is the end of a snapshot that gave way.
var errGivesWay = errors.New("raft: a snapshot is being sent")

// yieldingWriter is what such a snapshot is written to.
type yieldingWriter struct {
	to    io.Writer
	held  func() bool
	until int // the next look, in bytes
	gave  bool
}

// yieldEvery is how many bytes are written between looks.
const yieldEvery = 1 << 20

// Write implements io.Writer.
func (w *yieldingWriter) Write(b []byte) (int, error) {
	if w.until -= len(b); w.until <= 0 {
		w.until = yieldEvery
		if err := w.look(); err != nil {
			return 0, err
		}
	}
	return w.to.Write(b)
}

func (w *yieldingWriter) look() error {
	if w.gave = w.gave || w.held(); w.gave {
		return errGivesWay
	}
	return nil
}

// stateOf is how the state of a capture is written for an effect.
func (r *realiser) stateOf(c *Capture, e *Effect) func(io.Writer) error {
	plain := func(w io.Writer) error {
		_, err := c.WriteTo(w)
		return err
	}
	if e.Kind != EffectReleaseCursor || !e.When.NoSnapshotSends {
		return plain
	}
	if w := r.waiting(); w.gaveWay {
		w.gaveWay = false
		return plain
	}
	s := r.server
	return func(to io.Writer) error {
		w := &yieldingWriter{to: to, held: func() bool { return s.outgoing.held(c.At.Index, s.node.now()) }}
		_, err := c.WriteTo(w)
		if end := w.look(); end != nil { // whatever the machine makes of it
			return end
		}
		return err
	}
}

// givesWay has a cursor wait whose snapshot gave way.
func (r *realiser) givesWay(e Effect) {
	r.server.applies.do(func() error {
		r.waiting().gaveWay = true
		r.capture(&e)
		return nil
	})
}
