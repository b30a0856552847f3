package raft

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rawl-db/rawl/raft/core"
)

// ApplierOptions configures an Applier.
type ApplierOptions struct {
	// New makes the machine, in its state before the first command. Required.
	New func() Machine
	// InitialVersion is the machine version in force before the log's first entry. It is the same on all
	// members. At most the machine's own.
	InitialVersion uint64
	// Place says where the member stands.
	Place Place
}

// Applier applies the committed entries of one log to a machine: it decodes them, keeps the session table,
// knows the machine version in force, and returns the effects that this member has to carry out. Every
// server has one; tools and tests use it to apply a log by themselves.
//
// It is as deterministic as its machine, reads no clock and starts no goroutine. Its methods are called by
// one goroutine at a time; Admit and AdmitOpen alone may be called by any, at any time.
type Applier struct {
	machine Machine
	known   uint64 // newest version that the machine knows
	version uint64 // in force
	place   Place
	state   ServerState
	at      EntryID // last entry applied
	time    int64   // the highest so far
	failed  error   // why nothing is applied any more
	decoder commandDecoder

	// Used anew for each call.
	ctx     ApplyContext
	pending []AuxEvent // what the AuxHandler is about to hear of

	watched map[SessionID]bool // sessions that the AuxHandler monitors, nil for none
	applied atomic.Uint64      // at.Index, stored behind what the entry changed in the table
	mu      struct {
		sync.Mutex
		table *sessionTable // changed by the owner's goroutine only
	}
}

// NewApplier makes an Applier that has applied nothing. Errors: ErrMachineVersion, and a MachineError
// when making the machine panics or yields none.
func NewApplier(o ApplierOptions) (*Applier, error) {
	a := &Applier{place: o.Place}
	a.mu.table = newSessionTable()
	var m Machine
	if err := guard("New", 0, func() { m = o.New() }); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, &MachineError{Op: "New", Cause: fmt.Errorf("%w: no machine", ErrEffect)}
	}
	a.machine = m
	if v, ok := optional[Versioned](m); ok {
		if err := guard("Version", 0, func() { a.known = v.Version() }); err != nil {
			return nil, err
		}
	}
	if err := a.selectVersion(o.InitialVersion); err != nil {
		return nil, err
	}
	return a, nil
}

// selectVersion puts a machine version in force.
func (a *Applier) selectVersion(version uint64) error {
	if version > a.known {
		return fmt.Errorf("%w: version %d, the machine knows %d", ErrMachineVersion, version, a.known)
	}
	if v, ok := optional[Versioned](a.machine); ok {
		var m Machine
		err := guard("WhichMachine", a.at.Index, func() { m = v.WhichMachine(version) })
		if err == nil && m == nil {
			err = &MachineError{Op: "WhichMachine", Index: a.at.Index, Cause: fmt.Errorf("%w: none of version %d", ErrMachineVersion, version)}
		}
		if _, versioned := optional[Versioned](m); err == nil && !versioned {
			err = &MachineError{Op: "WhichMachine", Index: a.at.Index, Cause: fmt.Errorf("%w: version %d is not Versioned", ErrMachineVersion, version)}
		}
		if err != nil {
			return a.fail(err)
		}
		a.machine = m
	}
	a.version = version
	return nil
}

// fail ends the applying for good.
func (a *Applier) fail(err error) error {
	a.failed = err
	return err
}

// Failed reports whether nothing is applied any more, because of a MachineError.
func (a *Applier) Failed() bool { return a.failed != nil }

// Machine returns the machine in force. It belongs to the Applier: read it between calls only.
func (a *Applier) Machine() Machine { return a.machine }

// At is the last entry applied, zero before the first.
func (a *Applier) At() EntryID { return a.at }

// Version is the machine version in force, Known the newest that the machine's code knows.
func (a *Applier) Version() uint64 { return a.version }

// Known is described at Version.
func (a *Applier) Known() uint64 { return a.known }

// Time is the time of the last entry applied, in milliseconds since 1970 (UTC); it never falls.
func (a *Applier) Time() int64 { return a.time }

// restingEffects is how many effects' memory an Applier keeps while it rests.
const restingEffects = 8

// Rest gives back the memory that a burst of effects has left behind. Call it when nothing is left to apply.
func (a *Applier) Rest() {
	if cap(a.ctx.Effects.list) > restingEffects {
		a.ctx.Effects.list = nil
	}
	a.pending = nil
}

// Apply applies the next entry and returns what is to be carried out because of it, in order, before the next call
// of any method: the slice is used again then. The entry's data must stay as it is until Apply returns,
// or longer when a reply aliases it. Entries of the core only move the position, but for a noop, which may raise the
// machine version.
//
// Errors: ErrApplyOrder, ErrMalformed and ErrUnknownFormat, when the entry is none that can be applied
// here, and ErrMachineVersion: nothing has changed then. A MachineError ends the applying: every later call
// returns it.
func (a *Applier) Apply(e Entry) ([]Effect, error) {
	if a.failed != nil {
		return nil, a.failed
	}
	if e.Index != a.at.Index+1 || e.Term < a.at.Term {
		return nil, fmt.Errorf("%w: %v behind %v", ErrApplyOrder, e.ID(), a.at)
	}
	var command Command
	c := &command
	mine, err := a.decode(c, e)
	if err != nil {
		return nil, fmt.Errorf("entry %v: %w", e.ID(), err)
	}
	if !mine {
		a.moved(e.ID())
		return nil, nil
	}
	if c.Kind == KindMachineVersion && c.Version > a.known {
		return nil, fmt.Errorf("entry %v: %w: version %d, the machine knows %d", e.ID(), ErrMachineVersion, c.Version, a.known)
	}
	a.time = max(a.time, c.Time)
	a.prepare(e.ID(), c)
	if err := a.dispatch(c); err != nil {
		return nil, a.fail(err)
	}
	a.moved(e.ID())
	return a.finish()
}

// decode reads an entry and reports whether it is one for the machine's side. A new term's noop is: it says which
// machine version applies from it on.
func (a *Applier) decode(c *Command, e Entry) (mine bool, err error) {
	switch {
	case e.Type == core.KindNoop:
		version, err := core.UnmarshalNoop(e.Data)
		if errors.Is(err, core.ErrVersion) {
			return false, fmt.Errorf("%w: %w", ErrUnknownFormat, err)
		}
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		*c = Command{Kind: KindMachineVersion, Version: version}
		return true, nil
	case CommandKind(e.Type) < FirstCommandKind:
		return false, nil
	}
	return true, a.decoder.decode(c, CommandKind(e.Type), e.Data)
}

func (a *Applier) moved(id EntryID) {
	a.at = id
	a.applied.Store(uint64(id.Index))
}

func (a *Applier) prepare(id EntryID, c *Command) {
	a.ctx.Meta = Meta{Index: id.Index, Term: id.Term, Time: a.time, Version: a.version, Priority: c.Priority,
		Reply: c.Reply, Origin: c.Origin, ReplyNode: c.ReplyNode}
	a.ctx.Effects.begin(a.state.role(), id.Index)
}

func (a *Applier) dispatch(c *Command) error {
	switch c.Kind {
	case KindUser:
		return a.user(c)
	case KindSessionOpen, KindSessionKeepAlive, KindSessionClose, KindSessionExpire:
		return a.sessionCommand(c)
	case KindTimeout:
		return a.event(TimedOut{Name: c.Timer, Armed: c.Armed})
	case KindNodeUp:
		return a.event(NodeUp{Node: c.Node, Incarnation: c.Incarnation, Armed: c.Armed})
	case KindNodeDown:
		return a.event(NodeDown{Node: c.Node, Incarnation: c.Incarnation, Armed: c.Armed})
	case KindMachineVersion:
		return a.upgrade(c.Version)
	}
	return nil
}

// user applies a user's command, unless its session says that it was applied before, or must not be.
func (a *Applier) user(c *Command) error {
	inSession := c.Session.ID != 0
	a.ctx.Session = c.Session
	if inSession {
		status, reply := a.beginCommand(c)
		if status != statusNew {
			a.answer(c, status, reply, 0)
			a.ctx.recalled()
			return nil
		}
	}
	var reply []byte
	if err := guard("Apply", a.ctx.Index, func() { reply = a.machine.Apply(&a.ctx, c.Payload) }); err != nil {
		return err
	}
	if a.ctx.bad != nil {
		return &MachineError{Op: "Apply", Index: a.ctx.Index, Cause: a.ctx.bad}
	}
	status := StatusApplied
	if inSession {
		a.mu.Lock()
		a.mu.table.finish(c.Session, c.Priority, reply)
		a.mu.Unlock()
	}
	if len(reply) > MaxReply {
		status, reply = StatusReplyTooLarge, nil
	}
	a.answer(c, status, reply, 0)
	return nil
}

// answer asks for the reply to a command, from whoever is to give it.
func (a *Applier) answer(c *Command, status ReplyStatus, reply []byte, opened SessionID) {
	if c.Reply == NoReply {
		return
	}
	node := c.Origin.Node
	if c.Reply == ReplyFromMember {
		node = c.ReplyNode
	}
	a.ctx.add(Effect{Kind: EffectReply, Local: c.Reply > ReplyFromLeader, Node: node, Session: opened, Data: reply,
		Origin: c.Origin, Mode: c.Reply, Status: status})
}

// event has the machine apply an event, if it hears of them.
func (a *Applier) event(ev Event) error {
	events, ok := optional[EventApplier](a.machine)
	if !ok {
		return nil
	}
	if err := guard("ApplyEvent", a.ctx.Index, func() { events.ApplyEvent(&a.ctx, ev) }); err != nil {
		return err
	}
	if a.ctx.bad != nil {
		return &MachineError{Op: "ApplyEvent", Index: a.ctx.Index, Cause: a.ctx.bad}
	}
	return nil
}

// upgrade raises the machine version. A version that is not above the one in force comes from a leader that
// did not know better, and changes nothing.
func (a *Applier) upgrade(version uint64) error {
	if version <= a.version {
		return nil
	}
	from := a.version
	if err := a.selectVersion(version); err != nil {
		return err
	}
	a.ctx.Version = version
	return a.event(VersionChanged{From: from, To: version})
}
