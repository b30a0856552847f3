package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/rawl-db/rawl/raft"
)

// Bounds of what is stored, in bytes. A command fits raft's default of 1 MiB with two values of full length: the new one, and
// the one to compare with.
const (
	maxKey   = 512
	maxValue = 480 << 10
	maxAddr  = 300 // an address of a node
)

// operation says what a command does. The numbers are frozen: they stand in logs.
type operation uint8

const (
	opPut operation = iota + 1
	opDelete
	opSnapshot // asks every member for a snapshot
	opAnnounce // says where a node is
	opForget   // a node is not there any more
	opEnd
)

// condition says when a put or delete takes effect. The numbers are frozen.
type condition uint8

const (
	always    condition = iota
	ifVersion           // the key's version is command.Version; 0: there is no such key
	ifValue             // the key is there and has command.Old
	conditionEnd
)

// command is what the log's entries say. Which fields count depends on Op and If; others are zero.
type command struct {
	Op      operation
	Key     string
	If      condition
	Version raft.Index
	Old     []byte
	Value   []byte
	Node    nodeAddress
}

// nodeAddress says where a node is: its name, the address of its transport and the URL of its API.
type nodeAddress struct {
	Node string `json:"node"`
	Raft string `json:"raft"`
	URL  string `json:"url"`
}

const commandVersion = 1

// errCommand says that bytes are no command of this version.
var errCommand = errors.New("kv: malformed command")

// append appends the bytes of c, see doc.go.
func (c *command) append(b []byte) []byte {
	b = append(b, commandVersion, byte(c.Op))
	switch c.Op {
	case opPut, opDelete:
		b = appendText(b, c.Key)
		b = append(b, byte(c.If))
		switch c.If {
		case ifVersion:
			b = binary.AppendUvarint(b, uint64(c.Version))
		case ifValue:
			b = appendText(b, c.Old)
		}
		if c.Op == opPut {
			b = appendText(b, c.Value)
		}
	case opAnnounce:
		b = appendText(appendText(appendText(b, c.Node.Node), c.Node.Raft), c.Node.URL)
	case opForget:
		b = appendText(b, c.Node.Node)
	}
	return b
}

// decodeCommand returns the command that has exactly these bytes. Its slices alias b. Error: errCommand.
func decodeCommand(b []byte) (command, error) {
	if len(b) < 2 || b[0] != commandVersion {
		return command{}, fmt.Errorf("%w: version", errCommand)
	}
	c := command{Op: operation(b[1])}
	d := decoder{rest: b[2:]}
	switch c.Op {
	case opPut, opDelete:
		c.Key = string(d.key())
		c.If = condition(d.byte())
		switch c.If {
		case ifVersion:
			c.Version = raft.Index(d.uvarint())
		case ifValue:
			c.Old = d.text(maxValue)
		}
		d.want(c.If < conditionEnd)
		if c.Op == opPut {
			c.Value = d.text(maxValue)
		}
	case opAnnounce:
		c.Node = nodeAddress{d.name(), string(d.text(maxAddr)), string(d.text(maxAddr))}
	case opForget:
		c.Node.Node = d.name()
	}
	d.want(c.Op > 0 && c.Op < opEnd)
	if d.want(len(d.rest) == 0); d.bad {
		return command{}, errCommand
	}
	return c, nil
}

// goodKey reports whether a key can be stored: 1 to maxKey bytes of UTF-8.
func goodKey(key string) bool { return key != "" && len(key) <= maxKey && utf8.ValidString(key) }

// outcome is what became of a put or delete. The numbers are frozen: replies stand in the session table.
type outcome uint8

const (
	outcomeDone     outcome = iota // it took effect, or there was nothing to delete
	outcomeMismatch                // its condition did not hold
	outcomeRefused                 // the machine does not understand the command
)

// result is the machine's reply to a command.
type result struct {
	Outcome outcome
	// Version is the key's version afterwards, 0 when there is no such key.
	Version raft.Index
	// Existed says that the key was there before.
	Existed bool
}

func (r result) encode() []byte {
	b := []byte{byte(r.Outcome), 0}
	if r.Existed {
		b[1] = 1
	}
	return binary.AppendUvarint(b, uint64(r.Version))
}

func decodeResult(b []byte) (result, error) {
	d := decoder{rest: b}
	r := result{Outcome: outcome(d.byte()), Existed: d.byte() == 1, Version: raft.Index(d.uvarint())}
	if d.want(len(d.rest) == 0); d.bad {
		return result{}, fmt.Errorf("kv: malformed reply of %d bytes", len(b))
	}
	return r, nil
}
