package machinetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/rawl-db/rawl/raft"
)

// checkViews takes views at every mark and writes them later: after the entries up to the next mark; bit
// by bit between those entries; and on another goroutine beside them.
func checkViews(c *Config, h *history) error {
	for _, write := range []func(*member, int) error{writeLate, writeBitByBit, writeBeside} {
		m, err := start(h, c.New, raft.StateLeader)
		if err != nil {
			return err
		}
		for n := 0; n < len(h.entries); {
			next := n + 1
			for !h.marked(next) {
				next++
			}
			if n == 0 {
				err = m.follow(ErrNondeterministic, next, false, nil)
			} else {
				err = write(m, next)
			}
			if err != nil {
				return err
			}
			n = next
		}
	}
	return nil
}

// frozen compares what a view wrote with the state of its moment.
func (m *member) frozen(c *raft.Capture, state []byte) error {
	if want := m.h.marks[int(c.At.Index)].state; !bytes.Equal(state, want) {
		return m.h.violation(ErrViewChanged, int(c.At.Index), firstDifference(string(state), string(want)), nil)
	}
	return nil
}

func writeLate(m *member, next int) error {
	c, err := m.capture()
	if err != nil {
		return err
	}
	if err := m.follow(ErrLocalChange, next, false, nil); err != nil {
		return err
	}
	state, err := m.write(c.View)
	if err != nil {
		return err
	}
	return m.frozen(c, state)
}

func writeBitByBit(m *member, next int) error {
	c, err := m.capture()
	if err != nil {
		return err
	}
	g := newGate(c.View)
	err = m.follow(ErrLocalChange, next, false, func(*raft.Entry) func() { return g.pass })
	state, writeErr := g.rest()
	if writeErr != nil {
		writeErr = m.h.violation(ErrFailed, int(c.At.Index), "View.WriteTo", writeErr)
	}
	if err := errors.Join(err, writeErr); err != nil {
		return err
	}
	return m.frozen(c, state)
}

// gate lets a view write one piece at a time: its goroutine runs only while its owner waits.
type gate struct {
	b     bytes.Buffer
	turns chan struct{} // owner to writer: one Write may return
	stops chan bool     // writer to owner: it stands before a Write (true), or has ended (false)
	done  bool          // owner: the writer has ended
	err   error         // written before the end is told
}

// newGate starts the writer; it ends when rest is called, at the latest.
func newGate(v raft.View) *gate {
	g := &gate{turns: make(chan struct{}), stops: make(chan bool)}
	go func() {
		_, g.err = writeView(v, g)
		g.stops <- false
	}()
	g.done = !<-g.stops
	return g
}

// Write is called by the view.
func (g *gate) Write(b []byte) (int, error) {
	g.stops <- true
	<-g.turns
	return g.b.Write(b)
}

// pass lets one piece through.
func (g *gate) pass() {
	if !g.done {
		g.turns <- struct{}{}
		g.done = !<-g.stops
	}
}

// rest lets everything through, and returns what was written.
func (g *gate) rest() ([]byte, error) {
	for !g.done {
		g.pass()
	}
	return g.b.Bytes(), g.err
}

func writeBeside(m *member, next int) error {
	c, err := m.capture()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	written := make(chan error)
	go func() { // ends with the view's WriteTo, which is waited for below
		_, err := writeView(c.View, &b)
		written <- err
	}()
	err = m.follow(ErrLocalChange, next, false, nil)
	writeErr := <-written
	if writeErr != nil {
		writeErr = m.h.violation(ErrFailed, int(c.At.Index), "View.WriteTo", writeErr)
	}
	if err := errors.Join(err, writeErr); err != nil {
		return err
	}
	return m.frozen(c, b.Bytes())
}

// errDevice is what faulty readers and writers return.
var errDevice = errors.New("device failed")

// checkFaults writes a view to a writer that fails, and restores from a reader that does.
func checkFaults(c *Config, h *history) error {
	n := len(h.entries)
	m, err := start(h, c.New, raft.StateRecover)
	if err != nil {
		return err
	}
	if err := m.follow(ErrNondeterministic, n, false, nil); err != nil {
		return err
	}
	state := h.marks[n].state
	for _, room := range []int{0, len(state) / 2, len(state) - 1} {
		if room < 0 || room >= len(state) {
			continue
		}
		v, err := m.capture()
		if err != nil {
			return err
		}
		if _, err := writeView(v.View, &fullWriter{room: room}); err == nil {
			return h.violation(ErrErrorSwallowed, n, fmt.Sprintf("a writer that failed after %d of %d bytes", room, len(state)), nil)
		}
		if room == len(state)-1 {
			continue // a decoder may be content without the last byte
		}
		a, err := raft.NewApplier(raft.ApplierOptions{New: c.New, InitialVersion: h.version})
		if err != nil {
			return h.violation(ErrFailed, n, "", err)
		}
		err = a.Restore(h.marks[n].at, h.marks[n].context, &slowReader{b: state[:room], end: errDevice})
		var failed *raft.MachineError
		if errors.As(err, &failed) && failed.Panic != nil {
			return h.violation(ErrFailed, n, "", err)
		}
		// The reader is read to its end behind Restore; the machine itself has to say that it has no state.
		if failed == nil {
			return h.violation(ErrErrorSwallowed, n, fmt.Sprintf("a reader that failed after %d of %d bytes", room, len(state)), nil)
		}
	}
	return nil
}

// fullWriter fails when its room is used up.
type fullWriter struct{ room int }

func (w *fullWriter) Write(b []byte) (int, error) {
	if len(b) <= w.room {
		w.room -= len(b)
		return len(b), nil
	}
	n := w.room
	w.room = 0
	return n, errDevice
}

// slowReader yields one byte at a time, and then end, or io.EOF.
type slowReader struct {
	b   []byte
	end error
}

func (r *slowReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if len(r.b) == 0 {
		if r.end != nil {
			return 0, r.end
		}
		return 0, io.EOF
	}
	b[0] = r.b[0]
	r.b = r.b[1:]
	return 1, nil
}

func closeView(v raft.View) {
	if c, ok := v.(io.Closer); ok {
		c.Close()
	}
}
