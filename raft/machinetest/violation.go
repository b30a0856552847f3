package machinetest

import (
	"errors"
	"fmt"
)

// What a machine may do wrong.
var (
	// ErrConfig means that the Config is not complete.
	ErrConfig = errors.New("machinetest: incomplete configuration")
	// ErrFailed means that the machine panicked, or did what package raft refuses; the cause is wrapped as well.
	ErrFailed = errors.New("machinetest: machine failed")
	// ErrNondeterministic means that two machines that applied the same log differ in a reply, an effect or
	// the bytes of a snapshot.
	ErrNondeterministic = errors.New("machinetest: machines differ after the same commands")
	// ErrCommandKept means that the machine still used a command's memory after Apply.
	ErrCommandKept = errors.New("machinetest: command kept after Apply")
	// ErrCommandChanged means that Apply changed its command.
	ErrCommandChanged = errors.New("machinetest: command changed by Apply")
	// ErrReplyChanged means that a reply, or the data of an effect, was changed after it was handed over.
	ErrReplyChanged = errors.New("machinetest: reply or effect changed after it was handed over")
	// ErrReplyTooLarge means that a reply exceeds raft.MaxReply.
	ErrReplyTooLarge = errors.New("machinetest: reply above the limit")
	// ErrLocalChange means that StateEnter, Tick, Overview, aux events, or snapshots change what
	// the machine does.
	ErrLocalChange = errors.New("machinetest: machine changed by what is not committed")
	// ErrViewChanged means that a view did not write the state of its moment.
	ErrViewChanged = errors.New("machinetest: view not frozen")
	// ErrErrorSwallowed means that the error of a reader or writer was not returned, or a wrong number of bytes.
	ErrErrorSwallowed = errors.New("machinetest: error of a reader or writer swallowed")
	// ErrRestore means that a restored machine is not the one that was captured.
	ErrRestore = errors.New("machinetest: restored machine differs")
	// ErrVersions means that newer code does not work by the older version's rules as older code does.
	ErrVersions = errors.New("machinetest: machine versions differ between old and new code")
	// ErrDeaf means that the machine uses timers or monitors and is no raft.EventApplier.
	ErrDeaf = errors.New("machinetest: machine asks for events and hears none")
)

// Violation says what a machine did wrong, and where. Unwrap has one of the errors above, and the cause if
// there is one.
type Violation struct {
	// Kind is one of the errors above.
	Kind error
	// Seed is the one of the log: Config.FirstSeed with Config.Seeds 1 shows it again.
	Seed uint64
	// Entry is the index of the log at which it showed, 0 before the first.
	Entry int
	// Detail says what was seen.
	Detail string
	// Cause is the error that came from the machine, or nil.
	Cause error
}

// Error describes the violation.
func (v *Violation) Error() string {
	text := fmt.Sprintf("%v: seed %d, entry %d", v.Kind, v.Seed, v.Entry)
	if v.Detail != "" {
		text += ": " + v.Detail
	}
	if v.Cause != nil {
		text += ": " + v.Cause.Error()
	}
	return text
}

// Unwrap returns Kind and Cause.
func (v *Violation) Unwrap() []error {
	if v.Cause == nil {
		return []error{v.Kind}
	}
	return []error{v.Kind, v.Cause}
}

// shorten makes bytes fit for a message.
func shorten(b []byte) string {
	const most = 200
	if len(b) > most {
		return fmt.Sprintf("%q and %d bytes", b[:most], len(b)-most)
	}
	return fmt.Sprintf("%q", b)
}

// firstDifference says where two traces part.
func firstDifference(got, want string) string {
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	from := max(0, n-60)
	return fmt.Sprintf("at byte %d: %s, want %s", n, shorten([]byte(got[from:])), shorten([]byte(want[from:])))
}
