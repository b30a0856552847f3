package raft

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rawl-db/rawl/raft/core"
)

// The operations on the wire. The numbers are frozen.
const (
	wireCommand byte = iota + 1
	wireQuery
	wireMembers
	wireChange
	wireTransfer
	wireTrigger
	wireAux
	wireProgress
	wireOverview
	wireIdentity
	wireStart
	wireShrink
	wireReplace
	wireServer
)

// opUnknown is an operation, or a kind of command, that newer code asks for: it is answered, so that nobody waits.
type opUnknown struct {
	number byte
	rest   []byte
}

// err is what it is answered with.
func (op *opUnknown) err() error { return fmt.Errorf("%w: operation %d", ErrUnknownFormat, op.number) }

// The flags of an opAux.
const (
	auxCast       = 1
	auxConsistent = 2
)

// appendTo encodes a request, its kind included:
//
//	uvarint  number of the request
//	string   name of the server, which is on the receiver's node
//	byte     operation
//	         command: kind (byte), and the entry's data to the end, which says everything else
//	         query: level (byte), name, the entry to be applied before, argument to the end
//	         change: what (byte), the member, expected index
//	         transfer: target
//	         trigger: bool, unless there is a leader
//	         aux: flags, 1 cast and 2 consistent; command to the end
//	         start: see opStart.appendTo
//	         shrink: epoch
//	         replace: incarnation of the member whose log is damaged, on the sender's node; identity of the server in its
//	         place: name, uid, incarnation
//	         server: see opServer.appendTo
//	         the others have nothing
//
// Error: ErrMalformed for a query by a function, and for a start of another server than the request is to; b is returned
// as it was then.
func (p *request) appendTo(b []byte) ([]byte, error) {
	switch c := p.call.(type) {
	case *opCommand:
		return append(append(p.appendHead(b, wireCommand), byte(c.kind)), c.data...), nil
	case *opQuery:
		if c.f != nil {
			return b, malformed("a query by a function stays on its node")
		}
		b = appendName(append(p.appendHead(b, wireQuery), byte(c.level)), c.name)
		return append(appendEntryID(b, c.at), c.arg...), nil
	case *opMembers:
		return p.appendHead(b, wireMembers), nil
	case *opChange:
		b = append(p.appendHead(b, wireChange), byte(c.change.Change))
		return binary.AppendUvarint(appendMember(b, &c.change.Member), uint64(c.change.Expected)), nil
	case *opTransfer:
		return appendServer(p.appendHead(b, wireTransfer), c.to), nil
	case *opTrigger:
		return appendBool(p.appendHead(b, wireTrigger), c.unlessLed), nil
	case *opAux:
		b = append(p.appendHead(b, wireAux), flagIf(c.cast, auxCast)|flagIf(c.consistent, auxConsistent))
		return append(b, c.command...), nil
	case *opProgress:
		return p.appendHead(b, wireProgress), nil
	case *opOverview:
		return p.appendHead(b, wireOverview), nil
	case *opIdentity:
		return p.appendHead(b, wireIdentity), nil
	case *opStart:
		if c.config.Name != p.to.Name {
			return b, malformed("a start of %q in a request to %q", c.config.Name, p.to.Name)
		}
		return c.appendTo(p.appendHead(b, wireStart)), nil
	case *opShrink:
		return binary.AppendUvarint(p.appendHead(b, wireShrink), c.epoch), nil
	case *opReplace:
		b = binary.AppendUvarint(p.appendHead(b, wireReplace), uint64(c.replaces))
		return appendIdentity(b, &c.by), nil
	case *opServer:
		return c.appendTo(p.appendHead(b, wireServer)), nil
	case *opUnknown:
		return append(p.appendHead(b, c.number), c.rest...), nil
	}
	return b, malformed("operation %T has no bytes", p.call)
}

func (p *request) appendHead(b []byte, op byte) []byte {
	b = binary.AppendUvarint(append(b, wireRequest), p.id)
	return append(appendName(b, p.to.Name), op)
}

func (d *packetDecoder) request() *request {
	p := &request{id: d.uvarint(), to: d.here()}
	p.call = d.operation(d.byte(), p.to.Name)
	return p
}

func (d *packetDecoder) operation(number byte, name string) any {
	switch number {
	case 0:
		d.refuse()
		return nil
	case wireCommand:
		return d.command()
	case wireQuery:
		op := &opQuery{level: queryLevel(d.byte()), name: d.text(), at: d.entryID(), arg: d.rest()}
		if op.level > queryConsistent {
			d.refuse()
		}
		return op
	case wireMembers:
		return &opMembers{}
	case wireChange:
		return &opChange{core.ChangeMembership{Change: core.Change(d.byte()), Member: d.member(), Expected: Index(d.uvarint())}}
	case wireTransfer:
		return &opTransfer{to: d.server()}
	case wireTrigger:
		return &opTrigger{unlessLed: d.boolean()}
	case wireAux:
		f := d.flags(auxCast | auxConsistent)
		return &opAux{cast: f&auxCast != 0, consistent: f&auxConsistent != 0, command: d.rest()}
	case wireProgress:
		return &opProgress{}
	case wireOverview:
		return &opOverview{}
	case wireIdentity:
		return &opIdentity{}
	case wireStart:
		return d.start(name)
	case wireShrink:
		return &opShrink{epoch: d.uvarint()}
	case wireReplace:
		return &opReplace{replaces: core.Incarnation(d.uvarint()), by: d.identity()}
	case wireServer:
		return d.serverCall(name)
	}
	return &opUnknown{number: number, rest: d.rest()}
}

// command reads a command for the log. It is decoded here, as every member will decode it: nothing else comes into a log from
// another node, and what the ticket says is what the entry says.
func (d *packetDecoder) command() any {
	all := d.in
	t := ticket{kind: CommandKind(d.byte()), data: d.rest()}
	if t.kind == CommandKind(core.KindDelete) {
		if len(t.data) > 0 {
			d.refuse()
		}
		return &opCommand{t}
	}
	c, err := DecodeCommand(t.kind, t.data)
	switch {
	case errors.Is(err, ErrUnknownFormat) && t.kind >= FirstCommandKind:
		return &opUnknown{number: wireCommand, rest: all}
	case err != nil:
		d.refuse()
	}
	t.session, t.open, t.priority, t.elsewhere = c.Session, c.Open, c.Priority, c.Reply > ReplyFromLeader
	return &opCommand{t}
}

// appendTo encodes a withdrawal: the number of the request.
func (p *withdrawal) appendTo(b []byte) []byte { return binary.AppendUvarint(b, p.id) }
