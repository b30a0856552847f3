package raft

import (
	"encoding/binary"

	"github.com/rawl-db/rawl/raft/core"
)

// appendTo encodes the start of a member, whose name is that of the request:
//
//	uvarint  incarnation, not 0
//	bool     the start is to be undone; then that is all
//	string   names of cluster, system, uid and machine
//	uvarint  initial machine version
//	         the options: see ServerOptions.appendTo
//	bytes    the configuration: see core.Configuration.Marshal
func (op *opStart) appendTo(b []byte) []byte {
	c := &op.config
	b = appendBool(binary.AppendUvarint(b, uint64(c.inc)), op.undo)
	if op.undo {
		return b
	}
	return appendConfiguration(c.appendTo(b), c.initial)
}

func (c *ServerConfig) appendTo(b []byte) []byte {
	for _, s := range []string{c.Cluster, c.System, string(c.UID), c.Machine} {
		b = appendName(b, s)
	}
	return c.Options.appendTo(binary.AppendUvarint(b, c.InitialVersion))
}

func (d *packetDecoder) start(name string) *opStart {
	op := &opStart{config: ServerConfig{Name: name, inc: core.Incarnation(d.uvarint())}, undo: d.boolean()}
	if op.config.inc == 0 {
		d.refuse() // to undo that would delete whatever life the server has
	}
	if op.undo {
		return op
	}
	d.serverConfig(&op.config)
	op.config.initial = d.configuration()
	return op
}

func (d *packetDecoder) serverConfig(c *ServerConfig) {
	c.Cluster, c.System, c.UID, c.Machine = d.text(), d.text(), core.UID(d.text()), d.text()
	c.InitialVersion = d.uvarint()
	c.Options = *d.options()
}

// options reads a server's options; what they are when they are refused does not matter.
func (d *packetDecoder) options() *ServerOptions {
	o, err := d.serverOptions()
	if err != nil {
		d.refuse()
		return &ServerOptions{}
	}
	return o
}
