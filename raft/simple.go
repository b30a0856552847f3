package raft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrIncomplete means that the description of a machine lacks a function.
var ErrIncomplete = errors.New("raft: incomplete machine")

// Fold describes a machine by functions over a state of type S; Simple makes it.
type Fold[S any] struct {
	// New makes the state before the first command. nil makes the zero value.
	New func() S
	// Apply returns the state after a command, and the reply. It may change the state that it is given. What
	// Machine.Apply says of command and reply holds. Required.
	Apply func(ctx *ApplyContext, state S, command []byte) (S, []byte)
	// Event returns the state after an event. nil changes nothing.
	Event func(ctx *ApplyContext, state S, event Event) S
	// Encode writes a state, equal states in equal bytes; Decode reads what Encode wrote, up to io.EOF.
	// Both or neither: without them it is done by encoding/json.
	Encode func(w io.Writer, state S) error
	Decode func(r io.Reader) (S, error)
	// Clone returns a copy that Apply and Event do not change any more, for a snapshot that is encoded
	// while they go on. For a state that is never changed, only replaced, it may return its argument. nil
	// has the state encoded at once when a snapshot is taken, while commands wait: good for small states.
	Clone func(S) S
}

// Simple returns what makes machines by the description, for ApplierOptions.New for example. Error:
// ErrIncomplete.
func Simple[S any](f Fold[S]) (func() Machine, error) {
	if f.Apply == nil {
		return nil, fmt.Errorf("%w: Fold.Apply", ErrIncomplete)
	}
	if (f.Encode == nil) != (f.Decode == nil) {
		return nil, fmt.Errorf("%w: one of Fold.Encode and Fold.Decode", ErrIncomplete)
	}
	if f.Encode == nil {
		f.Encode = func(w io.Writer, state S) error { return json.NewEncoder(w).Encode(state) }
		f.Decode = func(r io.Reader) (state S, err error) {
			err = json.NewDecoder(r).Decode(&state)
			return state, err
		}
	}
	return func() Machine {
		m := &simple[S]{fold: &f}
		if f.New != nil {
			m.state = f.New()
		}
		if f.Event != nil {
			return simpleEvents[S]{m}
		}
		return m
	}, nil
}

// simpleEvents is a simple machine that hears of events.
type simpleEvents[S any] struct{ *simple[S] }

func (m simpleEvents[S]) ApplyEvent(ctx *ApplyContext, event Event) {
	m.state = m.fold.Event(ctx, m.state, event)
}

// simple is the machine of a Fold.
type simple[S any] struct {
	fold  *Fold[S]
	state S
}

func (m *simple[S]) current() S { return m.state }

// State returns the state of a machine that Simple made, for queries; false when it is none of that type. It is the machine's
// own: it must not be changed, and no part of it that may change be kept.
func State[S any](m Machine) (state S, ok bool) {
	s, ok := optional[interface{ current() S }](m)
	if ok {
		state = s.current()
	}
	return state, ok
}

func (m *simple[S]) Apply(ctx *ApplyContext, command []byte) (reply []byte) {
	m.state, reply = m.fold.Apply(ctx, m.state, command)
	return reply
}

func (m *simple[S]) Snapshot() View {
	if m.fold.Clone != nil {
		return simpleView[S]{state: m.fold.Clone(m.state), encode: m.fold.Encode}
	}
	var v encodedView
	v.err = m.fold.Encode(&v.b, m.state)
	return &v
}

func (m *simple[S]) Restore(r io.Reader) (err error) {
	m.state, err = m.fold.Decode(r)
	return err
}

// simpleView is a copy of a state.
type simpleView[S any] struct {
	state  S
	encode func(io.Writer, S) error
}

func (v simpleView[S]) WriteTo(w io.Writer) (int64, error) {
	c := countingWriter{w: w}
	err := v.encode(&c, v.state)
	return c.n, err
}

// countingWriter counts what passes through it.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// encodedView is a state that was encoded already, or could not be.
type encodedView struct {
	b   bytes.Buffer
	err error
}

func (v *encodedView) WriteTo(w io.Writer) (int64, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := w.Write(v.b.Bytes())
	return int64(n), err
}
