package raft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrNotUnderstood means that a typed machine could not decode the command. It was committed, and changed nothing.
var ErrNotUnderstood = errors.New("raft: command not understood by the machine")

// ErrReplyEncoding means that a typed machine applied the command and could not encode its reply.
var ErrReplyEncoding = errors.New("raft: reply could not be encoded")

// Codec turns commands and replies into bytes and back. A function that is nil works by
// encoding/json. Decoding must not keep the bytes that it is given, and encoding the same value gives the same
// bytes. The zero Codec is good.
type Codec[C, R any] struct {
	EncodeCommand func(C) ([]byte, error)
	DecodeCommand func([]byte) (C, error)
	EncodeReply   func(R) ([]byte, error)
	DecodeReply   func([]byte) (R, error)
}

// TypedMachine is a Machine with types for commands and replies. It may have the same optional interfaces
// as a Machine.
type TypedMachine[C, R any] interface {
	// Apply is Machine.Apply for a decoded command. Both values may be kept.
	Apply(ctx *ApplyContext, command C) R
	Snapshot() View
	Restore(r io.Reader) error
}

// Typed makes a Machine of a TypedMachine. A command that does not decode changes nothing, on any member.
func Typed[C, R any](m TypedMachine[C, R], codec Codec[C, R]) Machine {
	return &typed[C, R]{TypedMachine: m, codec: codec.complete()}
}

// Unwrap returns what a Machine was made of: the value given to Typed, and any other Machine itself.
func Unwrap(m Machine) any {
	if w, ok := m.(unwrapper); ok {
		return w.unwrap()
	}
	return m
}

func (c Codec[C, R]) complete() Codec[C, R] {
	if c.EncodeCommand == nil {
		c.EncodeCommand = encodeJSON[C]
	}
	if c.DecodeCommand == nil {
		c.DecodeCommand = decodeJSON[C]
	}
	if c.EncodeReply == nil {
		c.EncodeReply = encodeJSON[R]
	}
	if c.DecodeReply == nil {
		c.DecodeReply = decodeJSON[R]
	}
	return c
}

func encodeJSON[T any](v T) ([]byte, error) { return json.Marshal(v) }

func decodeJSON[T any](b []byte) (v T, err error) {
	err = json.Unmarshal(b, &v)
	return v, err
}

// The first byte of a typed machine's reply. The numbers are frozen: they travel between nodes and stand in
// snapshots.
const (
	typedReply         = 0 // the encoded reply follows
	typedNotUnderstood = 1
	typedNotEncoded    = 2
)

type typed[C, R any] struct {
	TypedMachine[C, R]
	codec Codec[C, R]
}

func (m *typed[C, R]) unwrap() any { return m.TypedMachine }

func (m *typed[C, R]) Apply(ctx *ApplyContext, command []byte) []byte {
	c, err := m.codec.DecodeCommand(command)
	if err != nil {
		return []byte{typedNotUnderstood}
	}
	b, err := m.codec.EncodeReply(m.TypedMachine.Apply(ctx, c))
	if err != nil {
		return []byte{typedNotEncoded}
	}
	reply := make([]byte, 0, 1+len(b))
	return append(append(reply, typedReply), b...)
}

// Call encodes a command, has process propose it, and decodes the reply. process is any way to have a
// command applied by a typed machine with the same Codec. Errors: those of the codec, of which one in
// encoding means that nothing was proposed; those of process; ErrNotUnderstood, ErrReplyEncoding;
// ErrMalformed when the reply is none of a typed machine.
func (c Codec[C, R]) Call(ctx context.Context, process func(context.Context, []byte) ([]byte, error), command C) (R, error) {
	c = c.complete()
	var none R
	b, err := c.EncodeCommand(command)
	if err != nil {
		return none, fmt.Errorf("raft: encode command: %w", err)
	}
	reply, err := process(ctx, b)
	if err != nil {
		return none, err
	}
	switch {
	case len(reply) > 0 && reply[0] == typedReply:
		return c.DecodeReply(reply[1:])
	case len(reply) == 1 && reply[0] == typedNotUnderstood:
		return none, ErrNotUnderstood
	case len(reply) == 1 && reply[0] == typedNotEncoded:
		return none, ErrReplyEncoding
	}
	return none, malformed("reply of %d bytes is none of a typed machine", len(reply))
}
