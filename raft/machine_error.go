package raft

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Errors that end the applying of entries on a member.
var (
	// ErrMachine is wrapped by every MachineError.
	ErrMachine = errors.New("raft: machine failed")
	// ErrMachineVersion means that the machine's code is older than the machine version in force, or than the
	// one asked for. Nothing was applied; newer code can go on from here.
	ErrMachineVersion = errors.New("raft: machine version unknown to this code")
	// ErrApplyOrder means that an entry does not follow the one applied before.
	ErrApplyOrder = errors.New("raft: entry out of order")
)

// MachineError says that a user's machine failed: it panicked, or did what a machine must not. errors.Is(err,
// ErrMachine) holds. Its text holds no part of a command and no value that the machine panicked with,
// unless it is an error of the Go runtime.
type MachineError struct {
	// Op is the method that failed, for example "Apply".
	Op string
	// Index is the entry that was applied, or the last before the call.
	Index Index
	// Panic is what the machine panicked with, nil when it did not.
	Panic any
	// Stack is the goroutine's stack at the panic.
	Stack []byte
	// Cause is what the machine did wrong when it did not panic.
	Cause error
}

// Error describes the failure in one line.
func (e *MachineError) Error() string {
	what := "panicked"
	switch p := e.Panic.(type) {
	case nil:
		what = fmt.Sprint(e.Cause)
	case runtime.Error:
		what = fmt.Sprintf("panicked: %v", p)
	default:
		what = fmt.Sprintf("panicked with a %T", p)
	}
	return fmt.Sprintf("%v: %s at index %d: %s", ErrMachine, e.Op, e.Index, what)
}

// Unwrap returns ErrMachine, the cause, and the error that the machine panicked with if it is one.
func (e *MachineError) Unwrap() []error {
	wrapped := []error{ErrMachine}
	if e.Cause != nil {
		wrapped = append(wrapped, e.Cause)
	}
	if p, ok := e.Panic.(error); ok {
		wrapped = append(wrapped, p)
	}
	return wrapped
}

// guard calls f, which belongs to the user, and turns a panic into a MachineError.
func guard(op string, at Index, f func()) (err *MachineError) {
	defer func() {
		if p := recover(); p != nil {
			err = &MachineError{Op: op, Index: at, Panic: p, Stack: debug.Stack()}
		}
	}()
	f()
	return nil
}
