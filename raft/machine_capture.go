package raft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// ErrNoAux means that the machine is no AuxHandler.
var ErrNoAux = errors.New("raft: machine handles no aux events")

// contextVersion is the first byte of Capture.Context.
const contextVersion = 1

// Capture is a machine's state at one position, and all that belongs to it.
type Capture struct {
	// At is the last entry that the state covers.
	At EntryID
	// Version is the machine version in force, Time that of the last entry.
	Version uint64
	Time    int64
	// Context holds version, time and session table, at most MaxSessionTable and 32 bytes.
	Context []byte
	// Live are the entries at or below At that the state still refers to.
	Live Seq
	// View writes the state. Use WriteTo and Close, which bear with what it may do wrong.
	View View
}

// WriteTo writes the state by the View, once, on any goroutine. Errors: those of the View, and a
// MachineError when it panics or says that it wrote another number of bytes than it did. What was written
// is no snapshot then; the machine itself goes on.
func (c *Capture) WriteTo(w io.Writer) (int64, error) {
	counted := countingWriter{w: w}
	var n int64
	var failed error
	if err := guard("View.WriteTo", c.At.Index, func() { n, failed = c.View.WriteTo(&counted) }); err != nil {
		return counted.n, err
	}
	if failed == nil && n != counted.n {
		failed = &MachineError{Op: "View.WriteTo", Index: c.At.Index,
			Cause: fmt.Errorf("wrote %d bytes and returned %d", counted.n, n)}
	}
	return counted.n, failed
}

// Close closes the View if it is an io.Closer. Who captured it calls it once, when the View is not needed
// any more. Errors: those of the View, and a MachineError when it panics.
func (c *Capture) Close() error {
	closer, ok := c.View.(io.Closer)
	if !ok {
		return nil
	}
	var failed error
	if err := guard("View.Close", c.At.Index, func() { failed = closer.Close() }); err != nil {
		return err
	}
	return failed
}

// Capture captures the state after the last entry applied. It waits for the machine's Snapshot only. A
// MachineError ends the applying.
func (a *Applier) Capture() (*Capture, error) {
	if a.failed != nil {
		return nil, a.failed
	}
	c := &Capture{At: a.at, Version: a.version, Time: a.time}
	if l, ok := optional[LiveIndexer](a.machine); ok {
		if err := guard("LiveIndexes", a.at.Index, func() { c.Live = l.LiveIndexes() }); err != nil {
			return nil, a.fail(err)
		}
		if last := c.Live.Last(); last > a.at.Index {
			return nil, a.fail(&MachineError{Op: "LiveIndexes", Index: a.at.Index,
				Cause: fmt.Errorf("%w: live index %d", ErrEffect, last)})
		}
	}
	if err := guard("Snapshot", a.at.Index, func() { c.View = a.machine.Snapshot() }); err != nil {
		return nil, a.fail(err)
	}
	if c.View == nil {
		return nil, a.fail(&MachineError{Op: "Snapshot", Index: a.at.Index, Cause: fmt.Errorf("%w: no view", ErrEffect)})
	}
	c.Context = a.appendContext(nil)
	return c, nil
}

func (a *Applier) appendContext(dst []byte) []byte {
	dst = append(dst, contextVersion)
	dst = binary.AppendUvarint(dst, a.version)
	dst = binary.AppendUvarint(dst, uint64(a.time))
	return a.mu.table.appendTo(dst)
}

// Restore takes over what a Capture held: its position, its Context, and the bytes that its View wrote,
// which are read to the end. The Applier must have applied nothing. Neither slice nor reader is kept.
// Errors: ErrApplyOrder when something was applied; ErrMalformed, ErrUnknownFormat and ErrMachineVersion
// about the context; those of the reader; those of the machine's Restore, as the Cause of a MachineError.
// After an error the Applier is not usable.
func (a *Applier) Restore(at EntryID, context []byte, state io.Reader) error {
	if err := a.begin(at, context); err != nil {
		return err
	}
	return a.load(state)
}

// begin takes over all of a Capture but its state: what Admit judges by is there then. Until load has returned nothing else may be
// called.
func (a *Applier) begin(at EntryID, context []byte) error {
	if a.failed != nil {
		return a.failed
	}
	if a.at != (EntryID{}) {
		return fmt.Errorf("%w: restore of %v behind %v", ErrApplyOrder, at, a.at)
	}
	table, err := a.decodeContext(at, context)
	if err != nil {
		return a.fail(err)
	}
	a.mu.Lock()
	a.mu.table = table
	a.mu.Unlock()
	a.moved(at)
	return nil
}

// load has the machine read the state, to the end.
func (a *Applier) load(state io.Reader) error {
	var refused error
	if err := guard("Restore", a.at.Index, func() { refused = a.machine.Restore(state) }); err != nil {
		return a.fail(err)
	}
	if refused != nil {
		return a.fail(&MachineError{Op: "Restore", Index: a.at.Index, Cause: refused})
	}
	if _, err := io.Copy(io.Discard, state); err != nil {
		return a.fail(fmt.Errorf("raft: restore of %v: %w", a.at, err))
	}
	return nil
}

// decodeContext reads the context, and puts its version in force and its time.
func (a *Applier) decodeContext(at EntryID, context []byte) (*sessionTable, error) {
	if len(context) < 1 {
		return nil, malformed("snapshot context empty")
	}
	if context[0] != contextVersion {
		return nil, fmt.Errorf("%w: snapshot context of version %d", ErrUnknownFormat, context[0])
	}
	d := &a.decoder
	d.in, d.bad = context[1:], false
	version, millis := d.uvarint(), d.uvarint()
	if d.bad || millis > math.MaxInt64 {
		return nil, malformed("snapshot context")
	}
	table, err := d.sessionTable(at.Index)
	if err != nil {
		return nil, err
	}
	if len(d.in) > 0 {
		return nil, malformed("snapshot context with %d bytes behind it", len(d.in))
	}
	if err := a.selectVersion(version); err != nil {
		return nil, err
	}
	a.time = int64(millis)
	return table, nil
}

// contextMachine reads the machine version from a Capture's Context.
func contextMachine(context []byte) (version uint64, err error) {
	if len(context) < 1 {
		return 0, malformed("snapshot context empty")
	}
	if context[0] != contextVersion {
		return 0, fmt.Errorf("%w: snapshot context of version %d", ErrUnknownFormat, context[0])
	}
	d := commandDecoder{in: context[1:]}
	if version = d.uvarint(); d.bad {
		return 0, malformed("snapshot context")
	}
	return version, nil
}
