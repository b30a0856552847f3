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
	// View writes the state, on any goroutine. Who captured it closes it if it is an io.Closer.
	View View
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

// Restore takes over what a Capture held: its position, its Context, and the bytes that its View wrote, which are read
// to the end. The Applier must have applied nothing. Neither slice nor reader is kept. Errors:
// ErrApplyOrder when something was applied; ErrMalformed, ErrUnknownFormat and ErrMachineVersion about the context;
// those of the reader; those of the machine's Restore, as the Cause of a MachineError. After an error
// the Applier is not usable.
func (a *Applier) Restore(at EntryID, context []byte, state io.Reader) error {
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
	var refused error
	if err := guard("Restore", at.Index, func() { refused = a.machine.Restore(state) }); err != nil {
		return a.fail(err)
	}
	if refused != nil {
		return a.fail(&MachineError{Op: "Restore", Index: at.Index, Cause: refused})
	}
	if _, err := io.Copy(io.Discard, state); err != nil {
		return a.fail(fmt.Errorf("raft: restore of %v: %w", at, err))
	}
	a.moved(at)
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
